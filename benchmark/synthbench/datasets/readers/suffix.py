"""Cellpose's form: each image beside its mask, which has the image's name and ``_masks``.

``a.tif`` or ``a_img.tif`` goes with ``a_masks.tif``, ``a_mask.png`` or ``a_cp_masks.png``. What Cellpose writes beside
them (``a_flows_cp_masks.tif``, ``a_outlines_cp_masks.png``, ``a_cp_output_cp_masks.png`` …) is left aside. The
``_seg.npy`` files that it writes as well are pickles, and aren't opened.
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
    """Say what is there when some folder holds files that end in ``_masks``."""
    if not path.is_dir():
        return None
    count = sum(len(_masks(folder, ImportLog())) for folder in walk_folders(path, DEPTH))
    return f"{count} images beside their masks, which end in _masks" if count else None


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield image after image with its mask; raise `DataError` for all that is there without the other."""
    items = assign_ids([item for folder in walk_folders(path, DEPTH) for item in _items(path, folder, log)])
    yield from read_pairs(path, items, options, log)


def _by_products(folder: Path) -> list[Path]:
    """Return what Cellpose writes beside the masks: flows, outlines and figures, with the masks' endings or without.

    A picture is one when the image that it was made of is there as well, so that a name may end as theirs do.
    """
    files = image_files(folder)
    stems = {nfc(file.stem) for file in files}
    found = []
    for file in files:
        match = _BY_PRODUCT.fullmatch(nfc(file.stem))
        if match and {match["image"], f"{match['image']}_img"} & stems:
            found.append(file)
    return found


def _masks(folder: Path, log: ImportLog) -> dict[str, Path]:
    """Return the masks of a folder by the name of their image."""
    found: dict[str, Path] = {}
    others = set(_by_products(folder))
    for mask in image_files(folder):
        match = _MASK.fullmatch(nfc(mask.stem)) if mask not in others else None
        if not match:
            continue
        other = found.setdefault(match["stem"], mask)
        if other is not mask:
            log.add_problem(f"{mask} and {other.name} are masks of one image; take one of them away")
    return found


def _items(root: Path, folder: Path, log: ImportLog) -> list[FoundImage]:
    masks = _masks(folder, log)
    if not masks:
        return []
    apart = {*masks.values(), *_by_products(folder)}
    images = by_stem([p for p in image_files(folder) if p not in apart and not _MASK.fullmatch(nfc(p.stem))], log)
    groups = groups_from_path(root, folder)
    items = []
    for stem, image in images.items():
        name = stem if stem in masks else stem.removesuffix("_img")
        if name in masks:
            items.append(FoundImage(name, image, (masks.pop(name),), groups))
        else:
            log.add_problem(f"{image}: has no mask; add {folder / name}_masks.png (or .tif), or take the image away")
    for stem, mask in masks.items():
        log.add_problem(f"{mask}: has no image; add {folder / stem}.png (or .tif), or take the mask away")
    return items
