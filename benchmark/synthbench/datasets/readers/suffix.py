"""Cellpose's form: each image beside its mask, which has the image's name and ``_masks``.

``a.tif`` or ``a_img.tif`` goes with ``a_masks.tif``, ``a_mask.png`` or ``a_cp_masks.png``. The ``_seg.npy`` files that
Cellpose writes as well are pickles, and aren't opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from synthbench.datasets.pixels import read_image, read_mask, sample_of
from synthbench.datasets.recipe import Notes, Recipe
from synthbench.datasets.walk import Item, by_stem, folders, groups_of, pictures, with_ids
from synthbench.errors import DataError
from synthbench.samples import Sample

DEPTH = 2
_MASK = re.compile(r"(?P<stem>.+?)(?:_cp)?_masks?")
_BY_PRODUCT = re.compile(r".+(_flows|_dP|_outlines|_cp_output|_styles|_probs?)")


def sniff(path: Path) -> str | None:
    """Say what is there when some folder holds files that end in ``_masks``."""
    if not path.is_dir():
        return None
    count = sum(len(_masks(folder)) for folder in folders(path, DEPTH))
    return f"{count} images beside their masks, which end in _masks" if count else None


def read(path: Path, recipe: Recipe, notes: Notes) -> Iterator[Sample]:
    """Yield image after image with its mask; raise `DataError` for either without the other."""
    items = with_ids([item for folder in folders(path, DEPTH) if _masks(folder) for item in _items(path, folder)])
    notes.total += len(items)
    for name, item in items:
        image = read_image(item.image, notes)
        labels = read_mask(item.masks[0], recipe, notes)
        yield sample_of(name, image, labels, item.groups, str(item.image), str(item.masks[0]))


def _masks(folder: Path) -> dict[str, Path]:
    """Return the masks of a folder by the name of their image."""
    found: dict[str, Path] = {}
    for mask in pictures(folder):
        match = _MASK.fullmatch(mask.stem)
        if not match:
            continue
        if match["stem"] in found:
            raise DataError(f"{mask} and {found[match['stem']].name} are masks of one image; take one of them away")
        found[match["stem"]] = mask
    return found


def _items(root: Path, folder: Path) -> list[Item]:
    masks = _masks(folder)
    others = [p for p in pictures(folder) if p not in masks.values() and not _BY_PRODUCT.fullmatch(p.stem)]
    images = by_stem(others)
    groups = groups_of(root, folder)
    items = []
    for stem, image in images.items():
        name = stem if stem in masks else stem.removesuffix("_img")
        if name not in masks:
            raise DataError(f"{image}: has no mask; add {folder / name}_masks.png (or .tif), or take the image away")
        items.append(Item(name, image, (masks.pop(name),), groups))
    for stem, mask in masks.items():
        raise DataError(f"{mask}: has no image; add {folder / stem}.png (or .tif), or take the mask away")
    return items
