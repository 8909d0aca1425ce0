"""COCO JSON: polygons, and run-length encoded masks in both forms, decoded by pycocotools.

Of overlapping objects the smaller lies on top; of two equally large ones, the later. Crowd regions (``iscrowd: 1``)
are groups of objects, and are left out. A JSON file that is named for a split gives the official split.
"""

from __future__ import annotations

import json
import mmap
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as rle_masks

from synthbench.datasets.overlaps import Stamp, paint
from synthbench.datasets.pixels import read_image
from synthbench.datasets.recipe import Notes, Recipe
from synthbench.datasets.walk import Item, folders, groups_of, is_picture, split_of, with_ids
from synthbench.errors import ConfigError, DataError, nearest
from synthbench.samples import Sample

DEPTH = 2
PICTURE_DEPTH = 4


def sniff(path: Path) -> str | None:
    """Say what is there when the file, or a JSON file in the folder, has ``images`` and ``annotations``."""
    found = _json_files(path)
    return f"COCO annotations in {', '.join(p.name for p in found)}" if found else None


def classes(path: Path) -> tuple[str, ...]:
    """Return the names of the classes: background, and the categories that occur, in the order of their ids."""
    names: dict[int, str] = {}
    for file in _json_files(path):
        content = _load(file)
        used = {row.get("category_id") for row in content["annotations"]}
        names.update({row["id"]: str(row["name"]) for row in content.get("categories", ()) if row["id"] in used})
    return ("background", *(name for _, name in sorted(names.items()) if name != "background"))


def read(path: Path, recipe: Recipe, notes: Notes) -> Iterator[Sample]:
    """Yield the images of one JSON file after another; objects are numbered in the order of their annotations.

    Raises
    ------
    DataError
        If a JSON file is damaged, an image is missing or of another size, or a mask can't be decoded.
    ConfigError
        If a category isn't one of the recipe's classes.
    """
    seen: dict[Path, str] = {}
    ids: set[str] = set()
    shelf = _Shelf(path)
    for file in _json_files(path):
        content = _load(file)
        values = _values(content, recipe, file, notes)
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for row in content["annotations"]:
            by_image[row.get("image_id")].append(row)
        images = _images(content, file, shelf, seen)
        notes.total += len(images)
        drawn = 0
        for name, item, image_id in images:
            if name in ids:
                name = "-".join([split_of(file.stem) or file.stem, name])  # noqa: PLW2901
            ids.add(name)
            image = read_image(item.image, notes)
            stamps = _stamps(by_image.pop(image_id, []), values, image, f"{file}: image {item.image.name}", notes)
            drawn += len(stamps)
            shape = (image.shape[0], image.shape[1])
            yield Sample(name, image, paint(stamps, shape, notes), item.groups)
        notes.add("annotations of images that aren't listed, left out", sum(map(len, by_image.values())))
        if content["annotations"] and not drawn:
            raise DataError(
                f"{file}: no annotation has a mask of a single object; boxes alone and crowds (iscrowd: 1) don't count"
            )


class _Shelf:
    """The picture files that belong to some JSON files."""

    def __init__(self, path: Path) -> None:
        root = path if path.is_dir() else path.parent
        if not path.is_dir() and root.name.lower() in ("annotations", "annotation", "labels"):
            root = root.parent
        self.root = root
        self.files: dict[str, list[Path]] = defaultdict(list)
        for folder in folders(root, PICTURE_DEPTH) if root.is_dir() else ():
            for file in folder.iterdir():
                if is_picture(file):
                    self.files[file.name].append(file)

    def find(self, name: str, split: str | None, where: Path) -> Path:
        """Return the file that a JSON file's ``file_name`` means: by its path's end, then by its split."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        hits = self.files.get(parts[-1], []) if parts else []
        if not hits:
            raise DataError(f"{where}: the image {name} is not below {self.root}; put it there")
        for narrower in (
            [p for p in hits if p.parts[-len(parts) :] == parts],
            [p for p in hits if split and groups_of(self.root, p.parent).get("split") == split],
        ):
            hits = narrower if len(hits) > 1 and narrower else hits
        if len(hits) > 1:
            raise DataError(f"{where}: the image {name} could be {hits[0]} or {hits[1]}; give its folder in file_name")
        return hits[0]


def _json_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if _looks_right(path) else []
    if not path.is_dir():
        return []
    return [file for folder in folders(path, DEPTH) for file in sorted(folder.glob("*.json")) if _looks_right(file)]


def _looks_right(path: Path) -> bool:
    """Whether a JSON file has the two keys, found without parsing it: these files can be large."""
    if path.suffix.lower() != ".json" or path.name.startswith(".") or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(b'"annotations"') >= 0 and text.find(b'"images"') >= 0


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: can't be read: {error}") from None
    lists = ("images", "annotations")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) and all(isinstance(row, dict) for row in content[key]) for key in lists
    ):
        raise DataError(f"{path}: is no COCO file; it needs lists 'images' and 'annotations' of objects")
    return content


def _values(content: dict[str, Any], recipe: Recipe, file: Path, notes: Notes) -> dict[Any, int] | None:
    """Return the class of each category id; None for instances, where objects are numbered instead."""
    names = {row.get("id"): str(row.get("name")) for row in content.get("categories", ())}
    used = {row.get("category_id") for row in content["annotations"]}
    if recipe.task == "instances":
        if len(used) > 1:
            notes.add(
                "annotations whose categories were not kept (instances have no class)", len(content["annotations"])
            )
        return None
    found = {}
    for category in used:
        name = names.get(category, str(category))
        if name not in recipe.classes:
            hint = nearest(name, recipe.classes) or f"; the classes are: {', '.join(recipe.classes)}"
            raise ConfigError(f"{file}: the category {name!r} is no class{hint}; leave out --classes to take them all")
        found[category] = list(recipe.classes).index(name)
    return found


def _images(content: dict[str, Any], file: Path, shelf: _Shelf, seen: dict[Path, str]) -> list[tuple[str, Item, Any]]:
    split = split_of(file.stem)
    items, image_ids = [], []
    for row in content["images"]:
        if not isinstance(row.get("file_name"), str) or "id" not in row:
            raise DataError(f"{file}: an image has no file_name or no id: {str(row)[:80]}")
        found = shelf.find(row["file_name"], split, file)
        if found in seen:
            raise DataError(f"{found}: is listed in {seen[found]} and in {file.name}; import one of these files alone")
        seen[found] = file.name
        groups = {**groups_of(shelf.root, found.parent), **({"split": split} if split else {})}
        groups.pop("folder", None)
        items.append(Item(found.stem, found, (), groups))
        image_ids.append(row["id"])
    return [(name, item, image_id) for (name, item), image_id in zip(with_ids(items), image_ids, strict=True)]


def _stamps(
    rows: list[dict[str, Any]], values: dict[Any, int] | None, image: np.ndarray, where: str, notes: Notes
) -> list[Stamp]:
    stamps: list[Stamp] = []
    for row in rows:
        if row.get("iscrowd"):
            notes.add("crowd regions, left out")
            continue
        encoded = _encoded(row.get("segmentation"), image.shape[0], image.shape[1], where, notes)
        if encoded is None:
            continue
        x, y, width, height = (int(v) for v in rle_masks.toBbox(encoded))
        window = rle_masks.decode(encoded)[y : y + height, x : x + width].astype(bool)
        stamps.append(Stamp(y, x, window, len(stamps) + 1 if values is None else values[row.get("category_id")]))
    return stamps


def _encoded(segmentation: Any, height: int, width: int, where: str, notes: Notes) -> Any:
    """Return a segmentation as pycocotools' compressed run lengths; None when there is nothing in it."""
    if isinstance(segmentation, list):
        polygons = [p for p in segmentation if isinstance(p, list) and len(p) >= 6 and len(p) % 2 == 0]
        notes.add("polygons of fewer than three points, dropped", len(segmentation) - len(polygons))
        if not polygons:
            notes.add("annotations without a mask, left out")
            return None
        try:
            return rle_masks.merge(rle_masks.frPyObjects(polygons, height, width))
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}: a polygon can't be read: {error}") from None
    if not isinstance(segmentation, dict):
        notes.add("annotations without a mask, left out")
        return None
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise DataError(f"{where}: a mask is for {size} (height, width) and the image is {[height, width]}")
    if isinstance(counts, str):
        counts = _runs(counts, where)
    if (
        not isinstance(counts, list)
        or not all(isinstance(run, int) and run >= 0 for run in counts)
        or sum(counts) != height * width
    ):
        raise DataError(f"{where}: the run lengths of a mask don't fill the image; the file is damaged")
    return rle_masks.frPyObjects({"size": [height, width], "counts": counts}, height, width)


def _runs(text: str, where: str) -> list[int]:
    """Return the run lengths of COCO's compressed form, so that they can be checked before C code follows them.

    Each number is written in groups of five bits, the lowest first, as characters from ``0`` on; bit 32 says that
    more follow, and bit 16 of the last is the sign. From the third on they are differences to the run but one before.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise DataError(f"{where}: the run lengths of a mask hold {character!r}; the file is damaged")
        number |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs
