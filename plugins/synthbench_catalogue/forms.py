"""Forms that several sources share: image files with masks, stains in separate files, npz files by split."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from synthbench import Context, Sample
from synthbench.datasets.decoding import decode_mask
from synthbench.datasets.files import assign_ids, image_files
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.overlaps import ObjectMask, paint_objects
from synthbench.datasets.pixels import make_sample, read_image, read_mask, split_components, to_integers
from synthbench.datasets.readers import npz
from synthbench.errors import DataError
from synthbench.samples import IGNORED
from synthbench.types import AnyArray
from synthbench_catalogue.base import CatalogueDataset, LocalConfig

__all__ = [
    "ImagesWithMasks",
    "NpzSplits",
    "folders_named",
    "images_with",
    "numbered",
    "read_objects",
    "read_stains",
    "visible_images",
]

LocalConfigT = TypeVar("LocalConfigT", bound=LocalConfig)


class ImagesWithMasks(CatalogueDataset[LocalConfigT]):
    """A dataset of image files with masks: a subclass says which belong together, in `found`.

    An image without masks is one without labels, and its split should be ``unlabelled``.
    """

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        """Return the images in the unpacked dataset with masks and groups; missing files are problems in `log`."""
        raise NotImplementedError

    def read_image(self, item: FoundImage, log: ImportLog) -> AnyArray:
        """Read an image: uint8 or uint16, ``(height, width)`` or ``(height, width, channels)``."""
        return read_image(item.image, log)

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        """Read the label map of an image of this height and width."""
        return read_mask(item.masks[0], ImportOptions(trusted=True), log)

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images in the order of `found`."""
        root, log = self.unpacked(context), ImportLog()
        items = assign_ids(self.found(root, log)) if root.is_dir() else []
        log.raise_problems(root)
        if not items:
            raise DataError(f"{root}: no images of {self.name} found; is this the right archive?")
        log.expect(items)
        log.measure_with(lambda separate: self._read(root, items, separate), str(root))
        yield from self.with_import_notes(self._read(root, items, log), log, context)

    def _read(self, root: Path, items: Sequence[tuple[str, FoundImage]], log: ImportLog) -> Iterator[Sample]:
        for name, item in items:
            with log.collecting_errors():
                image = self.read_image(item, log)
                shape = (image.shape[0], image.shape[1])
                labels = self.read_labels(item, shape, log) if item.masks else np.full(shape, IGNORED)
                mask_at = str(item.masks[0]) if item.masks else str(item.image)
                yield make_sample(name, image, labels, item.groups, str(item.image), mask_at)
        log.raise_problems(root)


class NpzSplits(CatalogueDataset[LocalConfigT]):
    """A dataset in npz files with X and y, named after the official splits; from the user's own copy."""

    def mask(self) -> int:
        """Return which of several label maps to take, from 0."""
        return 0

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images of one npz file after another."""
        local_copy, log = self._local_copy(), ImportLog()
        is_npz = local_copy is not None and local_copy.suffix.lower() == ".npz"
        root = local_copy if local_copy is not None and is_npz else self.unpacked(context)
        if not any(self.wanted(path.name) for path in (root, *root.rglob("*"))):
            raise DataError(f"{root}: no npz files found; {self.obtain}")

        def read(log: ImportLog) -> Iterator[Sample]:
            return npz.read(root, ImportOptions(trusted=True), log, mask=self.mask())

        log.measure_with(read, str(root))
        yield from self.with_import_notes(read(log), log, context)

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith(".npz")


def folders_named(root: Path, *names: str) -> list[Path]:
    """Return all visible folders below `root` with one of these names, in any case, sorted."""
    wanted = {name.lower() for name in names}
    found = []
    for parent, children, _ in os.walk(root):
        children[:] = sorted(child for child in children if not child.startswith((".", "__")))
        found += [Path(parent, child) for child in children if child.lower() in wanted]
    return sorted(found)


def images_with(
    images: Iterable[Path], mask_of: Callable[[Path], Path], groups: Callable[[Path], dict[str, str]], log: ImportLog
) -> list[FoundImage]:
    """Return images with the mask that `mask_of` names; a missing one is a problem in `log`."""
    found = []
    for image in images:
        mask = mask_of(image)
        if mask.is_file():
            found.append(FoundImage(image.stem, image, (mask,), groups(image)))
        else:
            log.add_problem(f"{image}: has no mask {mask.name}; is the archive complete?")
    return found


def numbered(mask: AnyArray, log: ImportLog) -> AnyArray:
    """Return a mask as a label map: of a single value above 0, the connected pieces are the objects."""
    return split_components(mask, log) if len(np.unique(mask[mask > 0])) == 1 else mask


def read_objects(masks: Sequence[Path], shape: tuple[int, int], log: ImportLog) -> AnyArray:
    """Return the label map of mask files of one object each, numbered in their order; the smaller object is on top."""
    stamps = []
    for number, path in enumerate(masks, start=1):
        mask = to_integers(decode_mask(path, log), str(path)) > 0
        if mask.shape != shape:
            raise DataError(f"{path}: the mask is {mask.shape[0]}×{mask.shape[1]}, its image {shape[0]}×{shape[1]}")
        stamps.append(ObjectMask.of(mask, number))
    return paint_objects(stamps, shape, log)


def read_stains(paths: Sequence[Path], log: ImportLog) -> AnyArray:
    """Return the files of an image's stains as its channels; of a file in false colours, the brightest colour.

    Raises
    ------
    DataError
        If they differ in size or type.
    """
    planes = [read_image(path, log) for path in paths]
    planes = [plane.max(axis=2) if plane.ndim == 3 else plane for plane in planes]
    for path, plane in zip(paths, planes, strict=True):
        if plane.shape != planes[0].shape or plane.dtype != planes[0].dtype:
            raise DataError(f"{path}: differs in size or type from {paths[0].name}; is the archive complete?")
    return np.stack(planes, axis=-1)


def visible_images(root: Path) -> list[Path]:
    """Return all visible image files below `root`, sorted."""
    folders = [Path(parent) for parent, _, _ in os.walk(root)]
    hidden = (".", "__")
    seen = [f for f in folders if not any(part.startswith(hidden) for part in f.relative_to(root).parts)]
    return sorted(path for folder in seen for path in image_files(folder))
