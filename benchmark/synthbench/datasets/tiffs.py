"""TIFF files as their tags mean them: one picture, the right way up, in its colours; or a refusal with the way out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.palettes import check_palette
from synthbench.errors import DataError
from synthbench.io.images import check_size, decoder_errors

if TYPE_CHECKING:
    from tifffile import TiffPage, TiffPageSeries

BLACK_IS_ZERO, WHITE_IS_ZERO, RGB, PALETTE, YCBCR = 1, 0, 2, 3, 6
ORIENTATION = 274
"""The tag of TIFF and EXIF that says how a picture is turned."""
_OTHERS = {4: "a transparency mask", 5: "CMYK", 8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "a raw Bayer pattern"}
_JPEG = (6, 7, 34892)
_LOSSY = {6: "JPEG", 7: "JPEG", 34892: "JPEG", 50001: "WebP", 33003: "JPEG 2000", 34712: "JPEG 2000"}
_AXES = {"Z": "slices in depth", "T": "times", "C": "channels", "S": "samples", "I": "pages", "Q": "pages"}
_REDUCED, _TRANSPARENCY = 1, 4
ORIENTED = "turned as their orientation tag says"
"""In the notes, of images and masks."""


def read_tiff(path: Path, notes: ImportLog, *, mask: bool, classes: bool = False) -> np.ndarray:
    """Read a TIFF file that holds one picture; reduced copies of it (pyramids, thumbnails) are passed over.

    Orientation tags are applied. An image with a palette gets its colours, one whose 0 is white is inverted, and
    2 or 4 bits are spread over 8. A mask gives its numbers: the indices of a palette.

    Parameters
    ----------
    path, notes
    mask
        Whether it is read for its numbers.
    classes
        Whether these are classes; see `synthbench.datasets.palettes.check_palette`.

    Returns
    -------
    ndarray
        ``(height, width)``, or ``(height, width, samples)``, of the type in the file.

    Raises
    ------
    DataError
        If the file holds several pictures, planes that are no colours, ink, or for a mask numbers that were saved
        with loss or don't say which is the background.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it warns of, the exception says
    with decoder_errors(path), tifffile.TiffFile(path) as file:
        if not file.pages:
            raise ValueError("no picture in it")
        series = _only(path, file.series)
        page = series.keyframe
        pixels_in_all = int(np.prod(series.shape, dtype=np.int64)) // page.samplesperpixel
        check_size(path, pixels_in_all // page.imagewidth, page.imagewidth)
        axes = _plane(path, series, notes, mask=mask)
        _known_colours(path, page)
        if mask and page.compression in _LOSSY:
            raise DataError(
                f"{path}: the mask is a TIFF compressed by {_LOSSY[page.compression]}, which keeps no exact numbers; "
                "save masks without loss (LZW, deflate, none)"
            )
        pixels: np.ndarray = series.asarray()
        pixels = _as_planes(pixels, series.axes, axes)
        written_by_tifffile = series.kind == "shaped"
        bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * pixels.itemsize
        orientation = page.tags.valueof(ORIENTATION, default=1)
        colours = page.colormap if page.photometric == PALETTE else None
        if mask and colours is not None:
            check_palette(path, pixels, (colours >> 8).T, classes=classes)
        white_is_zero = page.photometric == WHITE_IS_ZERO and not (pixels.dtype == bool and written_by_tifffile)
    if white_is_zero:
        pixels = _inverted(path, pixels, bits, notes, mask=mask)
    if not mask and colours is not None:
        pixels = np.moveaxis(colours[:, pixels], 0, -1) >> 8
        pixels = pixels.astype(np.uint8)
        notes.add("palette images stored in the colours of their palette")
    elif not mask and bits in (2, 4) and pixels.dtype == np.uint8:
        pixels = pixels * np.uint8(255 // (2**bits - 1))
        notes.add(f"images of {bits} bits spread over 8")
    return apply_orientation(pixels, orientation, notes, mask=mask)


def apply_orientation(pixels: np.ndarray, orientation: object, notes: ImportLog, *, mask: bool) -> np.ndarray:
    """Turn pixels as the orientation (1 … 8) of TIFF and EXIF says; an unknown one is taken for 1."""
    if orientation not in range(2, 9):
        return pixels
    notes.add(f"{'masks' if mask else 'images'} {ORIENTED}")
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _only(path: Path, found: list[TiffPageSeries]) -> TiffPageSeries:
    """Return the one series that is no reduced copy and no transparency mask."""
    whole = [s for s in found if not int(s.keyframe.subfiletype) & (_REDUCED | _TRANSPARENCY)] or list(found)
    if len(whole) > 1:
        sizes = ", ".join("×".join(map(str, s.shape)) for s in whole[:3]) + (", …" if len(whole) > 3 else "")
        raise DataError(
            f"{path}: holds {len(whole)} pictures ({sizes}), one after another as pages or series; "
            "save each as a file of its own"
        )
    return whole[0]


def _plane(path: Path, series: TiffPageSeries, notes: ImportLog, *, mask: bool) -> str:
    """Return the axes that are longer than 1; raise `DataError` unless they are one picture's."""
    kept = [
        (axis, length) for axis, length in zip(series.axes, series.shape, strict=True) if length > 1 or axis in "YX"
    ]
    more = [(axis, length) for axis, length in kept if axis not in "YXS"]
    colours = [(axis, length) for axis, length in more if axis == "C"]
    if more and not (more == colours and len(more) == 1 and more[0][1] == 3 and series.keyframe.samplesperpixel == 1):
        told = ", ".join(f"{length} {_AXES.get(axis, f'planes along {axis}')}" for axis, length in more)
        raise DataError(
            f"{path}: holds {told} of {series.keyframe.imagelength}×{series.keyframe.imagewidth}, no single picture; "
            + ("save the one mask that belongs to the image" if mask else "save single planes, grey or RGB")
        )
    if more and mask:
        raise DataError(f"{path}: holds three channels; save the one mask that belongs to the image")
    if more:
        notes.add("three channels, which their files don't name as colours, taken for red, green and blue")
    return "".join(axis for axis, _ in kept)


def _as_planes(pixels: np.ndarray, all_axes: str, axes: str) -> np.ndarray:
    """Return pixels as ``YX`` or ``YXS``, from `all_axes` with those of length 1 still in it."""
    pixels = pixels.squeeze(tuple(i for i, axis in enumerate(all_axes) if axis not in axes))
    last = axes.find("S") if "S" in axes else axes.find("C")
    return np.ascontiguousarray(np.moveaxis(pixels, last, -1)) if last >= 0 else pixels


def _known_colours(path: Path, page: TiffPage) -> None:
    kind = int(page.photometric) if page.photometric is not None else BLACK_IS_ZERO
    if kind in (BLACK_IS_ZERO, WHITE_IS_ZERO, RGB, PALETTE) or (kind == YCBCR and page.compression in _JPEG):
        return
    name = _OTHERS.get(kind, getattr(page.photometric, "name", kind))
    raise DataError(f"{path}: its pixels are {name} (photometric {kind}); save it as grey or RGB")


def _inverted(path: Path, pixels: np.ndarray, bits: int, notes: ImportLog, *, mask: bool) -> np.ndarray:
    if mask and bits != 1:
        raise DataError(
            f"{path}: the mask says that its 0 is white (photometric MinIsWhite), so 0 may or may not be the "
            "background; save it with 0 as black (MinIsBlack) and 0 for the background"
        )
    if pixels.dtype != bool and pixels.dtype.kind != "u":
        raise DataError(f"{path}: {pixels.dtype} whose 0 is white (MinIsWhite) has no black; save it as MinIsBlack")
    notes.add(f"{'masks' if mask else 'images'} whose 0 is white (MinIsWhite) inverted")
    return ~pixels if pixels.dtype == bool else (pixels.dtype.type(2**bits - 1) - pixels)
