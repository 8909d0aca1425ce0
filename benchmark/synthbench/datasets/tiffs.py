"""TIFF files decoded as their tags say: one image, upright, in its colours; or an error that says how to fix it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.palettes import check_palette
from synthbench.errors import DataError
from synthbench.io.images import check_size, decoder_errors
from synthbench.samples import MAX_CHANNELS
from synthbench.types import AnyArray

if TYPE_CHECKING:
    from tifffile import TiffPage, TiffPageSeries

__all__ = ["ORIENTATION", "apply_orientation", "read_tiff"]

BLACK_IS_ZERO, WHITE_IS_ZERO, RGB, PALETTE, YCBCR = 1, 0, 2, 3, 6
ORIENTATION = 274
"""The orientation tag of TIFF and EXIF."""
_OTHERS = {4: "a transparency mask", 5: "CMYK", 8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 32803: "a raw Bayer pattern"}
_JPEG = (6, 7, 34892)
_LOSSY = {6: "JPEG", 7: "JPEG", 34892: "JPEG", 50001: "WebP", 33003: "JPEG 2000", 34712: "JPEG 2000"}
_AXES = {"Z": "z slices", "T": "time points", "C": "channels", "S": "samples", "I": "pages", "Q": "pages"}
_REDUCED, _TRANSPARENCY = 1, 4
ORIENTED = "rotated as their orientation tag says"
"""In the log, of images and masks."""


def read_tiff(path: Path, log: ImportLog, *, mask: bool, classes: bool = False) -> tuple[AnyArray, bool]:
    """Read a TIFF file with one image; reduced copies of it (pyramids, thumbnails) are skipped.

    Orientation tags are applied. An image with a palette gets its colours, one whose 0 is white is inverted, and
    2 or 4 bits are spread over 8. A mask gives its numbers: the indices of a palette.

    Parameters
    ----------
    path, log
    mask
        Whether it is read for its numbers.
    classes
        Whether these are classes; see `synthbench.datasets.palettes.check_palette`.

    Returns
    -------
    pixels : ndarray
        ``(height, width)``, or ``(height, width, channels)``, of the type in the file.
    alpha : bool
        Whether the last of two or four channels is an alpha channel: the tags say so, or it follows colours.

    Raises
    ------
    DataError
        If the file holds several pictures, planes that are no channels, ink, or for a mask numbers that were saved
        with loss or don't say which is the background.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it warns of, the exception says
    with decoder_errors(path), tifffile.TiffFile(path) as file:
        if not file.pages:
            raise ValueError("the file has no pages")
        series = _main_series(path, file.series)
        page = series.keyframe
        pixels_in_all = int(np.prod(series.shape, dtype=np.int64)) // page.samplesperpixel
        check_size(path, pixels_in_all // page.imagewidth, page.imagewidth)
        axes = _plane(path, series, mask=mask)
        named_three = "C" in axes and series.shape[series.axes.index("C")] == 3
        _known_colours(path, page)
        if mask and page.compression in _LOSSY:
            raise DataError(
                f"{path}: {_LOSSY[page.compression]} compression changes the values of a mask; "
                "save masks without loss (LZW, deflate, none)"
            )
        pixels: AnyArray = series.asarray()
        pixels = _as_planes(pixels, series.axes, axes)
        written_by_tifffile = series.kind == "shaped"
        bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * pixels.itemsize
        orientation = page.tags.valueof(ORIENTATION, default=1)
        colours = page.colormap if page.photometric == PALETTE and "C" not in axes else None
        if mask and colours is not None:
            check_palette(path, pixels, (colours >> 8).T, classes=classes)
        alpha = pixels.ndim == 3 and pixels.shape[2] in (2, 4) and _last_is_alpha(page)
        white_is_zero = page.photometric == WHITE_IS_ZERO and not (pixels.dtype == bool and written_by_tifffile)
    if white_is_zero:
        pixels = _inverted(path, pixels, bits, log, mask=mask)
    if not mask and colours is not None:
        pixels = np.moveaxis(colours[:, pixels], 0, -1) >> 8
        pixels = pixels.astype(np.uint8)
        log.count("palette images stored in their palette's colours")
    elif not mask and bits in (2, 4) and pixels.dtype == np.uint8:
        pixels = pixels * np.uint8(255 // (2**bits - 1))
        log.count(f"images of {bits} bits spread over 8")
    if not mask and pixels.ndim == 3 and not alpha:
        kind = "three unnamed channels, read as red, green and blue" if named_three else f"{pixels.shape[2]} channels"
        log.count(f"images with {kind}", int(named_three or pixels.shape[2] != 3))
    return apply_orientation(pixels, orientation, log, mask=mask), alpha


def apply_orientation(pixels: AnyArray, orientation: object, log: ImportLog, *, mask: bool) -> AnyArray:
    """Rotate or flip pixels as the orientation tag (1 … 8) says; an unknown value is treated as 1."""
    if orientation not in range(2, 9):
        return pixels
    log.count(f"{'masks' if mask else 'images'} {ORIENTED}")
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _main_series(path: Path, all_series: list[TiffPageSeries]) -> TiffPageSeries:
    """Return the only series that is neither a reduced copy nor a transparency mask."""
    full = [s for s in all_series if not int(s.keyframe.subfiletype) & (_REDUCED | _TRANSPARENCY)] or list(all_series)
    if len(full) > 1:
        sizes = ", ".join("×".join(map(str, s.shape)) for s in full[:3]) + (", …" if len(full) > 3 else "")
        raise DataError(
            f"{path}: contains {len(full)} images ({sizes}) as pages or series; save each as a file of its own"
        )
    return full[0]


def _plane(path: Path, series: TiffPageSeries, *, mask: bool) -> str:
    """Return the axes that are longer than 1; raise `DataError` unless they are one picture's."""
    kept = [
        (axis, length) for axis, length in zip(series.axes, series.shape, strict=True) if length > 1 or axis in "YX"
    ]
    more = [(axis, length) for axis, length in kept if axis not in "YXS"]
    colours = [(axis, length) for axis, length in more if axis == "C"]
    are_channels = more == colours and len(more) == 1 and series.keyframe.samplesperpixel == 1
    if more and not (are_channels and more[0][1] <= MAX_CHANNELS):
        planes = ", ".join(f"{length} {_AXES.get(axis, f'planes along {axis}')}" for axis, length in more)
        raise DataError(
            f"{path}: contains {planes} of {series.keyframe.imagelength}×{series.keyframe.imagewidth}, not one image; "
            + (
                "save the one mask of the image"
                if mask
                else "save single planes, or up to four channels as the axes CYX"
            )
        )
    if more and mask:
        raise DataError(f"{path}: contains {more[0][1]} channels; save the one mask of the image")
    return "".join(axis for axis, _ in kept)


def _as_planes(pixels: AnyArray, all_axes: str, axes: str) -> AnyArray:
    """Return pixels as ``YX`` or ``YXS``, from `all_axes` with those of length 1 still in it."""
    pixels = pixels.squeeze(tuple(i for i, axis in enumerate(all_axes) if axis not in axes))
    last = axes.find("S") if "S" in axes else axes.find("C")
    return np.ascontiguousarray(np.moveaxis(pixels, last, -1)) if last >= 0 else pixels


def _last_is_alpha(page: TiffPage) -> bool:
    """Return whether the last sample of a pixel is said to be alpha, or follows red, green and blue."""
    extra = tuple(page.extrasamples or ())
    return page.samplesperpixel in (2, 4) and (page.photometric == RGB or any(int(kind) > 0 for kind in extra))


def _known_colours(path: Path, page: TiffPage) -> None:
    kind = int(page.photometric) if page.photometric is not None else BLACK_IS_ZERO
    if kind in (BLACK_IS_ZERO, WHITE_IS_ZERO, RGB, PALETTE) or (kind == YCBCR and page.compression in _JPEG):
        return
    name = _OTHERS.get(kind, getattr(page.photometric, "name", kind))
    raise DataError(f"{path}: its pixels are {name} (photometric {kind}); save it as grey or RGB")


def _inverted(path: Path, pixels: AnyArray, bits: int, log: ImportLog, *, mask: bool) -> AnyArray:
    if mask and bits != 1:
        raise DataError(
            f"{path}: 0 is white in this mask (photometric MinIsWhite), so the background may not be 0; save it as "
            "MinIsBlack with 0 for the background"
        )
    if pixels.dtype != bool and pixels.dtype.kind != "u":
        raise DataError(f"{path}: {pixels.dtype} values can't be inverted (MinIsWhite); save it as MinIsBlack")
    log.count(f"{'masks' if mask else 'images'} of photometric MinIsWhite inverted")
    return ~pixels if pixels.dtype == bool else (pixels.dtype.type(2**bits - 1) - pixels)
