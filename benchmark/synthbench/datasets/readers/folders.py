"""images/ and labels/ (or masks/) side by side, perhaps in train/, validation/ and test/.

A mask has the name of its image, or that name and ``_mask``, ``_masks``, ``_label``, ``_labels``, ``_seg``, ``_gt`` or
``_cp_masks``. Folders named for a split give the official splits; other folder names become the group ``folder``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from synthbench.datasets.files import assign_ids, by_stem, groups_from_path, image_files, subfolders, walk_folders
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_pairs
from synthbench.errors import join_names
from synthbench.samples import Sample

__all__ = ["IMAGES", "read", "sniff"]

IMAGES = ("images", "image", "imgs", "img", "raw")
MASKS = ("labels", "label", "masks", "mask", "gt", "groundtruth", "ground_truth", "annotations")
ENDINGS = ("", "_mask", "_masks", "_label", "_labels", "_seg", "_gt", "_cp_masks")
DEPTH = 3


def sniff(path: Path) -> str | None:
    """Say what is there when some folder has one of images and one of masks in it."""
    pairs = _pairs(path)
    count = sum(len(image_files(images)) for images, _, _ in pairs)
    if not count:
        return None
    names = sorted({f"{images.name}/ and {masks.name}/" for images, masks, _ in pairs})
    splits = Counter(groups.get("split", "") for images, _, groups in pairs for _ in image_files(images))
    listing = ", ".join(f"{split} {n}" for split, n in splits.items() if split)
    rest = f" ({splits['']} are in none: studies leave them out)" if splits[""] else ""
    return f"{count} images in {', '.join(names)}" + (f"; official splits: {listing}{rest}" if listing else "")


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield image after image with the mask of its name.

    Raises
    ------
    DataError
        If images have no masks, or files can't be used.
    """
    items = assign_ids([item for pair in _pairs(path) for item in _items(*pair, log)])
    yield from read_pairs(path, items, options, log)


def _pairs(path: Path) -> list[tuple[Path, Path, dict[str, str]]]:
    """Return folders of images with their folders of masks, and the groups that their place tells."""
    if not path.is_dir():
        return []
    found = []
    for root in walk_folders(path, DEPTH):
        children = {child.name.lower(): child for child in subfolders(root)}
        images = next((children[name] for name in IMAGES if name in children), None)
        masks = next((children[name] for name in MASKS if name in children), None)
        if images is None or masks is None:
            continue
        below = groups_from_path(path, root)
        if image_files(images):
            found.append((images, masks, below))
        found += [
            (child, masks / child.name, {**below, **groups_from_path(images, child)})
            for child in subfolders(images)
            if (masks / child.name).is_dir() and image_files(child)
        ]
    return found


def _items(images: Path, masks: Path, groups: dict[str, str], log: ImportLog) -> list[FoundImage]:
    by_name = by_stem(image_files(masks), log)
    items, bare = [], []
    for stem, image in by_stem(image_files(images), log).items():
        mask = next((by_name.pop(name) for name in _names(stem) if name in by_name), None)
        if mask is None:
            bare.append(image)
        else:
            items.append(FoundImage(stem, image, (mask,), groups))
    left = f"; masks without an image there: {join_names(mask.name for mask in by_name.values())}" if by_name else ""
    for image in bare:
        log.add_problem(
            f"{image}: has no mask; add {masks / image.stem}.png (or .tif), or take the image away"
            + (left if image is bare[-1] else "")
        )
    log.count(f"masks without an image in {masks.name}/, left out", len(by_name))
    return items


def _names(stem: str) -> list[str]:
    """Return what the mask of an image may be called, the likeliest first; ``a.ome.tif`` may go with ``a.tif``."""
    bare = stem.removesuffix(".ome")
    return [
        *(stem + end for end in ENDINGS),
        *(bare + end for end in ENDINGS),
        *(f"{bare}{end}.ome" for end in ENDINGS),
    ]
