"""Pixels as they are found, made into the pixels of a sample; or a refusal that names the file and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from skimage.measure import label as connected

from synthbench.datasets.recipe import Notes, Recipe
from synthbench.errors import DataError, unnamed
from synthbench.samples import IGNORED, MAX_LABEL, Sample, read_array, unmarked

_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I", "F")
_BINARY_VALUES = (255, 65535)
_LOSSY = (".jpg", ".jpeg")
_UNSIGNED = (np.uint8, np.uint16)
AS_THEY_ARE = "with unchanged values stored as"
"""In the notes, of integers and whole floats; see `one_scale`."""
SCATTERED = 8
"""A mask of at least so many labels, each in more than so many pieces on average, is a picture."""


def sample_of(
    name: str, image: np.ndarray, labels: np.ndarray, groups: Mapping[str, str], image_at: str, mask_at: str
) -> Sample:
    """Return a sample; raise `DataError`, naming both files, when image and mask differ in size.

    `labels` may be what `tidy_labels` gives, with `IGNORED` where the label is unknown.
    """
    if image.shape[:2] != labels.shape:
        sizes = [f"{a.shape[0]}×{a.shape[1]}" for a in (image, labels)]
        raise DataError(
            f"{mask_at}: the mask is {sizes[1]} and its image {image_at} is {sizes[0]}; give a mask of the image's size"
        )
    known, ignore = unmarked(labels)
    return Sample(name, image, known, groups, ignore)


def read_image(path: Path, notes: Notes) -> np.ndarray:
    """Read an image file as uint8 or uint16, grey or RGB; see `tidy_image`."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        coloured = _by_palette_or_ink(path)
        if coloured is not None:
            return tidy_image(coloured, str(path), notes)
    return tidy_image(read_array(path), str(path), notes)


def _by_palette_or_ink(path: Path) -> np.ndarray | None:
    """Return pictures that store colours by palette, ink or luma as RGB; None for the others."""
    from PIL import Image

    try:
        with path.open("rb") as file:
            head = file.read(26)
        if head[:4] == b"\x89PNG" and len(head) == 26 and head[24] == 16 and head[25] in (2, 4, 6):
            raise DataError(
                f"{path}: a PNG with 16 bits per colour can't be read without loss; save it as a 16-bit TIFF"
            )
        with Image.open(path) as picture:
            if picture.mode in _PLAIN_MODES or picture.mode.startswith("I;16"):
                return None
            return np.asarray(picture.convert("RGB"))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # decoders raise anything on corrupt input
        raise DataError(
            f"{path}: can't be read as an image ({unnamed(error, path)}); replace it, or take it out"
        ) from None


def tidy_image(image: np.ndarray, where: str, notes: Notes) -> np.ndarray:
    """Return an image as uint8 or uint16, ``(height, width)`` or ``(height, width, 3)``.

    Opaque alpha is dropped; an RGB image of three equal channels becomes grey; channels first become channels last;
    other integers, and floats that are whole numbers above 1, become uint8 where they fit, else uint16. Of other floats
    the image's minimum and maximum are mapped to 0 and 65,535. Each is counted in `notes`.

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
    return _as_unsigned(image, where, notes)


def _drop_axes(array: np.ndarray) -> np.ndarray:
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    return array


def _as_unsigned(image: np.ndarray, where: str, notes: Notes) -> np.ndarray:
    if image.dtype in _UNSIGNED:
        return image
    if image.dtype == bool:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind not in "iuf":
        raise DataError(f"{where}: the image is {image.dtype}; convert it to uint8 or uint16")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise DataError(f"{where}: the image holds NaN or infinity; convert it to uint8 or uint16")
    low, high = image.min(), image.max()
    if low >= 0 and high <= 65535 and (image.dtype.kind != "f" or (high > 1 and (image == np.floor(image)).all())):
        smallest = np.dtype(np.uint8 if high <= 255 else np.uint16)
        notes.add(f"{image.dtype} images {AS_THEY_ARE} {smallest}")
        return image.astype(smallest)
    if image.dtype.kind != "f":
        raise DataError(f"{where}: the image holds {low} … {high}; convert it to uint8 or uint16")
    notes.add(f"{image.dtype} images rescaled, each from its minimum … maximum to 0 … 65535 (uint16)")
    span = float(high) - float(low)
    scaled = (image.astype(np.float64) - float(low)) * (65535 / span if span > 0 else 0.0)
    return np.rint(scaled).astype(np.uint16)


def one_scale(said: Iterable[str], where: str) -> None:
    """Raise `DataError` where some images of a set were stored as uint8 for their small values, and some weren't.

    Nobody knows then whether the former are 8-bit images, or dark ones of a wider range. `said` is what `Notes.lines`
    gives.
    """
    lines = list(said)
    found = [any(f"{AS_THEY_ARE} {np.dtype(kind)}" in line for line in lines) for kind in _UNSIGNED]
    if all(found):
        raise DataError(
            f"{where}: some images hold values up to 255 and some hold larger ones, in a type that doesn't say which "
            "value is white; save all as uint8, or all as uint16"
        )


def read_mask(path: Path, recipe: Recipe, notes: Notes) -> np.ndarray:
    """Read a mask file as a label map or class map; see `tidy_labels`."""
    return tidy_labels(read_numbers(path), str(path), recipe, notes)


def read_numbers(path: Path) -> np.ndarray:
    """Read a mask file as it is; raise `DataError` for a JPEG, which has other numbers than were saved."""
    if path.suffix.lower() in _LOSSY:
        raise DataError(f"{path}: a JPEG keeps no exact numbers, so it is no mask any more; save masks as png or tif")
    return read_array(path)


def tidy_labels(mask: np.ndarray, where: str, recipe: Recipe, notes: Notes) -> np.ndarray:
    """Return a mask as a label map (task `instances`) or a class map (task `semantic`).

    Where it holds the recipe's value to ignore, it becomes `IGNORED` (−1).

    Raises
    ------
    DataError
        If it is a float array, holds negative or too large numbers, is coloured, is a binary mask where instances
        are wanted, is a picture, or holds a class that has no name.
    """
    labels = whole_numbers(mask, where)
    if recipe.ignore is None:
        return _known_labels(labels, where, recipe, notes)
    ignore = labels == recipe.ignore
    notes.add(f"pixels of value {recipe.ignore} ignored", int(ignore.sum()))
    notes.add("masks with ignored pixels", int(ignore.any()))
    known = _known_labels(np.where(ignore, 0, labels), where, recipe, notes)
    return np.where(ignore, IGNORED, known.astype(np.int64))


def _known_labels(labels: np.ndarray, where: str, recipe: Recipe, notes: Notes) -> np.ndarray:
    if recipe.task == "semantic":
        return _class_map(labels, where, recipe, notes)
    if recipe.components:
        before = int((np.unique(labels) > 0).sum())
        labels = connected(labels, connectivity=2, background=0).astype(np.uint32)
        notes.add("objects made of connected pieces", int(labels.max()))
        notes.add("labels that they come from", before)
        return labels
    _refuse_binary(labels, where)
    _refuse_picture(labels, where)
    return labels


def whole_numbers(mask: np.ndarray, where: str) -> np.ndarray:
    """Return a mask as ``(height, width)`` of whole numbers 0 … 2³¹ − 1; raise `DataError` if it isn't that."""
    mask = _drop_axes(mask)
    if mask.ndim == 3 and mask.shape[2] in (3, 4):
        if not (mask[..., :3] == mask[..., :1]).all():
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


def _class_map(labels: np.ndarray, where: str, recipe: Recipe, notes: Notes) -> np.ndarray:
    present = np.unique(labels)
    if len(recipe.classes) == 2 and present[-1] in _BINARY_VALUES and np.isin(present, (0, present[-1])).all():
        notes.add(f"binary masks of 0 and {present[-1]} stored as classes 0 and 1")
        return (labels > 0).astype(np.uint8)
    if present[-1] >= len(recipe.classes):
        raise DataError(
            f"{where}: the mask holds {present[-1]}, and the {len(recipe.classes)} classes "
            f"({', '.join(recipe.classes)}) are 0 … {len(recipe.classes) - 1}; name them all by --classes a,b,…"
        )
    return labels


def _refuse_binary(labels: np.ndarray, where: str) -> None:
    """Raise `DataError` for one value in several pieces of like size: two where it is 255 or 65,535, else three."""
    high = int(labels.max())
    if high == 0 or not np.isin(labels, (0, high)).all():
        return
    count = pieces(labels)
    if count >= (2 if high in _BINARY_VALUES else 3):
        raise DataError(
            f"{where}: a binary mask, no label map: its only value is {high}, in {count} separate pieces; "
            "use --components to make each piece an object, or --task semantic"
        )


def _refuse_picture(labels: np.ndarray, where: str) -> None:
    """Raise `DataError` where most labels lie scattered over the image, as grey values do, and objects don't."""
    known = np.unique(labels)
    known = known[known > 0]
    if len(known) < SCATTERED:
        return
    count = int(connected(labels, connectivity=2, background=0).max())
    if count > SCATTERED * len(known):
        raise DataError(
            f"{where}: no label map: its {len(known)} values lie in {count} separate pieces, as those of a picture do; "
            "give a mask with one number for each object, or use --task semantic for classes"
        )


def pieces(mask: np.ndarray) -> int:
    """Count the connected pieces (8 neighbours) of a mask that have at least a quarter of the largest one's area."""
    sizes = np.bincount(connected(mask > 0, connectivity=2).ravel())[1:]
    return int((4 * sizes >= sizes.max()).sum()) if len(sizes) else 0
