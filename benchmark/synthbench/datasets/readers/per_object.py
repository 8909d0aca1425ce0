"""The form of the 2018 Data Science Bowl: ``<id>/images/<id>.png`` and one mask per object in ``<id>/masks/``.

Of overlapping objects the smaller lies on top. A folder of ids that is named for a split gives the official split.
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

__all__ = ["read", "sniff"]

DEPTH = 2


def sniff(path: Path) -> str | None:
    """Say what is there when folders hold one image of their own name in images/, and masks in masks/."""
    items = _items(path, ImportLog())
    if not items:
        return None
    count = sum(len(item.masks) for item in items)
    return f"{len(items)} images with {count} objects, one mask file per object"


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield image after image; its objects are numbered in the order of their mask files' names.

    Raises
    ------
    DataError
        If a file can't be used, or a mask differs from its image in size.
    """
    items = assign_ids(_items(path, log))
    log.expect(items)
    for name, item in items:
        with log.collecting_errors():
            image = read_image(item.image, log)
            stamps = []
            for value, mask_at in enumerate(item.masks, start=1):
                with log.collecting_errors():
                    stamps.append(_stamp(mask_at, image, item, value if options.task == "instances" else 1, log))
            labels = paint_objects(stamps, (image.shape[0], image.shape[1]), log)
            yield make_sample(name, image, labels.astype(np.uint32), item.groups, str(item.image), str(item.image))
    log.raise_problems(path)


def _stamp(mask_at: Path, image: np.ndarray, item: FoundImage, value: int, log: ImportLog) -> ObjectMask:
    mask = to_integers(decode_mask(mask_at, log), str(mask_at)) > 0
    if mask.shape != image.shape[:2]:
        sizes = [f"{a.shape[0]}×{a.shape[1]}" for a in (mask, image)]
        raise DataError(f"{mask_at}: the mask is {sizes[0]} and its image {item.image} is {sizes[1]}")
    return ObjectMask.of(mask, value)


def _items(path: Path, log: ImportLog) -> list[FoundImage]:
    if not path.is_dir():
        return []
    found, bare = [], []
    for folder in walk_folders(path, DEPTH):
        image = _own_image(folder)
        if image is None:
            continue
        groups = groups_from_path(path, folder.parent) if folder != path else {}
        if (folder / "masks").is_dir():
            found.append(FoundImage(folder.name, image, tuple(image_files(folder / "masks")), groups))
        else:
            bare.append(image)
    annotated = {item.image.parents[2] for item in found}
    for image in bare:
        if image.parents[2] in annotated:
            log.add_problem(
                f"{image}: has no masks/ beside images/; add the masks, or take {image.parents[1].name}/ away"
            )
    if found:
        log.count("images of a folder without any masks, left out", len(bare))
    return found


def _own_image(folder: Path) -> Path | None:
    inside = folder / "images"
    files = image_files(inside) if inside.is_dir() else []
    return files[0] if len(files) == 1 and files[0].stem == folder.name else None
