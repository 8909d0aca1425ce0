"""Images without labels, in a folder ``unlabelled/`` beside the annotated images of a dataset.

They become samples of the split ``unlabelled``: label map 0, and an ignore region that covers everything, so that
nothing can take them for background. No study trains segmenters on them, or tests with them; generators that ask for
them get them (`synthbench.Generator.uses_unlabelled`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synthbench.datasets.files import assign_ids, image_files, subfolders, walk_folders
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.pixels import read_image
from synthbench.datasets.readers.folders import IMAGES
from synthbench.errors import DataError
from synthbench.samples import UNLABELLED, Entry, Sample, SampleSet

__all__ = [
    "check_unlabelled",
    "find_unlabelled",
    "is_unlabelled",
    "labelled_samples",
    "read_unlabelled",
    "unlabelled_folder",
    "unlabelled_samples",
]

_FOLDERS = (UNLABELLED, "unlabeled")
_DEPTH = 3


def is_unlabelled(entry: Entry) -> bool:
    """Return whether a sample is an image without labels."""
    return entry.groups.get("split") == UNLABELLED


def labelled_samples(samples: SampleSet) -> SampleSet:
    """Return the annotated samples of a set, unread."""
    if not any(map(is_unlabelled, samples.entries)):
        return samples
    return samples.subset(entry.id for entry in samples.entries if not is_unlabelled(entry))


def unlabelled_samples(samples: SampleSet) -> SampleSet:
    """Return the images of a set that have no labels, unread."""
    return samples.subset(entry.id for entry in samples.entries if is_unlabelled(entry))


def check_unlabelled(samples: SampleSet) -> None:
    """Raise `DataError` if a sample of the split `UNLABELLED` has labels, or pixels that aren't ignored."""
    for entry in samples.entries:
        if is_unlabelled(entry) and (entry.objects or entry.ignored < 1):
            raise DataError(
                f"sample set {samples.name!r}: {entry.id!r} is in the split {UNLABELLED!r}, but has labels; put it "
                "into another split, or make its label map 0 and its ignore region True everywhere"
            )


def unlabelled_folder(path: Path) -> Path | None:
    """Return the folder of images without labels directly in `path`; None if there is none."""
    if not path.is_dir():
        return None
    found = next((folder for folder in subfolders(path) if folder.name.lower() in _FOLDERS), None)
    return found if found and any(image_files(folder) for folder in walk_folders(found, _DEPTH)) else None


def find_unlabelled(path: Path) -> list[FoundImage]:
    """Return the images in the folder of unlabelled images in `path`.

    Folders in it, such as those of wells, become the group ``folder``; a folder ``images`` doesn't count.
    """
    root = unlabelled_folder(path)
    found = []
    for folder in walk_folders(root, _DEPTH) if root else ():
        parts = [part for part in folder.relative_to(root or path).parts if part.lower() not in IMAGES]
        groups = {"split": UNLABELLED, **({"folder": "/".join(parts)} if parts else {})}
        found += [FoundImage(image.stem, image, (), groups) for image in image_files(folder)]
    return found


def read_unlabelled(path: Path, log: ImportLog) -> Iterator[Sample]:
    """Yield the images of `find_unlabelled` as samples, whose ids begin with ``unlabelled-``.

    Raises
    ------
    DataError
        After the last image, with all problems; it names `path`.
    """
    found = find_unlabelled(path)
    items = [(f"{UNLABELLED}-{name.removeprefix(f'{UNLABELLED}-')}", item) for name, item in assign_ids(found)]
    paths = {item.image for item in found}
    for _, annotated in log.files.values():
        if annotated in paths:
            log.add_problem(f"{annotated}: has a mask, but is in a folder of images without; move it, or its mask")
    log.expect(items)
    for name, item in items:
        with log.collecting_errors():
            image = read_image(item.image, log)
            size = image.shape[:2]
            yield Sample(name, image, np.zeros(size, np.uint8), item.groups, np.ones(size, bool))
    log.raise_problems(path)
