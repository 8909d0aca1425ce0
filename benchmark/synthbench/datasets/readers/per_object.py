"""The layout of the 2018 Data Science Bowl: ``<id>/images/<id>.png`` and one mask per object in ``<id>/masks/``.

Where objects overlap, the smaller one is on top. A folder of ids that is named after a split defines the
official split.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synthbench.datasets.decoding import decode_mask
from synthbench.datasets.files import assign_ids, groups_from_path, image_files, walk_folders
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.overlaps import ObjectMask, paint_objects
from synthbench.datasets.pixels import make_sample, read_image, to_integers
from synthbench.errors import DataError
from synthbench.samples import Sample
from synthbench.types import AnyArray

__all__ = ["read", "sniff"]

DEPTH = 2


def sniff(path: Path) -> str | None:
    """Describe the folders if each has an image of its name in images/ and masks in masks/."""
    items = _items(path, ImportLog())
    if not items:
        return None
    count = sum(len(item.masks) for item in items)
    return f"{len(items)} images with {count} objects, one mask file per object"


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield each image; its objects are numbered in the order of the names of their mask files.

    Raises
    ------
    DataError
        If a file can't be used, or a mask and its image differ in size.
    """
    items = assign_ids(_items(path, log))
    log.expect(items)
    for name, item in items:
        with log.collecting_errors():
            image = read_image(item.image, log)
            masks = []
            for number, mask_path in enumerate(item.masks, start=1):
                with log.collecting_errors():
                    value = number if options.task == "instances" else 1
                    masks.append(_object_mask(mask_path, image, item, value, log))
            labels = paint_objects(masks, (image.shape[0], image.shape[1]), log)
            yield make_sample(name, image, labels.astype(np.uint32), item.groups, str(item.image), str(item.image))
    log.raise_problems(path)


def _object_mask(mask_path: Path, image: AnyArray, item: FoundImage, value: int, log: ImportLog) -> ObjectMask:
    mask = to_integers(decode_mask(mask_path, log), str(mask_path)) > 0
    if mask.shape != image.shape[:2]:
        sizes = [f"{array.shape[0]}×{array.shape[1]}" for array in (mask, image)]
        raise DataError(f"{mask_path}: the mask is {sizes[0]} and its image {item.image} is {sizes[1]}")
    return ObjectMask.of(mask, value)


def _items(path: Path, log: ImportLog) -> list[FoundImage]:
    if not path.is_dir():
        return []
    items, without_masks = [], []
    for folder in walk_folders(path, DEPTH):
        image = _image_of(folder)
        if image is None:
            continue
        groups = groups_from_path(path, folder.parent) if folder != path else {}
        if (folder / "masks").is_dir():
            items.append(FoundImage(folder.name, image, tuple(image_files(folder / "masks")), groups))
        else:
            without_masks.append(image)
    annotated = {item.image.parents[2] for item in items}
    for image in without_masks:
        if image.parents[2] in annotated:
            log.add_problem(f"{image}: no masks/ beside images/; add the masks, or remove {image.parents[1].name}/")
    if items:
        log.count("images of a folder without any masks, omitted", len(without_masks))
    return items


def _image_of(folder: Path) -> Path | None:
    images = folder / "images"
    files = image_files(images) if images.is_dir() else []
    return files[0] if len(files) == 1 and files[0].stem == folder.name else None
