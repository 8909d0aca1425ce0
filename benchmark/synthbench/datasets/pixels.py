"""Pixels as they are found, made into the pixels of a sample; or a refusal that names the file and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthbench.datasets.decoding import decode_image, decode_mask
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.mask_checks import check_mask
from synthbench.datasets.mask_statistics import TYPE_MAXIMA, mask_statistics
from synthbench.errors import DataError
from synthbench.samples import IGNORED, MAX_LABEL, Sample, split_ignored

if TYPE_CHECKING:
    from synthbench.datasets.found_image import FoundImage

_FEW_BITS = {8: 255, 10: 1023, 12: 4095, 14: 16383}


def make_sample(
    name: str, image: np.ndarray, labels: np.ndarray, groups: Mapping[str, str], image_at: str, mask_at: str
) -> Sample:
    """Return a sample; raise `DataError`, naming both files, when image and mask differ in size.

    `labels` may be what `to_label_map` gives, with `IGNORED` where the label is unknown.
    """
    if image.shape[:2] != labels.shape:
        sizes = [f"{a.shape[0]}×{a.shape[1]}" for a in (image, labels)]
        raise DataError(
            f"{mask_at}: the mask is {sizes[1]} and its image {image_at} is {sizes[0]}; give a mask of the image's size"
        )
    known, ignore = split_ignored(labels)
    return Sample(name, image, known, groups, ignore)


def read_pairs(
    path: Path, items: Sequence[tuple[str, FoundImage]], recipe: ImportOptions, notes: ImportLog
) -> Iterator[Sample]:
    """Yield each image with its mask, by id.

    Raises
    ------
    DataError
        At the end, for all that can't be used together; it names `path`.
    """
    notes.expect(items)
    for name, item in items:
        with notes.trying():
            image = read_image(item.image, notes)
            labels = read_mask(item.masks[0], recipe, notes)
            yield make_sample(name, image, labels, item.groups, str(item.image), str(item.masks[0]))
    notes.refuse(path)


def read_image(path: Path, notes: ImportLog) -> np.ndarray:
    """Read an image file as uint8 or uint16, grey or RGB; see `decode_image` and `to_sample_image`."""
    return to_sample_image(decode_image(path, notes), str(path), notes)


def to_sample_image(image: np.ndarray, where: str, notes: ImportLog) -> np.ndarray:
    """Return an image as uint8 or uint16, ``(height, width)`` or ``(height, width, 3)``.

    Opaque alpha is dropped; an RGB image of three equal channels becomes grey; channels first become channels last.
    Other types become uint8 or uint16 in the scale of the set, `notes.scaling`. Each is counted in `notes`.

    Raises
    ------
    DataError
        If it can't be had without losing something.
    """
    image = _drop_axes(image)
    if image.ndim == 3 and image.shape[0] == 3 and image.shape[2] not in (2, 3, 4):
        image = np.moveaxis(image, 0, -1)
        notes.add("images turned from channels first to channels last")
    if image.size == 0:
        raise DataError(f"{where}: the image is empty")
    if image.ndim == 3 and image.shape[2] in (2, 4):
        if image.dtype.kind != "u" or not (image[..., -1] == np.iinfo(image.dtype).max).all():
            raise DataError(
                f"{where}: the image has {image.shape[2]} channels, the last no opaque alpha; save it as grey or RGB"
            )
        image = image[..., 0] if image.shape[2] == 2 else image[..., :3]
        notes.add("opaque alpha channels dropped")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise DataError(f"{where}: the image has shape {image.shape}; save single planes, grey or RGB")
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = np.ascontiguousarray(image[..., 0])
        notes.add("colour images with three equal channels stored as grey")
    return rescale(image, where, notes)


def rescale(image: np.ndarray, where: str, notes: ImportLog) -> np.ndarray:
    """Return pixels as uint8 or uint16 in the scale of the set, whatever their shape."""
    image = notes.scaling.apply(image, where, notes.add)
    if image.dtype == np.uint16:
        notes.deep += 1
        notes.brightest = max(notes.brightest, int(image.max()))
    return image


def log_bit_depth(notes: ImportLog) -> None:
    """Tell in `notes` where uint16 images use the lowest bits alone, as 12-bit cameras leave them."""
    bits = next((bits for bits, top in _FEW_BITS.items() if notes.brightest <= top), None)
    if notes.deep and bits and notes.scaling.scale is None:
        notes.add(
            f"uint16 images of {bits} bits (none is above {notes.brightest}), kept as they are; --white "
            f"{_FEW_BITS[bits]} would stretch them over all 16",
            notes.deep,
        )


def _drop_axes(array: np.ndarray) -> np.ndarray:
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    return array


def read_mask(path: Path, recipe: ImportOptions, notes: ImportLog) -> np.ndarray:
    """Read a mask file as a label map or class map; see `decode_mask` and `to_label_map`."""
    return to_label_map(decode_mask(path, notes, classes=recipe.task == "semantic"), str(path), recipe, notes)


def to_label_map(mask: np.ndarray, where: str, recipe: ImportOptions, notes: ImportLog) -> np.ndarray:
    """Return a mask as a label map (task `instances`) or a class map (task `semantic`).

    Where it holds the recipe's value to ignore, it becomes `IGNORED` (−1).
    What was seen of a mask of objects is kept in `notes.looks`, for `synthbench.datasets.mask_checks.check_masks`.

    Raises
    ------
    DataError
        If it is a float array, holds negative or too large numbers, is coloured, is a binary mask where instances
        are wanted, is a picture, or holds a class that has no name.
    """
    labels = to_integers(mask, where)
    if recipe.ignore is None:
        return _known_labels(labels, where, recipe, notes)
    ignore = labels == recipe.ignore
    notes.add(f"pixels of value {recipe.ignore} ignored", int(ignore.sum()))
    notes.add("masks with ignored pixels", int(ignore.any()))
    known = _known_labels(np.where(ignore, 0, labels), where, recipe, notes)
    return np.where(ignore, IGNORED, known.astype(np.int64))


def _known_labels(labels: np.ndarray, where: str, recipe: ImportOptions, notes: ImportLog) -> np.ndarray:
    if recipe.task == "semantic":
        return _class_map(labels, where, recipe, notes)
    if not recipe.trusted:
        seen = mask_statistics(labels, where)
        notes.looks.append(seen)
        if not recipe.components:
            check_mask(seen)
    return split_components(labels, notes) if recipe.components else labels


def split_components(labels: np.ndarray, notes: ImportLog) -> np.ndarray:
    """Return a label map, uint32, in which each connected piece (8 neighbours) of a label is an object of its own."""
    from skimage.measure import label as connected

    before = int((np.unique(labels) > 0).sum())
    labels = connected(labels, connectivity=2, background=0).astype(np.uint32)
    notes.add("objects made of connected pieces", int(labels.max()))
    notes.add("labels that they come from", before)
    return labels


def to_integers(mask: np.ndarray, where: str) -> np.ndarray:
    """Return a mask as ``(height, width)`` of whole numbers 0 … 2³¹ − 1; raise `DataError` if it isn't that."""
    mask = _drop_axes(mask)
    if mask.ndim == 3 and mask.shape[2] in (2, 4):
        mask = _without_alpha(mask, where)
    if mask.ndim == 3 and mask.shape[2] == 3:
        if not (mask == mask[..., :1]).all():
            raise DataError(
                f"{where}: the mask is a colour picture; export a label map of whole numbers, one per object"
            )
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise DataError(f"{where}: the mask has shape {mask.shape}; give one label map, (height, width)")
    if mask.size == 0:
        raise DataError(f"{where}: the mask is empty")
    if mask.dtype.kind not in "iub":
        raise DataError(f"{where}: the mask is {mask.dtype}; save it as whole numbers (uint16), 0 for background")
    low, high = int(mask.min()), int(mask.max())
    if low < 0:
        raise DataError(f"{where}: the mask holds {low}; labels are 0 (background) and above: set negative ones to 0")
    if high > MAX_LABEL:
        raise DataError(f"{where}: the mask holds {high}; labels go up to {MAX_LABEL}: renumber them")
    return mask


def _without_alpha(mask: np.ndarray, where: str) -> np.ndarray:
    """Drop an alpha channel that says no more than the numbers; raise `DataError` where it does."""
    alpha, numbers = mask[..., -1], mask[..., :-1]
    says = alpha > 0
    if not says.all() and (says != (numbers > 0).any(axis=-1)).any():
        raise DataError(
            f"{where}: its alpha channel marks other pixels ({says.mean():.1%}) than its colours "
            f"({(numbers > 0).any(axis=-1).mean():.1%}), so either may be the objects; save one grey channel, 0 for "
            "background"
        )
    return numbers[..., 0] if numbers.shape[-1] == 1 else numbers


def _class_map(labels: np.ndarray, where: str, recipe: ImportOptions, notes: ImportLog) -> np.ndarray:
    present = np.unique(labels)
    if len(recipe.classes) == 2 and present[-1] in TYPE_MAXIMA and np.isin(present, (0, present[-1])).all():
        notes.add(f"binary masks of 0 and {present[-1]} stored as classes 0 and 1")
        return (labels > 0).astype(np.uint8)
    if present[-1] in TYPE_MAXIMA and present[-1] >= len(recipe.classes) > int(present[:-1].max(initial=0)):
        raise DataError(
            f"{where}: the mask holds {present[-1]} beside the classes {', '.join(recipe.classes)}; use --ignore "
            f"{present[-1]} if it marks what isn't annotated, or name all classes by --classes a,b,…"
        )
    if present[-1] == len(recipe.classes) and present[0] > 0:
        raise DataError(
            f"{where}: the mask holds {present[0]} … {present[-1]} and no 0; classes start at 0 (background): subtract "
            f"1 where {present[0]} is the background, or name the classes from 0 on by --classes a,b,…"
        )
    if present[-1] >= len(recipe.classes):
        raise DataError(
            f"{where}: the mask holds {present[-1]}, and the {len(recipe.classes)} classes "
            f"({', '.join(recipe.classes)}) are 0 … {len(recipe.classes) - 1}; name them all by --classes a,b,…"
        )
    return labels
