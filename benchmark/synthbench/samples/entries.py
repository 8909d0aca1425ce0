"""The index entry of a sample, known without reading its pixels, and how the pixels are read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.errors import DataError
from synthbench.io.images import read_array, suffix_for, write_array
from synthbench.samples.sample import Sample, channel_count, check_id
from synthbench.types import AnyArray

__all__ = [
    "Entry",
    "FORMAT",
    "INDEX",
    "Loader",
    "check_channels",
    "format_for",
    "load_from_disk",
    "load_from_memory",
    "read_entry",
    "write_sample",
]

INDEX = "samples.json"
FORMAT = 3
"""Newest version of the index: 3 for sets with images of 2 or 4 channels, 2 for other sets with an ignore region, else
1; a set is written as the oldest version that can hold it."""


@dataclass(frozen=True)
class Entry:
    """What the index of a sample set says about a sample."""

    id: str
    groups: Mapping[str, str]
    height: int
    width: int
    channels: int
    dtype: str
    objects: int
    covered: float
    digest: str
    ignored: float = 0.0

    @classmethod
    def of(cls, sample: Sample) -> Entry:
        """Measure a sample.

        `objects` is the number of distinct labels above 0, `covered` the fraction of pixels with a label above 0, and
        `ignored` the fraction of pixels without a known label.
        """
        present = np.unique(sample.labels)
        return cls(
            id=sample.id,
            groups=sample.groups,
            height=sample.image.shape[0],
            width=sample.image.shape[1],
            channels=channel_count(sample.image),
            dtype=sample.image.dtype.name,
            objects=int((present > 0).sum()),
            covered=float((sample.labels > 0).mean()),
            digest=sample.digest,
            ignored=0.0 if sample.ignore is None else float(sample.ignore.mean()),
        )


Pixels = tuple[AnyArray, AnyArray, AnyArray | None]
"""Image, labels, and ignore region or None."""

State = tuple[tuple[int, ...], ...]
"""Identity, size and times of change of files."""


class Loader:
    """Reads the pixels of one sample, and remembers that their digest was verified."""

    def __init__(self, read: Callable[[], Pixels], files: Sequence[Path] = ()) -> None:
        self.read = read
        self._files = tuple(files)
        self._verified: State | None = None

    def __call__(self, entry: Entry) -> Sample | None:
        """Return the sample, or None if its digest isn't that of `entry`.

        The digest is computed at the first reading, and again when a file has changed since: a training reads its
        samples more than once.
        """
        state = self._state()
        image, labels, ignore = self.read()
        sample = Sample(entry.id, image, labels, entry.groups, ignore)
        if not state or state != self._verified:
            if sample.digest != entry.digest:
                return None
            self._verified = state if state == self._state() else None
        return sample

    def _state(self) -> State:
        try:
            stats = [path.stat() for path in self._files]
        except OSError:
            return ()
        return tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in stats)


def read_entry(row: Mapping[str, Any]) -> Entry:
    """Validate a row of an index; raise `DataError`, `KeyError` or `TypeError` if `write_sample` didn't write it."""
    entry = Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
    check_id(entry.id)
    texts = [entry.dtype, entry.digest, row["image"], row["labels"], *entry.groups, *entry.groups.values()]
    numbers = [entry.height, entry.width, entry.channels, entry.objects]
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        raise TypeError(f"the row of {entry.id!r}")
    fractions = (entry.covered, entry.ignored)
    if not all(isinstance(fraction, int | float) and 0 <= fraction <= 1 for fraction in fractions) or min(numbers) < 0:
        raise TypeError(f"the row of {entry.id!r}")
    if not isinstance(row.get("ignore", ""), str) or ("ignore" in row) != (entry.ignored > 0):
        raise TypeError(f"the row of {entry.id!r}")
    return entry


def check_channels(images: Iterable[tuple[str, int]], where: str) -> int:
    """Return the number of channels that images are brought to: their own, and 3 where grey and RGB are mixed.

    Parameters
    ----------
    images
        Name and number of channels of each. Without any, the number is 1.
    where
        Begins the message.

    Raises
    ------
    DataError
        If the numbers differ otherwise: a channel that an image doesn't have can't be made up.
    """
    first: dict[int, str] = {}
    for name, channels in images:
        first.setdefault(channels, name)
    if len(first) > 1 and set(first) != {1, 3}:
        (few, one), (many, other) = sorted(first.items())[0], sorted(first.items())[-1]
        raise DataError(
            f"{where}: the image of {one!r} has {few} channel{'s'[: few > 1]} and that of {other!r} has {many}; all "
            "images need the same channels (only grey and RGB may be mixed)"
        )
    return max(first, default=1)


def format_for(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return the oldest version of the index that can hold these rows; see `FORMAT`."""
    if any(row["channels"] in (2, 4) for row in rows):
        return 3
    return 2 if any("ignore" in row for row in rows) else 1


def load_from_memory(image: AnyArray, labels: AnyArray, ignore: AnyArray | None) -> Callable[[], Pixels]:
    """Return a loader of arrays that are in memory."""
    return lambda: (image, labels, ignore)


def load_from_disk(folder: Path, entry: Entry, image: str, labels: str, ignore: str | None) -> Loader:
    """Return a loader of a sample's files; a file outside the folder is refused."""
    paths = [folder / file for file in (image, labels, *([ignore] if ignore else []))]
    for path in paths:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{folder / INDEX}: sample {entry.id!r} has a file outside the set: {path}")

    def load() -> Pixels:
        image, labels, *region = (read_array(path, (entry.height, entry.width)) for path in paths)
        return image, labels, region[0] > 0 if region else None

    return Loader(load, paths)


def write_sample(folder: Path, sample: Sample) -> dict[str, Any]:
    """Write a sample's arrays into a folder, and return its row of the index."""
    files = {}
    arrays = {"images": sample.image, "labels": sample.labels}
    if sample.ignore is not None:
        arrays["ignore"] = sample.ignore.astype(np.uint8)
    for subfolder, array in arrays.items():
        (folder / subfolder).mkdir(exist_ok=True)
        files[subfolder] = f"{subfolder}/{sample.id}{suffix_for(array)}"
        if (folder / files[subfolder]).exists():
            raise DataError(f"sample {sample.id!r}: the id occurs twice")
        write_array(folder / files[subfolder], array)
    entry = Entry.of(sample)
    row = {name: getattr(entry, name) for name in Entry.__dataclass_fields__ if name != "ignored" or entry.ignored}
    places = {"image": files["images"], "labels": files["labels"]}
    return {**row, "groups": dict(entry.groups), **places, **({"ignore": files["ignore"]} if entry.ignored else {})}
