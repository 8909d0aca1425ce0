"""COCO JSON: polygons and run-length encoded masks, compressed or not, decoded by pycocotools.

Where objects overlap, the smaller one is on top; of two equally large ones, the later. Crowd regions (``iscrowd: 1``)
are groups of objects and are omitted. A JSON file that is named after a split defines the official split.

An image that one file lists twice is read once: its objects are those of the first listing, plus those of the second
that the first lacks (intersection over union below 0.5 with each). An image that the files of several splits list
stays in one of them: test before validation before train.
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
from synthbench.errors import ConfigError, DataError, join_names, suggest
from synthbench.samples import Sample

__all__ = ["classes", "read", "sniff"]


def sniff(path: Path) -> str | None:
    """Describe the annotations if the file, or a JSON file in the folder, has ``images`` and ``annotations``."""
    files = json_files(path)
    return f"COCO annotations in {', '.join(file.name for file in files)}" if files else None


def classes(path: Path) -> tuple[str, ...]:
    """Return the names of the classes: background, and the categories that occur, in the order of their ids."""
    names: dict[str, str] = {}
    for file in json_files(path):
        names.update(category_names(load_json(file)))
    return tuple(dict.fromkeys(["background", *(names[id_] for id_ in sorted(names, key=by_number))]))


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield the images of one JSON file after another; objects are numbered in the order of their annotations.

    Raises
    ------
    DataError
        If a JSON file is damaged, an image is missing or has another size, or a mask can't be decoded.
    ConfigError
        If a category isn't one of the classes in `options`.
    """
    files = json_files(path)
    image_index = ImageIndex(path)
    # Several files may not fit into memory together.
    contents = {files[0]: load_json(files[0])} if len(files) == 1 else {}
    images = {file: list_images(contents.get(file) or load_json(file), file, image_index, log) for file in files}
    assign_shared_images(images, log)
    log.total += sum(map(len, images.values()))
    ids: set[str] = set()
    for file in files:
        annotations = _AnnotationFile(file, contents.get(file) or load_json(file), options, log)
        for name, image in _named(images[file]):
            if name in ids:
                name = "-".join([split_of(file.stem) or file.stem, name])  # noqa: PLW2901
            ids.add(name)
            log.files[name] = image.path.stem, image.path
            with log.collecting_errors():
                yield annotations.sample(name, image)
        annotations.finish()
        del annotations  # before the next file is read: they are large
    log.raise_problems(path)


def _named(images: dict[Path, ListedImage]) -> list[tuple[str, ListedImage]]:
    items = assign_ids([FoundImage(path.stem, path, (), image.groups) for path, image in images.items()])
    return [(name, images[item.image]) for name, item in items]


@dataclass
class _AnnotationFile:
    """The annotations of one JSON file; makes samples from them, image by image."""

    file: Path
    content: dict[str, Any]
    options: ImportOptions
    log: ImportLog

    def __post_init__(self) -> None:
        self.class_values = self._class_values()
        self.object_count = 0
        self.annotations: dict[str | None, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for number, row in enumerate(self.content["annotations"]):
            self.annotations[normalise_id(row.get("image_id"))].append((number, row))
        known = {normalise_id(row.get("id")) for row in self.content["images"]}
        unlisted = sum(len(rows) for image_id, rows in self.annotations.items() if image_id not in known)
        if unlisted and unlisted == len(self.content["annotations"]):
            self.log.add_problem(
                f"{self.file}: no annotation belongs to a listed image: annotations have image_id "
                f"{next(iter(self.annotations))!r}, …; images have the ids {join_names(known) or 'none'}"
            )
        self.log.count("annotations of images that aren't listed, omitted", unlisted)

    def sample(self, name: str, listed: ListedImage) -> Sample:
        """Return an image with its label map."""
        where = f"{self.file}: image {listed.path.name}"
        image = read_image(listed.path, self.log)
        height, width = image.shape[:2]
        for stated in listed.sizes - {(height, width)}:
            rotated = "; it is rotated relative to its annotations" if stated == (width, height) else ""
            raise DataError(
                f"{where}: the JSON file states {stated[0]:g}×{stated[1]:g} (height × width), but the image is "
                f"{height}×{width}{rotated}; use the image that was annotated"
            )
        listings = [self._objects(self.annotations[key], height, width, where) for key in listed.keys]
        objects = listings[0]
        for listing in listings[1:]:
            objects = merge_listings(objects, listing, self.log)
        self.log.count(f"images listed twice in {self.file.name}, merged", int(len(listings) > 1))
        self.object_count += len(objects)
        masks = []
        for number, (encoded, value) in enumerate(objects, start=1):
            x, y, w, h = (int(v) for v in rle_masks.toBbox(encoded))
            window = rle_masks.decode(encoded)[y : y + h, x : x + w].astype(bool)
            masks.append(ObjectMask(y, x, window, number if self.class_values is None else value))
        groups = {group: value for group, value in listed.groups.items() if group != "folder"}
        return Sample(name, image, paint_objects(masks, (height, width), self.log), groups)

    def finish(self) -> None:
        """Report a problem if there are annotations, but none has a mask."""
        if self.content["annotations"] and not self.object_count and not self.log.problems:
            self.log.add_problem(
                f"{self.file}: no annotation is the mask of a single object; boxes without masks and crowd regions "
                "(iscrowd: 1) don't count"
            )

    def _objects(
        self, rows: list[tuple[int, dict[str, Any]]], height: int, width: int, where: str
    ) -> list[tuple[Any, int]]:
        objects, problems = [], []
        for number, row in rows:
            if row.get("iscrowd") in (1, True, "1", "true", "True"):
                self.log.count("crowd regions, omitted")
                continue
            name = normalise_id(row.get("id")) or f"number {number + 1}"
            try:
                mask = encode(row.get("segmentation"), height, width, f"{where}: annotation {name}", self.log)
            except DataError as error:
                problems.append(str(error))
                continue
            if mask is not None:
                category_id = str(normalise_id(row.get("category_id")))
                objects.append((mask, 0 if self.class_values is None else self.class_values[category_id]))
        if problems:
            others = f" ({len(problems) - 1:,} more masks of this image can't be read)" if len(problems) > 1 else ""
            raise DataError(problems[0] + others)
        return objects

    def _class_values(self) -> dict[str, int] | None:
        """Return category id → class; None for instances, where objects are numbered instead."""
        names = category_names(self.content)
        if self.options.task == "instances":
            if len(names) > 1:
                change = "annotations whose categories were dropped (instances have no class)"
                self.log.count(change, len(self.content["annotations"]))
            return None
        for name in names.values():
            if name not in self.options.classes:
                hint = suggest(name, self.options.classes) or f"; they are: {', '.join(self.options.classes)}"
                raise ConfigError(
                    f"{self.file}: the category {name!r} isn't one of the classes{hint}; omit --classes to import all "
                    "categories"
                )
        return {id_: self.options.classes.index(name) for id_, name in names.items()}
