"""images/ and labels/ (or masks/) side by side, perhaps in train/, validation/ and test/.

A mask has the name of its image, or that name followed by ``_mask``, ``_masks``, ``_label``, ``_labels``, ``_seg``,
``_gt`` or ``_cp_masks``. Folders named after a split define the official splits; other folder names become the group
``folder``.
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
    """Describe the folders if one of them contains a folder of images and a folder of masks."""
    pairs = _pairs(path)
    count = sum(len(image_files(images)) for images, _, _ in pairs)
    if not count:
        return None
    names = sorted({f"{images.name}/ and {masks.name}/" for images, masks, _ in pairs})
    splits = Counter(groups.get("split", "") for images, _, groups in pairs for _ in image_files(images))
    listed = ", ".join(f"{split} {n}" for split, n in splits.items() if split)
    rest = f" ({splits['']} are in no split: studies don't use them)" if splits[""] else ""
    return f"{count} images in {', '.join(names)}" + (f"; official splits: {listed}{rest}" if listed else "")


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield each image with its mask.

    Raises
    ------
    DataError
        If images have no masks, or files can't be used.
    """
    items = assign_ids([item for pair in _pairs(path) for item in _items(*pair, log)])
    yield from read_pairs(path, items, options, log)


def _pairs(path: Path) -> list[tuple[Path, Path, dict[str, str]]]:
    """Return folders of images with their folders of masks, and the groups that follow from their paths."""
    if not path.is_dir():
        return []
    pairs = []
    for root in walk_folders(path, DEPTH):
        children = {child.name.lower(): child for child in subfolders(root)}
        images = next((children[name] for name in IMAGES if name in children), None)
        masks = next((children[name] for name in MASKS if name in children), None)
        if images is None or masks is None:
            continue
        groups = groups_from_path(path, root)
        if image_files(images):
            pairs.append((images, masks, groups))
        pairs += [
            (child, masks / child.name, {**groups, **groups_from_path(images, child)})
            for child in subfolders(images)
            if (masks / child.name).is_dir() and image_files(child)
        ]
    return pairs


def _items(images: Path, masks: Path, groups: dict[str, str], log: ImportLog) -> list[FoundImage]:
    mask_files = by_stem(image_files(masks), log)
    items, without_mask = [], []
    for stem, image in by_stem(image_files(images), log).items():
        mask = next((mask_files.pop(name) for name in _names(stem) if name in mask_files), None)
        if mask is None:
            without_mask.append(image)
        else:
            items.append(FoundImage(stem, image, (mask,), groups))
    unmatched = (
        f"; masks without an image there: {join_names(mask.name for mask in mask_files.values())}" if mask_files else ""
    )
    for image in without_mask:
        log.add_problem(
            f"{image}: has no mask; add {masks / image.stem}.png (or .tif), or remove the image"
            + (unmatched if image is without_mask[-1] else "")
        )
    log.count(f"masks without an image in {masks.name}/, omitted", len(mask_files))
    return items


def _names(stem: str) -> list[str]:
    """Return possible names of the mask of an image, in order of preference; ``a.ome.tif`` may belong to ``a.tif``."""
    plain = stem.removesuffix(".ome")
    return [
        *(stem + end for end in ENDINGS),
        *(plain + end for end in ENDINGS),
        *(f"{plain}{end}.ome" for end in ENDINGS),
    ]
