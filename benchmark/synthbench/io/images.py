"""Image files: lossless reading and writing, and limits on their size."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthbench.errors import DataError, message_without_path
from synthbench.types import AnyArray

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = [
    "TIFF_SUFFIXES",
    "check_size",
    "decoder_errors",
    "open_image",
    "pixels_of",
    "read_array",
    "suffix_for",
    "write_array",
]

TIFF_SUFFIXES = (".tif", ".tiff")
PILLOW_MAX_PIXELS = 2 * 89_478_485
"""Pixels above which Pillow suspects a decompression bomb; here the file must then be large enough to be plausible."""
MAX_PIXELS = 2**30
"""Pixels of the largest image that is read."""
MAX_PIXELS_PER_BYTE = 400
"""Pixels per byte of a large image's file, at most: sparse label maps have 100, deflated zeros up to 1,032."""
_pillow = threading.Lock()


def check_size(path: Path, height: int, width: int) -> None:
    """Raise `DataError` for an image that is too large, or whose file is too small for the size it declares.

    Called before memory is allocated for its pixels.
    """
    pixels = height * width
    if pixels > MAX_PIXELS:
        raise DataError(
            f"{path}: {height}×{width} are {pixels / 1e6:,.0f} megapixels, and at most "
            f"{MAX_PIXELS / 1e6:,.0f} are allowed; cut it into tiles"
        )
    size = path.stat().st_size
    if pixels > PILLOW_MAX_PIXELS and pixels > MAX_PIXELS_PER_BYTE * size:
        raise DataError(
            f"{path}: {size:,} bytes that decompress to {pixels / 1e6:,.0f} megapixels ({height}×{width}), as "
            "decompression bombs do; if you trust the file, save it as a TIFF without compression, or cut it into tiles"
        )


@contextlib.contextmanager
def open_image(path: Path, *, size_known: bool = False) -> Iterator[Picture]:
    """Open an image file with Pillow without reading its pixels; `check_size` replaces Pillow's own size check.

    Parameters
    ----------
    path
    size_known
        The size is compared with a known one instead, so that `check_size` isn't needed.
    """
    from PIL import Image

    with _pillow:  # Pillow keeps its limit in a global
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            picture: Picture = Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with picture:
        if not size_known:
            check_size(path, picture.height, picture.width)
        yield picture


@contextlib.contextmanager
def decoder_errors(path: Path) -> Iterator[None]:
    """Turn any error of a decoder into a `DataError` that names the file."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # decoders raise anything on corrupt input
        raise DataError(
            f"{path}: can't be read as an image ({message_without_path(error, path)}); replace or remove it"
        ) from None


def suffix_for(array: AnyArray) -> str:
    """Return ``".png"`` where PNG can hold the array without loss, else ``".tif"``.

    PNG takes a second channel for transparency, and a fourth.
    """
    depths = (np.uint8, np.uint16) if array.ndim == 2 else (np.uint8,) if array.shape[2] == 3 else ()
    return ".png" if array.dtype in depths else ".tif"


def write_array(path: Path, array: AnyArray) -> None:
    """Write an array losslessly to PNG or TIFF (by the suffix); raise `DataError` if it can't be written.

    Two or four channels become a composite image of ImageJ, which has a page per channel; equal arrays become equal
    bytes.
    """
    try:
        if path.suffix == ".png":
            from PIL import Image

            Image.fromarray(np.ascontiguousarray(array)).save(path, compress_level=3)
        else:
            import tifffile

            if array.ndim == 3 and array.shape[2] != 3:
                planes = np.ascontiguousarray(np.moveaxis(array, -1, 0))[None, None, ..., None]
                about = {"axes": "TZCYXS", "mode": "composite"}
                tifffile.imwrite(
                    path, planes, imagej=True, compression="zlib", photometric="minisblack", metadata=about
                )
            else:
                photometric = "rgb" if array.ndim == 3 else "minisblack"
                tifffile.imwrite(path, array, compression="zlib", photometric=photometric)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise DataError(f"{path}: can't be written: {error.strerror or error}") from None


def read_array(path: Path, size: tuple[int, int] | None = None) -> AnyArray:
    """Read a PNG, TIFF, JPEG or BMP file as it is; raise `DataError`, naming the file, when that fails.

    Palette PNGs give their indices (as label maps are stored by some tools); an alpha channel of an RGB image
    is dropped when it is opaque. Pages that a TIFF calls channels come last, and none of them is alpha.

    Parameters
    ----------
    path
    size
        Expected height and width, of an image that `write_array` wrote. Then any size up to `MAX_PIXELS` is read,
        and an image of another size is refused before its pixels are read. Without it, `check_size` is applied.
    """
    with decoder_errors(path):
        return _read_tiff(path, size) if path.suffix.lower() in TIFF_SUFFIXES else _read_picture(path, size)


def _without_opaque_alpha(array: AnyArray) -> AnyArray:
    if array.ndim == 3 and array.shape[2] == 4 and array.dtype.kind == "u":
        opaque = bool((array[..., 3] == np.iinfo(array.dtype).max).all())
        array = array[..., :3] if opaque else array
    return array


def _read_picture(path: Path, size: tuple[int, int] | None) -> AnyArray:
    with open_image(path, size_known=size is not None) as file:
        _compare(path, (file.height, file.width), size)
        file.load()
        return _without_opaque_alpha(pixels_of(file))


def pixels_of(picture: Picture) -> AnyArray:
    """Return the numbers of a picture: one of 1 bit gives 0 and 255, one of 16 bits uint16."""
    array = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    if picture.mode.startswith("I;16") or (picture.mode == "I" and _fits_uint16(array)):
        array = array.astype(np.uint16)
    return array


def _fits_uint16(array: AnyArray) -> bool:
    return bool(array.size and array.min() >= 0 and array.max() <= np.iinfo(np.uint16).max)


def _read_tiff(path: Path, size: tuple[int, int] | None) -> AnyArray:
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it warns of, the exception says
    with tifffile.TiffFile(path) as file:
        if not file.pages:
            raise ValueError("the file has no pages")
        page = file.series[0].keyframe
        _compare(path, (page.imagelength, page.imagewidth), size)
        if size is None:
            check_size(path, math.prod(file.series[0].shape[:-1]), file.series[0].shape[-1])
        array: AnyArray = file.asarray()
        channels_first = file.series[0].axes == "CYX"
    return np.ascontiguousarray(np.moveaxis(array, 0, -1)) if channels_first else _without_opaque_alpha(array)


def _compare(path: Path, size: tuple[int, int], expected: tuple[int, int] | None) -> None:
    if expected is not None and size != expected:
        raise DataError(f"{path}: size is {'×'.join(map(str, size))}, but {'×'.join(map(str, expected))} was written")
    if expected is not None and math.prod(expected) > MAX_PIXELS:
        check_size(path, *expected)
