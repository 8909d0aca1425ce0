"""COCO's JSON files, and the pictures that belong to them."""

from __future__ import annotations

import json
import mmap
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from synthbench.datasets.files import groups_from_path, is_image_file, nfc, split_of, walk_folders
from synthbench.datasets.import_options import ImportLog
from synthbench.errors import DataError, join_names

__all__ = [
    "ImageIndex",
    "ListedImage",
    "assign_shared_images",
    "by_number",
    "category_names",
    "json_files",
    "list_images",
    "load_json",
    "normalise_id",
]

DEPTH = 2
PICTURE_DEPTH = 4
_LISTS = ("images", "annotations")
_ORDER = ("test", "validation", "train")
"""Of the splits that list one image, the first of these keeps it."""


@dataclass
class ListedImage:
    """A picture that a JSON file lists.

    Attributes
    ----------
    path : Path
    groups : dict
    keys : list of str
        Its ids, as `normalise_id` gives them: several where the file lists it several times.
    sizes : set of (height, width)
        As the file has them, where it does.
    """

    path: Path
    groups: dict[str, str]
    keys: list[str] = field(default_factory=list)
    sizes: set[tuple[float, float]] = field(default_factory=set)


def json_files(path: Path) -> list[Path]:
    """Return the file, or the JSON files at most two levels below the folder, that hold images and annotations."""
    if path.is_file():
        return [path] if _looks_right(path) else []
    if not path.is_dir():
        return []
    return [file for folder in walk_folders(path, DEPTH) for file in sorted(folder.iterdir()) if _looks_right(file)]


def _looks_right(path: Path) -> bool:
    """Whether a JSON file has the two keys, found without parsing it: these files can be large."""
    if path.suffix.lower() != ".json" or path.name.startswith(".") or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(b'"annotations"') >= 0 and text.find(b'"images"') >= 0


def load_json(path: Path) -> dict[str, Any]:
    """Return a file's content: lists ``images``, ``annotations`` and ``categories``, of objects.

    A byte order mark is passed over; annotations may also be an object of objects, as in LIVECell's files of single
    cells; categories may be missing.

    Raises
    ------
    DataError
        If it isn't that.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise DataError(f"{path}: is nested too deeply to be a COCO file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: can't be read: {str(error)[:200]}") from None
    if isinstance(content, dict) and isinstance(content.get("annotations"), dict):
        content["annotations"] = list(content["annotations"].values())
    if isinstance(content, dict) and content.get("categories") is None:
        content["categories"] = []
    if not isinstance(content, dict) or not all(
        isinstance(content.get(name), list) and all(isinstance(row, dict) for row in content[name])
        for name in (*_LISTS, "categories")
    ):
        raise DataError(f"{path}: is no COCO file; it needs lists 'images' and 'annotations' of objects")
    return content


def normalise_id(value: Any) -> str | None:
    """Return an id as text, the same for 7, 7.0 and "7"; None for what can be no id.

    >>> key(7.0), key("a"), key(None)
    ('7', 'a', None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def category_names(content: dict[str, Any]) -> dict[str, str]:
    """Return the name of each category that occurs in the annotations, by its id; one without a name has its id."""
    names = {normalise_id(row.get("id")): row.get("name") for row in content["categories"]}
    used = {normalise_id(row.get("category_id")) for row in content["annotations"]}
    return {one: str(names.get(one) or one) for one in sorted(map(str, used), key=by_number)}


def by_number(text: str) -> tuple[bool, int, str]:
    """Return a sort key: decimal numbers by value first, then any other text."""
    plain = text.isdecimal() and len(text) < 20
    return (not plain, int(text) if plain else 0, text)


def list_images(content: dict[str, Any], file: Path, shelf: ImageIndex, log: ImportLog) -> dict[Path, ListedImage]:
    """Return the pictures that a file lists, in its order; what is missing or twofold is a problem in `log`."""
    split = split_of(file.stem)
    found: dict[Path, ListedImage] = {}
    owner: dict[str, Path] = {}
    missing: list[str] = []
    for row in content["images"]:
        name, one = row.get("file_name"), normalise_id(row.get("id"))
        if not isinstance(name, str) or one is None:
            log.add_problem(f"{file}: an image has no file_name or no id: {str(row)[:80]}")
            continue
        with log.collecting_errors():
            path = shelf.find(name, split, file)
            if path is None:
                missing.append(name)
                continue
            if owner.setdefault(one, path) != path:
                raise DataError(f"{file}: {owner[one].name} and {path.name} have one id, {one}; give each its own")
            groups = {**groups_from_path(shelf.root, path.parent), **({"split": split} if split else {})}
            image = found.setdefault(path, ListedImage(path, groups))
            if one not in image.keys:
                image.keys.append(one)
            image.sizes |= {size for size in [(row.get("height"), row.get("width"))] if all(map(_is_size, size))}
    if missing:
        what = f"the image {missing[0]} is" if len(missing) == 1 else f"{len(missing)} images are"
        which = "" if len(missing) == 1 else f": {join_names(missing)}"
        there = "it" if len(missing) == 1 else "them"
        log.add_problem(f"{file}: {what} not below {shelf.root}; put {there} there{which}")
    return found


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def assign_shared_images(files: dict[Path, dict[Path, ListedImage]], log: ImportLog) -> None:
    """Leave a picture that the files of several splits list to one of them: test before validation before train.

    Nothing that is trained on is tested on then, and the sets that results are compared on stay as published. Files
    that aren't named for different splits may not share pictures: that is a problem in `log`.
    """
    order = sorted(files, key=lambda file: _rank(split_of(file.stem)))
    for later, file in enumerate(order):
        for other in order[:later]:
            shared = [path for path in files[file] if path in files[other]]
            if not shared:
                continue
            splits = [split_of(one.stem) for one in (other, file)]
            if None in splits or splits[0] == splits[1]:
                log.add_problem(
                    f"{shared[0]}: is listed in {other.name} and in {file.name}"
                    + (f", as are {len(shared) - 1} others" if len(shared) > 1 else "")
                    + "; import one of these files alone"
                )
            else:
                what = f"images listed in {splits[0]} and in {splits[1]}, kept in {splits[0]} alone"
                log.count(what, len(shared))
            for path in shared:
                del files[file][path]


def _rank(split: str | None) -> int:
    return _ORDER.index(split) if split in _ORDER else len(_ORDER)


class ImageIndex:
    """The picture files that belong to some JSON files."""

    def __init__(self, path: Path) -> None:
        root = path if path.is_dir() else path.parent
        if not path.is_dir() and root.name.lower() in ("annotations", "annotation", "labels"):
            root = root.parent
        self.root = root
        self.files: dict[str, list[Path]] = defaultdict(list)
        for folder in walk_folders(root, PICTURE_DEPTH) if root.is_dir() else ():
            for file in sorted(folder.iterdir()):
                if is_image_file(file):
                    self.files[nfc(file.name)].append(file)
        self.loosely: dict[str, list[Path]] = defaultdict(list)
        for name, paths in self.files.items():
            self.loosely[name.casefold()] += paths

    def find(self, name: str, split: str | None, where: Path) -> Path | None:
        """Return the file that a JSON file's ``file_name`` means: by its path's end, then by its split.

        Letters may be written in one or two characters, and in either case where nothing else has that name.

        Raises
        ------
        DataError
            If it could be either of two files.
        """
        parts = PurePosixPath(nfc(name).replace("\\", "/")).parts
        last = parts[-1] if parts else ""
        hits = self.files.get(last) or self.loosely.get(last.casefold()) or []
        for narrower in (
            [p for p in hits if tuple(map(nfc, p.parts[-len(parts) :])) == parts],
            [p for p in hits if split and groups_from_path(self.root, p.parent).get("split") == split],
        ):
            hits = narrower if len(hits) > 1 and narrower else hits
        if len(hits) > 1:
            raise DataError(f"{where}: the image {name} could be {hits[0]} or {hits[1]}; give its folder in file_name")
        return hits[0] if hits else None
