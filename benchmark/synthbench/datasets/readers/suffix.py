"""Cellpose's layout: each image beside its mask, whose name is that of the image followed by ``_masks``.

``a.tif`` or ``a_img.tif`` belongs to ``a_masks.tif``, ``a_mask.png`` or ``a_cp_masks.png``. Cellpose's other output
(``a_flows_cp_masks.tif``, ``a_outlines_cp_masks.png``, ``a_cp_output_cp_masks.png`` …) is ignored. Its ``_seg.npy``
files are pickles and aren't opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from synthbench.datasets.files import assign_ids, by_stem, groups_from_path, image_files, nfc, walk_folders
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_pairs
from synthbench.samples import Sample

__all__ = ["read", "sniff"]

DEPTH = 2
_MASK = re.compile(r"(?P<stem>.+?)(?:_cp)?_masks?")
_BY_PRODUCT = re.compile(
    r"(?P<image>.+?)(?:_cp)?_(?:flows?|dP|outlines|output|styles|probs?|cellprob|overlay)(?:(?:_cp)?_masks?)?"
)


def sniff(path: Path) -> str | None:
    """Describe the images if a folder contains files that end in ``_masks``."""
    if not path.is_dir():
        return None
    count = sum(len(_masks(folder, ImportLog())) for folder in walk_folders(path, DEPTH))
    return f"{count} images beside their masks, which end in _masks" if count else None


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield each image with its mask.

    Raises
    ------
    DataError
        If an image has no mask, a mask no image, or files can't be used.
    """
    items = assign_ids([item for folder in walk_folders(path, DEPTH) for item in _items(path, folder, log)])
    yield from read_pairs(path, items, options, log)


def _by_products(folder: Path) -> list[Path]:
    """Return the other output of Cellpose: flows, outlines and figures, with or without ``_masks`` in their names.

    A file counts as such only if the image that it was made from is there too, so an image may have a similar name.
    """
    files = image_files(folder)
    stems = {nfc(file.stem) for file in files}
    by_products = []
    for file in files:
        match = _BY_PRODUCT.fullmatch(nfc(file.stem))
        if match and {match["image"], f"{match['image']}_img"} & stems:
            by_products.append(file)
    return by_products


def _masks(folder: Path, log: ImportLog) -> dict[str, Path]:
    """Return the masks of a folder, by the names of their images."""
    masks: dict[str, Path] = {}
    by_products = set(_by_products(folder))
    for mask in image_files(folder):
        match = _MASK.fullmatch(nfc(mask.stem)) if mask not in by_products else None
        if not match:
            continue
        other = masks.setdefault(match["stem"], mask)
        if other is not mask:
            log.add_problem(f"{mask} and {other.name} are masks of the same image; remove one of them")
    return masks


def _items(root: Path, folder: Path, log: ImportLog) -> list[FoundImage]:
    masks = _masks(folder, log)
    if not masks:
        return []
    not_images = {*masks.values(), *_by_products(folder)}
    images = by_stem(
        [file for file in image_files(folder) if file not in not_images and not _MASK.fullmatch(nfc(file.stem))], log
    )
    groups = groups_from_path(root, folder)
    items = []
    for stem, image in images.items():
        name = stem if stem in masks else stem.removesuffix("_img")
        if name in masks:
            items.append(FoundImage(name, image, (masks.pop(name),), groups))
        else:
            log.add_problem(f"{image}: has no mask; add {folder / name}_masks.png (or .tif), or remove the image")
    for stem, mask in masks.items():
        log.add_problem(f"{mask}: has no image; add {folder / stem}.png (or .tif), or remove the mask")
    return items
