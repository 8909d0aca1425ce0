"""Finding image files, the official splits that names state, and unique ids."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.errors import DataError, join_problems

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageName",
    "assign_ids",
    "by_stem",
    "groups_from_path",
    "image_files",
    "is_image_file",
    "nfc",
    "safe_id",
    "split_of",
    "subfolders",
    "walk_folders",
    "without_suffix",
]

IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_SPLIT = re.compile(rf"(?:^|[^a-z])({'|'.join(_SPLITS)})\d*$")


def image_files(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, sorted by name, without hidden files."""
    return sorted(p for p in folder.iterdir() if is_image_file(p))


def is_image_file(path: Path) -> bool:
    """Return whether a path is a visible file with the suffix of an image, or a link to a file that is gone.

    Such a link is an image that someone expects to be there: reading it is what fails, with its name.
    """
    if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
        return False
    return path.is_file() or (path.is_symlink() and not path.exists())


def walk_folders(path: Path, depth: int) -> Iterator[Path]:
    """Yield `path` and the folders at most `depth` levels below it, without hidden ones.

    Links to a folder that is above them are skipped, as they would repeat the same files.
    """
    yield from _walk(path, depth, (path.resolve(),))


def _walk(path: Path, depth: int, above: tuple[Path, ...]) -> Iterator[Path]:
    yield path
    for child in subfolders(path) if depth > 0 else ():
        where = child.resolve()
        if where not in above:
            yield from _walk(child, depth - 1, (*above, where))


def subfolders(path: Path) -> list[Path]:
    """Return the visible folders in a folder, sorted."""
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def split_of(name: str) -> str | None:
    """Return the official split that a name states: one that ends in train, val, test or similar; else None.

    >>> split_of("livecell_coco_val"), split_of("stage1_test_extra")
    ('validation', None)
    """
    match = _SPLIT.search(name.lower())
    return _SPLITS[match.group(1)] if match else None


def groups_from_path(root: Path, folder: Path) -> dict[str, str]:
    """Return the groups that the path from `root` to `folder` states: ``split``, and the other names as ``folder``."""
    groups: dict[str, str] = {}
    rest = []
    for folder_name in folder.relative_to(root).parts:
        split = split_of(folder_name)
        if split and "split" not in groups:
            groups["split"] = split
        else:
            rest.append(folder_name)
    return {**groups, "folder": "/".join(rest)} if rest else groups


def by_stem(files: Sequence[Path], log: ImportLog) -> dict[str, Path]:
    """Return files by stem, normalised by `nfc`; files that differ only in suffix are a problem in `log`."""
    by_name: dict[str, Path] = {}
    for path in files:
        other = by_name.setdefault(nfc(path.stem), path)
        if other is not path:
            log.add_problem(f"{path} and {other.name} share one name apart from the suffix; remove one of them")
    return by_name


def nfc(name: str) -> str:
    r"""Return a name in Unicode's composed form (NFC); macOS decomposes letters such as ä.

    >>> nfc("a\u0308") == "\u00e4"
    True
    """
    return unicodedata.normalize("NFC", name)


def assign_ids(items: Sequence[FoundImage]) -> list[tuple[str, FoundImage]]:
    """Assign each image an id: its stem, preceded by split or folder where several images have the same stem.

    Where ids would still differ only in replaced characters or in case, they end in a hash of the full name. A folder
    that all images share is removed from their groups.

    Raises
    ------
    DataError
        If two images still have the same id.
    """
    if len({item.groups.get("folder") for item in items}) == 1:
        items = [replace(item, groups={k: v for k, v in item.groups.items() if k != "folder"}) for item in items]
    names = [safe_id(item.stem) for item in items]
    stems = Counter(names)
    long = [nfc("-".join([*item.groups.values(), item.stem])) for item in items]
    names = [safe_id(long[i]) if stems[name] > 1 else name for i, name in enumerate(names)]
    taken = Counter(name.casefold() for name in names)
    names = [_hashed(name, long[i]) if taken[name.casefold()] > 1 else name for i, name in enumerate(names)]
    by_id: dict[str, FoundImage] = {}
    twice = []
    for name, item in zip(names, items, strict=True):
        other = by_id.setdefault(name, item)
        if other is not item:
            twice.append(f"{item.image} and {other.image} both get the id {name!r}; rename one of them")
    if twice:
        raise DataError(join_problems(twice, Path(os.path.commonpath([item.image.parent for item in items]))))
    return list(by_id.items())


def _hashed(name: str, text: str) -> str:
    return f"{name[:180]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def safe_id(text: str) -> str:
    """Return `text` as a sample id: other characters become ``_``; a long one is truncated and ends in its hash."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", nfc(text))
    if not re.match(r"[A-Za-z0-9]", name):
        name = f"s{name}"
    if len(name) > 200:
        name = f"{name[:180]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return name


@dataclass(frozen=True)
class ImageName:
    """The names by which a table or pattern may refer to an image.

    Attributes
    ----------
    id : str
        Of the sample.
    stem : str
        The stem that the id was made from.
    path : Path
        Relative to the imported folder.
    """

    id: str
    stem: str
    path: Path

    @property
    def names(self) -> list[str]:
        """Every name that a table may use for it, the most specific first."""
        tails = ["/".join(self.path.parts[i:]) for i in range(len(self.path.parts))]
        return [self.id, *(nfc(name) for tail in tails for name in (tail, without_suffix(tail))), nfc(self.stem)]


def without_suffix(name: str) -> str:
    """Return a file name without the suffix of an image file."""
    for end in (".ome.tif", ".ome.tiff", *IMAGE_SUFFIXES):
        if name.lower().endswith(end):
            return name[: -len(end)]
    return name
