"""COCO's JSON files, and the image files that belong to them."""

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

JSON_DEPTH = 2
IMAGE_DEPTH = 4
_LISTS = ("images", "annotations")
_ORDER = ("test", "validation", "train")
"""Priority of splits: an image that several list stays in the first of these."""


@dataclass
class ListedImage:
    """An image that a JSON file lists.

    Attributes
    ----------
    path : Path
    groups : dict
    keys : list of str
        Its ids, from `normalise_id`; several if the file lists the image several times.
    sizes : set of (height, width)
        As stated in the JSON file, if they are.
    """

    path: Path
    groups: dict[str, str]
    keys: list[str] = field(default_factory=list)
    sizes: set[tuple[float, float]] = field(default_factory=set)


def json_files(path: Path) -> list[Path]:
    """Return the file, or the JSON files at most two levels below the folder, that hold images and annotations."""
    if path.is_file():
        return [path] if _is_coco(path) else []
    if not path.is_dir():
        return []
    return [file for folder in walk_folders(path, JSON_DEPTH) for file in sorted(folder.iterdir()) if _is_coco(file)]


def _is_coco(path: Path) -> bool:
    """Tell whether a JSON file has both keys, without parsing it: these files can be large."""
    if path.suffix.lower() != ".json" or path.name.startswith(".") or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(b'"annotations"') >= 0 and text.find(b'"images"') >= 0


def load_json(path: Path) -> dict[str, Any]:
    """Return a file's content: lists ``images``, ``annotations`` and ``categories``, of objects.

    A byte order mark is ignored. Annotations may also be an object of objects, as in LIVECell's files of single cells.
    Categories may be missing.

    Raises
    ------
    DataError
        If the file can't be read, or isn't of this form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise DataError(f"{path}: not a COCO file: nested too deeply") from None
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
        raise DataError(f"{path}: not a COCO file: 'images' and 'annotations' must be lists of objects")
    return content


def normalise_id(value: Any) -> str | None:
    """Return an id as text, the same for 7, 7.0 and "7"; None for a value that can't be an id.

    >>> normalise_id(7.0), normalise_id("a"), normalise_id(None)
    ('7', 'a', None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def category_names(content: dict[str, Any]) -> dict[str, str]:
    """Return the name of each category that occurs in the annotations, by its id; the id itself if it has no name."""
    names = {normalise_id(row.get("id")): row.get("name") for row in content["categories"]}
    used = {normalise_id(row.get("category_id")) for row in content["annotations"]}
    return {id_: str(names.get(id_) or id_) for id_ in sorted(map(str, used), key=by_number)}


def by_number(text: str) -> tuple[bool, int, str]:
    """Return a sort key: decimal numbers by value first, then any other text."""
    is_number = text.isdecimal() and len(text) < 20
    return (not is_number, int(text) if is_number else 0, text)


def list_images(
    content: dict[str, Any], file: Path, image_index: ImageIndex, log: ImportLog
) -> dict[Path, ListedImage]:
    """Return the images that a file lists, in its order; missing images and duplicate ids are problems in `log`."""
    split = split_of(file.stem)
    listed: dict[Path, ListedImage] = {}
    owner: dict[str, Path] = {}
    missing: list[str] = []
    for row in content["images"]:
        name, image_id = row.get("file_name"), normalise_id(row.get("id"))
        if not isinstance(name, str) or image_id is None:
            log.add_problem(f"{file}: an image has no file_name or no id: {str(row)[:80]}")
            continue
        with log.collecting_errors():
            path = image_index.find(name, split, file)
            if path is None:
                missing.append(name)
                continue
            if owner.setdefault(image_id, path) != path:
                raise DataError(f"{file}: {owner[image_id].name} and {path.name} have the same id, {image_id}")
            groups = {**groups_from_path(image_index.root, path.parent), **({"split": split} if split else {})}
            image = listed.setdefault(path, ListedImage(path, groups))
            if image_id not in image.keys:
                image.keys.append(image_id)
            image.sizes |= {size for size in [(row.get("height"), row.get("width"))] if all(map(_is_size, size))}
    if missing:
        images = f"image {missing[0]}" if len(missing) == 1 else f"{len(missing)} images"
        names = "" if len(missing) == 1 else f": {join_names(missing)}"
        log.add_problem(f"{file}: {images} not found in {image_index.root} or its subfolders{names}")
    return listed


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def assign_shared_images(files: dict[Path, dict[Path, ListedImage]], log: ImportLog) -> None:
    """Keep an image that the files of several splits list in one of them: test before validation before train.

    So no training image is tested on, and published test sets stay complete. Files that aren't named after different
    splits must not share images: that is a problem in `log`.
    """
    order = sorted(files, key=lambda file: _rank(split_of(file.stem)))
    for later, file in enumerate(order):
        for other in order[:later]:
            shared = [path for path in files[file] if path in files[other]]
            if not shared:
                continue
            splits = [split_of(listing.stem) for listing in (other, file)]
            if None in splits or splits[0] == splits[1]:
                log.add_problem(
                    f"{shared[0]}: listed in both {other.name} and {file.name}"
                    + (f", and {len(shared) - 1} others" if len(shared) > 1 else "")
                    + "; import only one of these files"
                )
            else:
                log.count(f"images listed in {splits[0]} and in {splits[1]}, kept only in {splits[0]}", len(shared))
            for path in shared:
                del files[file][path]


def _rank(split: str | None) -> int:
    return _ORDER.index(split) if split in _ORDER else len(_ORDER)


class ImageIndex:
    """The image files that a JSON file may refer to, by name."""

    def __init__(self, path: Path) -> None:
        root = path if path.is_dir() else path.parent
        if not path.is_dir() and root.name.lower() in ("annotations", "annotation", "labels"):
            root = root.parent
        self.root = root
        self.files: dict[str, list[Path]] = defaultdict(list)
        for folder in walk_folders(root, IMAGE_DEPTH) if root.is_dir() else ():
            for file in sorted(folder.iterdir()):
                if is_image_file(file):
                    self.files[nfc(file.name)].append(file)
        self.files_by_folded_name: dict[str, list[Path]] = defaultdict(list)
        for name, paths in self.files.items():
            self.files_by_folded_name[name.casefold()] += paths

    def find(self, name: str, split: str | None, where: Path) -> Path | None:
        """Return the file that a ``file_name`` refers to; None if there is none.

        Of several files with this name, the one whose path ends like `name` is preferred, then the one in the folder
        of `split`. Unicode composition doesn't matter, nor does case if no name matches exactly.

        Raises
        ------
        DataError
            If two files match.
        """
        parts = PurePosixPath(nfc(name).replace("\\", "/")).parts
        last = parts[-1] if parts else ""
        matches = self.files.get(last) or self.files_by_folded_name.get(last.casefold()) or []
        for preferred in (
            [path for path in matches if tuple(map(nfc, path.parts[-len(parts) :])) == parts],
            [path for path in matches if split and groups_from_path(self.root, path.parent).get("split") == split],
        ):
            matches = preferred if len(matches) > 1 and preferred else matches
        if len(matches) > 1:
            raise DataError(
                f"{where}: image {name} could be {matches[0]} or {matches[1]}; include the folder in file_name"
            )
        return matches[0] if matches else None
