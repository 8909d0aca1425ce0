"""COCO JSON: polygons, and run-length encoded masks in both forms, decoded by pycocotools.

Of overlapping objects the smaller lies on top; of two equally large ones, the later. Crowd regions (``iscrowd: 1``)
are groups of objects, and are left out. A JSON file that is named for a split gives the official split.

An image that a file lists twice is one image: its objects are those of the first listing, and those of the second that
the first lacks (intersection over union below 0.5 with each). One that the files of several splits list is kept in
one: test before validation before train.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools import mask as rle_masks

from synthbench.datasets.files import assign_ids, split_of
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.overlaps import ObjectMask, paint_objects
from synthbench.datasets.pixels import read_image
from synthbench.datasets.readers.coco_files import (
    ImageIndex,
    ListedImage,
    assign_shared_images,
    by_number,
    category_names,
    json_files,
    list_images,
    load_json,
    normalise_id,
)
from synthbench.datasets.readers.coco_masks import encode, merge_listings
from synthbench.errors import ConfigError, DataError, suggest
from synthbench.samples import Sample

__all__ = ["classes", "read", "sniff"]


def sniff(path: Path) -> str | None:
    """Say what is there when the file, or a JSON file in the folder, has ``images`` and ``annotations``."""
    found = json_files(path)
    return f"COCO annotations in {', '.join(p.name for p in found)}" if found else None


def classes(path: Path) -> tuple[str, ...]:
    """Return the names of the classes: background, and the categories that occur, in the order of their ids."""
    names: dict[str, str] = {}
    for file in json_files(path):
        names.update(category_names(load_json(file)))
    return tuple(dict.fromkeys(["background", *(names[one] for one in sorted(names, key=by_number))]))


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield the images of one JSON file after another; objects are numbered in the order of their annotations.

    Raises
    ------
    DataError
        If a JSON file is damaged, an image is missing or of another size, or a mask can't be decoded.
    ConfigError
        If a category isn't one of the options's classes.
    """
    files = json_files(path)
    shelf = ImageIndex(path)
    # Several files may not fit into memory together.
    contents = {files[0]: load_json(files[0])} if len(files) == 1 else {}
    images = {file: list_images(contents.get(file) or load_json(file), file, shelf, log) for file in files}
    assign_shared_images(images, log)
    log.total += sum(map(len, images.values()))
    ids: set[str] = set()
    for file in files:
        found = _File(file, contents.get(file) or load_json(file), options, log)
        for name, image in _named(images[file]):
            if name in ids:
                name = "-".join([split_of(file.stem) or file.stem, name])  # noqa: PLW2901
            ids.add(name)
            log.files[name] = image.path.stem, image.path
            with log.collecting_errors():
                yield found.sample(name, image)
        found.finish()
        del found  # before the next file is read: they are large
    log.raise_problems(path)


def _named(images: dict[Path, ListedImage]) -> list[tuple[str, ListedImage]]:
    items = assign_ids([FoundImage(path.stem, path, (), image.groups) for path, image in images.items()])
    return [(name, images[item.image]) for name, item in items]


@dataclass
class _File:
    """One JSON file's annotations, made into samples image by image."""

    file: Path
    content: dict[str, Any]
    options: ImportOptions
    log: ImportLog

    def __post_init__(self) -> None:
        self.values = self._values()
        self.drawn = 0
        self.rows: dict[str | None, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for number, row in enumerate(self.content["annotations"]):
            self.rows[normalise_id(row.get("image_id"))].append((number, row))
        known = {normalise_id(row.get("id")) for row in self.content["images"]}
        strangers = [row for one, rows in self.rows.items() if one not in known for row in rows]
        if strangers and len(strangers) == len(self.content["annotations"]):
            self.log.add_problem(
                f"{self.file}: no annotation belongs to a listed image: their image_id is {next(iter(self.rows))!r}, "
                f"…, and the images have the ids {', '.join(map(str, list(known)[:3])) or 'of none'}, …"
            )
        self.log.count("annotations of images that aren't listed, left out", len(strangers))

    def sample(self, name: str, found: ListedImage) -> Sample:
        """Return an image with its label map."""
        where = f"{self.file}: image {found.path.name}"
        image = read_image(found.path, self.log)
        height, width = image.shape[:2]
        for declared in found.sizes - {(height, width)}:
            turned = "; it is turned against its annotations" if declared == (width, height) else ""
            raise DataError(
                f"{where}: the file has {declared[0]:g}×{declared[1]:g} (height × width) and the picture is "
                f"{height}×{width}{turned}; give the picture that was annotated"
            )
        listings = [self._objects(self.rows[one], height, width, where) for one in found.keys]
        objects = listings[0]
        for again in listings[1:]:
            objects = merge_listings(objects, again, self.log)
        self.log.count(f"images listed twice in {self.file.name}, made one", int(len(listings) > 1))
        self.drawn += len(objects)
        stamps = []
        for number, (encoded, value) in enumerate(objects, start=1):
            x, y, w, h = (int(v) for v in rle_masks.toBbox(encoded))
            window = rle_masks.decode(encoded)[y : y + h, x : x + w].astype(bool)
            stamps.append(ObjectMask(y, x, window, number if self.values is None else value))
        groups = {group: value for group, value in found.groups.items() if group != "folder"}
        return Sample(name, image, paint_objects(stamps, (height, width), self.log), groups)

    def finish(self) -> None:
        """Note it as a problem where there are annotations, and none has a mask."""
        if self.content["annotations"] and not self.drawn and not self.log.problems:
            self.log.add_problem(
                f"{self.file}: no annotation has a mask of a single object; boxes alone and crowds (iscrowd: 1) "
                "don't count"
            )

    def _objects(
        self, rows: list[tuple[int, dict[str, Any]]], height: int, width: int, where: str
    ) -> list[tuple[Any, int]]:
        found, problems = [], []
        for number, row in rows:
            if row.get("iscrowd") in (1, True, "1", "true", "True"):
                self.log.count("crowd regions, left out")
                continue
            name = normalise_id(row.get("id")) or f"number {number + 1}"
            try:
                mask = encode(row.get("segmentation"), height, width, f"{where}: annotation {name}", self.log)
            except DataError as error:
                problems.append(str(error))
                continue
            if mask is not None:
                found.append(
                    (mask, 0 if self.values is None else self.values[str(normalise_id(row.get("category_id")))])
                )
        if problems:
            others = f" ({len(problems) - 1:,} more of this image can't be read either)" if len(problems) > 1 else ""
            raise DataError(problems[0] + others)
        return found

    def _values(self) -> dict[str, int] | None:
        """Return the class of each category id; None for instances, where objects are numbered instead."""
        names = category_names(self.content)
        if self.options.task == "instances":
            if len(names) > 1:
                what = "annotations whose categories were not kept (instances have no class)"
                self.log.count(what, len(self.content["annotations"]))
            return None
        for name in names.values():
            if name not in self.options.classes:
                hint = suggest(name, self.options.classes) or f"; the classes are: {', '.join(self.options.classes)}"
                raise ConfigError(
                    f"{self.file}: the category {name!r} is no class{hint}; leave out --classes to take them all"
                )
        return {one: list(self.options.classes).index(name) for one, name in names.items()}
