"""Image files decoded as their metadata says: as images, or as the values of a mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.palettes import check_palette
from synthbench.datasets.tiffs import ORIENTATION, apply_orientation, read_tiff
from synthbench.errors import DataError
from synthbench.io.images import TIFF_SUFFIXES, decoder_errors, open_image, pixels_of
from synthbench.types import AnyArray

__all__ = ["decode_image", "decode_mask", "without_alpha"]

_LOSSY = ("JPEG", "MPO", "WEBP", "JPEG2000")
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I", "F")
_PNG = b"\x89PNG\r\n\x1a\n"


def decode_image(path: Path, log: ImportLog) -> AnyArray:
    """Read an image file with its palette and orientation applied; see `synthbench.datasets.tiffs.read_tiff`.

    An alpha channel is dropped where it is opaque.

    Returns
    -------
    ndarray
        ``(height, width)``, or ``(height, width, channels)``; any type. A second or fourth channel is one of a TIFF
        that has channels.

    Raises
    ------
    DataError
        If it can't be read without loss, is an animation, or has transparent pixels.
    """
    if path.suffix.lower() in TIFF_SUFFIXES:
        pixels, alpha = read_tiff(path, log, mask=False)
        return without_alpha(pixels, str(path), log) if alpha else pixels
    with decoder_errors(path):
        colour, depth = _png_head(path)
        if depth == 16 and colour in (2, 4, 6):
            raise DataError(
                f"{path}: a PNG with 16 bits per colour can't be read without loss; save it as a 16-bit TIFF"
            )
        with open_image(path) as file:
            _still(path, file)
            orientation = file.getexif().get(ORIENTATION, 1)
            if "transparency" in file.info:
                pixels = np.asarray(file.convert("RGBA"))
                if (pixels[..., 3] < 255).any():
                    raise DataError(f"{path}: has transparent pixels; save it without transparency")
                pixels = pixels[..., :3]
            elif file.mode in _PLAIN_MODES or file.mode.startswith("I;16"):
                pixels = pixels_of(file)
            elif file.mode == "CMYK":
                raise DataError(f"{path}: its pixels are CMYK; save it as grey or RGB")
            else:
                pixels = np.asarray(file.convert("RGB"))
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = without_alpha(pixels, str(path), log)
    return apply_orientation(pixels, orientation, log, mask=False)


def without_alpha(image: AnyArray, where: str, log: ImportLog) -> AnyArray:
    """Return an image of two or four channels without the last, its alpha channel.

    Raises
    ------
    DataError
        If that isn't opaque.
    """
    if image.dtype.kind != "u" or not (image[..., -1] == np.iinfo(image.dtype).max).all():
        raise DataError(
            f"{where}: the image has {image.shape[2]} channels, and the last isn't an opaque alpha "
            "channel; save it as grey or RGB, or its channels as a TIFF whose axes are CYX"
        )
    log.count("opaque alpha channels dropped")
    return image[..., 0] if image.shape[2] == 2 else image[..., :3]


def decode_mask(path: Path, log: ImportLog, *, classes: bool = False) -> AnyArray:
    """Read a mask file as numbers, the right way up; of a palette, the indices.

    Parameters
    ----------
    path
    log
    classes
        Which number it is matters, as it does for classes; of objects only the background's does.

    Returns
    -------
    ndarray
        ``(height, width)``, or with channels last; a picture of 1 bit gives 0 and 255.

    Raises
    ------
    DataError
        If it can't be read, was saved with loss, is an animation, or has a palette in which 0 isn't what it looks
        like.
    """
    if path.suffix.lower() in TIFF_SUFFIXES:
        return read_tiff(path, log, mask=True, classes=classes)[0]
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise _lossy(path, "JPEG")
    with decoder_errors(path):
        _, depth = _png_head(path)
        with open_image(path) as file:
            _still(path, file)
            if file.format in _LOSSY:
                raise _lossy(path, str(file.format))
            orientation = file.getexif().get(ORIENTATION, 1)
            numbers = pixels_of(file)
            if file.mode == "P":
                check_palette(path, numbers, np.array(file.getpalette("RGB") or []).reshape(-1, 3), classes=classes)
        if depth in (2, 4) and file.mode == "L":  # Pillow spreads them over 8 bits
            numbers = numbers // np.uint8(255 // (2**depth - 1))
    return apply_orientation(numbers, orientation, log, mask=True)


def _lossy(path: Path, form: str) -> DataError:
    return DataError(f"{path}: {form} compression changes the values of a mask; save masks as PNG or TIFF")


def _still(path: Path, file: object) -> None:
    """Raise `DataError` for an animation. The further pictures of a JPEG (MPO) are by-products of its first."""
    frames = getattr(file, "n_frames", 1)
    if frames > 1 and getattr(file, "format", "") != "MPO":
        raise DataError(f"{path}: contains {frames} frames; save each as a file of its own")


def _png_head(path: Path) -> tuple[int, int]:
    """Return colour type and bits per sample of a PNG; −1 and 0 for other files."""
    with path.open("rb") as file:
        head = file.read(26)
    return (head[25], head[24]) if len(head) == 26 and head[:8] == _PNG else (-1, 0)
