"""Pixels of files converted to those of a sample, or an error that names the file and how to fix it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthbench.datasets.decoding import decode_image, decode_mask, without_alpha
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.mask_checks import check_mask
from synthbench.datasets.mask_statistics import TYPE_MAXIMA, mask_statistics
from synthbench.errors import DataError
from synthbench.samples import IGNORED, MAX_CHANNELS, MAX_LABEL, Sample, split_ignored
from synthbench.types import AnyArray

if TYPE_CHECKING:
    from synthbench.datasets.found_image import FoundImage

__all__ = [
    "log_bit_depth",
    "make_sample",
    "read_image",
    "read_mask",
    "read_pairs",
    "split_components",
    "to_integers",
    "to_label_map",
    "to_sample_image",
]

_BIT_DEPTHS = {8: 255, 10: 1023, 12: 4095, 14: 16383}


def make_sample(
    name: str, image: AnyArray, labels: AnyArray, groups: Mapping[str, str], image_at: str, mask_at: str
) -> Sample:
    """Return a sample; raise `DataError`, naming both files, when image and mask differ in size.

    `labels` may be what `to_label_map` gives, with `IGNORED` where the label is unknown.
    """
    if image.shape[:2] != labels.shape:
        sizes = [f"{a.shape[0]}×{a.shape[1]}" for a in (image, labels)]
        raise DataError(
            f"{mask_at}: the mask is {sizes[1]} but its image {image_at} is {sizes[0]}; both must have the same size"
        )
    known, ignore = split_ignored(labels)
    return Sample(name, image, known, groups, ignore)


def read_pairs(
    path: Path, items: Sequence[tuple[str, FoundImage]], options: ImportOptions, log: ImportLog
) -> Iterator[Sample]:
    """Yield each image with its mask, by id.

    Raises
    ------
    DataError
        After the last image, with all problems; it names `path`.
    """
    log.expect(items)
    for name, item in items:
        with log.collecting_errors():
            image = read_image(item.image, log)
            labels = read_mask(item.masks[0], options, log)
            yield make_sample(name, image, labels, item.groups, str(item.image), str(item.masks[0]))
    log.raise_problems(path)


def read_image(path: Path, log: ImportLog) -> AnyArray:
    """Read an image file as uint8 or uint16, of 1 to 4 channels; see `decode_image` and `to_sample_image`."""
    return to_sample_image(decode_image(path, log), str(path), log)


def to_sample_image(image: AnyArray, where: str, log: ImportLog, *, guess_alpha: bool = False) -> AnyArray:
    """Return an image as uint8 or uint16, ``(height, width)`` or ``(height, width, channels)`` with 2 to 4 channels.

    An RGB image of three equal channels becomes grey; channels first become channels last. Other types become uint8 or
    uint16 in the scale of the set, `log.rescaler`. Each is counted in `log`.

    Parameters
    ----------
    image, where, log
    guess_alpha
        Drop the last of four channels if it has the highest value of its unsigned type everywhere: it is then taken
        for opaque alpha, which an array doesn't say.

    Raises
    ------
    DataError
        If it can't be had without losing something.
    """
    image = _drop_axes(image)
    if image.ndim == 3 and 2 <= image.shape[0] <= MAX_CHANNELS and image.shape[2] > MAX_CHANNELS:
        image = np.moveaxis(image, 0, -1)
        log.count("images transposed from channels first to channels last")
    if image.size == 0:
        raise DataError(f"{where}: the image is empty")
    four = guess_alpha and image.ndim == 3 and image.shape[2] == 4 and image.dtype.kind == "u"
    if four and (image[..., 3] == np.iinfo(image.dtype).max).all():
        image = without_alpha(image, where, log)
    if not (image.ndim == 2 or (image.ndim == 3 and 2 <= image.shape[2] <= MAX_CHANNELS)):
        raise DataError(
            f"{where}: the image has shape {image.shape}; save a single plane of at most {MAX_CHANNELS} channels"
        )
    if image.ndim == 3 and image.shape[2] == 3 and (image == image[..., :1]).all():
        image = np.ascontiguousarray(image[..., 0])
        log.count("colour images with three equal channels stored as grey")
    return _rescale(image, where, log)


def _rescale(image: AnyArray, where: str, log: ImportLog) -> AnyArray:
    """Return pixels, of any shape, as uint8 or uint16 in the intensity scale of the set."""
    image = log.rescaler.apply(image, where, log.count)
    if image.dtype == np.uint16:
        log.uint16_images += 1
        log.uint16_maximum = max(log.uint16_maximum, int(image.max()))
    return image


def log_bit_depth(log: ImportLog) -> None:
    """Count in `log` the uint16 images whose values use only the lowest bits, as those of 12-bit cameras do."""
    bits = next((bits for bits, top in _BIT_DEPTHS.items() if log.uint16_maximum <= top), None)
    if log.uint16_images and bits and log.rescaler.scale is None:
        log.count(
            f"uint16 images of {bits} bits (maximum {log.uint16_maximum}), stored unchanged; use --white "
            f"{_BIT_DEPTHS[bits]} to rescale them to 16 bits",
            log.uint16_images,
        )


def _drop_axes(array: AnyArray) -> AnyArray:
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    return array


def read_mask(path: Path, options: ImportOptions, log: ImportLog) -> AnyArray:
    """Read a mask file as a label map or class map; see `decode_mask` and `to_label_map`."""
    return to_label_map(decode_mask(path, log, classes=options.task == "semantic"), str(path), options, log)


def to_label_map(mask: AnyArray, where: str, options: ImportOptions, log: ImportLog) -> AnyArray:
    """Return a mask as a label map (task `instances`) or a class map (task `semantic`).

    Pixels of the value to ignore become `IGNORED` (−1). The statistics of a mask of objects are kept in
    `log.mask_statistics`, for `synthbench.datasets.mask_checks.check_masks`.

    Raises
    ------
    DataError
        If it is a float array, holds negative or too large numbers, is coloured, is a binary mask where instances
        are wanted, is a picture, or holds a class that has no name.
    """
    labels = to_integers(mask, where)
    if options.ignore is None:
        return _known_labels(labels, where, options, log)
    ignore = labels == options.ignore
    log.count(f"pixels of value {options.ignore} ignored", int(ignore.sum()))
    log.count("masks with ignored pixels", int(ignore.any()))
    known = _known_labels(np.where(ignore, 0, labels), where, options, log)
    return np.where(ignore, IGNORED, known.astype(np.int64))


def _known_labels(labels: AnyArray, where: str, options: ImportOptions, log: ImportLog) -> AnyArray:
    if options.task == "semantic":
        return _class_map(labels, where, options, log)
    if not options.trusted:
        seen = mask_statistics(labels, where)
        log.mask_statistics.append(seen)
        if not options.components:
            check_mask(seen)
    return split_components(labels, log) if options.components else labels


def split_components(labels: AnyArray, log: ImportLog) -> AnyArray:
    """Return a label map, uint32, in which each connected piece (8 neighbours) of a label is an object of its own."""
    from skimage.measure import label as connected

    before = int((np.unique(labels) > 0).sum())
    labels = connected(labels, connectivity=2, background=0).astype(np.uint32)
    log.count("objects made of connected pieces", int(labels.max()))
    log.count("labels that they come from", before)
    return labels


def to_integers(mask: AnyArray, where: str) -> AnyArray:
    """Return a mask as ``(height, width)`` of integers 0 … 2³¹ − 1; raise `DataError` if that isn't possible."""
    mask = _drop_axes(mask)
    if mask.ndim == 3 and mask.shape[2] in (2, 4):
        mask = _without_alpha(mask, where)
    if mask.ndim == 3 and mask.shape[2] == 3:
        if not (mask == mask[..., :1]).all():
            raise DataError(
                f"{where}: the mask is a colour image; export a label map of integers, one label per object"
            )
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise DataError(f"{where}: the mask has shape {mask.shape}; expected one label map (height, width)")
    if mask.size == 0:
        raise DataError(f"{where}: the mask is empty")
    if mask.dtype.kind not in "iub":
        raise DataError(f"{where}: the mask type is {mask.dtype}; save it as integers (uint16) with 0 for background")
    low, high = int(mask.min()), int(mask.max())
    if low < 0:
        raise DataError(f"{where}: the mask contains {low}; labels must be ≥ 0 (0 is background)")
    if high > MAX_LABEL:
        raise DataError(f"{where}: the mask contains {high}; labels must be ≤ {MAX_LABEL}: renumber them")
    return mask


def _without_alpha(mask: AnyArray, where: str) -> AnyArray:
    """Drop an alpha channel that agrees with the values; raise `DataError` where it doesn't."""
    alpha, numbers = mask[..., -1], mask[..., :-1]
    visible = alpha > 0
    if not visible.all() and (visible != (numbers > 0).any(axis=-1)).any():
        raise DataError(
            f"{where}: the alpha channel ({visible.mean():.1%} of the pixels) and the colours "
            f"({(numbers > 0).any(axis=-1).mean():.1%}) mark different pixels as objects; save one grey channel with 0 "
            "for background"
        )
    return numbers[..., 0] if numbers.shape[-1] == 1 else numbers


def _class_map(labels: AnyArray, where: str, options: ImportOptions, log: ImportLog) -> AnyArray:
    present = np.unique(labels)
    if len(options.classes) == 2 and present[-1] in TYPE_MAXIMA and np.isin(present, (0, present[-1])).all():
        log.count(f"binary masks of 0 and {present[-1]} stored as classes 0 and 1")
        return (labels > 0).astype(np.uint8)
    if present[-1] in TYPE_MAXIMA and present[-1] >= len(options.classes) > int(present[:-1].max(initial=0)):
        raise DataError(
            f"{where}: the mask contains {present[-1]} beside the classes {', '.join(options.classes)}; use --ignore "
            f"{present[-1]} if it marks pixels without annotation, or name all classes with --classes a,b,…"
        )
    if present[-1] == len(options.classes) and present[0] > 0:
        raise DataError(
            f"{where}: the mask contains {present[0]} … {present[-1]} but not 0, and classes start at 0 (background); "
            f"subtract 1 if {present[0]} is the background, or name the classes from 0 on with --classes a,b,…"
        )
    if present[-1] >= len(options.classes):
        raise DataError(
            f"{where}: the mask contains {present[-1]}, but the {len(options.classes)} classes "
            f"({', '.join(options.classes)}) are 0 … {len(options.classes) - 1}; name all classes with --classes a,b,…"
        )
    return labels
