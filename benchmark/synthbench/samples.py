"""Samples and sample sets: the one type, and the one on-disk form, of every collection of annotated images.

A sample set on disk is a folder::

    samples.json            name, task, classes, info, and one row per sample, with its digest
    images/<id>.png|tif     uint8 or uint16, (height, width) or (height, width, 3)
    labels/<id>.png|tif     label map: 0 is background; instance ids, or classes when the task is semantic
    ignore/<id>.png         1 where nobody knows the label; only of samples that have such pixels

PNG holds what PNG can; 16-bit RGB and labels above 65,535 go to TIFF.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from synthbench.errors import ConfigError, DataError
from synthbench.rasters import read_array, suffix_for, write_array

Task = Literal["instances", "semantic"]
TASKS: tuple[Task, ...] = ("instances", "semantic")
MAX_LABEL = 2**31 - 1
MASK = "mask"
"""Group of a drawn sample that says where its mask comes from: one of `ORIGINS`."""
ORIGINS = ("new", "training", "recombined")
"""New; a training mask, turned, warped or cut, or as it is; objects of training masks in new places."""
INDEX = "samples.json"
FORMAT = 2
"""Of sets with an ignore region; sets without one are still written as format 1."""
IGNORED = -1
"""What `Sample.marked` holds where the label is unknown."""
_LONGEST_TEXT = 1000
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its label map.

    Parameters
    ----------
    id
        Unique within its set; letters, digits, ``.``, ``_``, ``+`` and ``-``.
    image
        ``(height, width)`` or ``(height, width, 3)``, uint8 or uint16.
    labels
        ``(height, width)``, any integer type, 0 … 2³¹ − 1; 0 is background.
        Task `instances`: one id per object. Task `semantic`: the class of each pixel.
        Stored as the smallest of uint8, uint16 and uint32 that holds it.
    groups
        What the sample belongs to, by name: ``cell_type``, ``well``, ``time`` …;
        the reserved name ``split`` carries a dataset's official split (``train``, ``validation``, ``test``);
        ``mask`` says where a drawn sample's mask comes from (``new``, ``training``, ``recombined``).
    ignore
        ``(height, width)`` bool: where the label is unknown (unlabelled, ambiguous, a drawn boundary). Losses and
        metrics leave these pixels out. `labels` becomes 0 there, so that nothing can depend on it. None where every
        pixel is labelled; a mask without a True becomes None.

    Raises
    ------
    DataError
        If an array has the wrong shape or type, or the two don't fit together.
    """

    id: str
    image: np.ndarray
    labels: np.ndarray
    groups: Mapping[str, str] = field(default_factory=dict)
    ignore: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        check_image(self.image, self.id)
        object.__setattr__(self, "labels", check_labels(self.labels, self.id))
        if self.image.shape[:2] != self.labels.shape:
            raise DataError(
                f"sample {self.id!r}: the image is {_size(self.image)} and its mask is {_size(self.labels)}; "
                "give a mask of the image's size"
            )
        object.__setattr__(self, "groups", {str(k): str(v) for k, v in self.groups.items()})
        if self.ignore is not None:
            check_ignore(self.ignore, self.labels.shape, self.id)
            object.__setattr__(self, "ignore", self.ignore if self.ignore.any() else None)
        if self.ignore is not None and self.labels[self.ignore].any():
            object.__setattr__(self, "labels", check_labels(np.where(self.ignore, 0, self.labels), self.id))

    @property
    def marked(self) -> np.ndarray:
        """``(height, width)`` int32: the labels, and `IGNORED` (−1) where they are unknown. See `unmarked`."""
        labels = self.labels.astype(np.int32)
        if self.ignore is not None:
            labels[self.ignore] = IGNORED
        return labels

    @property
    def digest(self) -> str:
        """SHA-256 over id, groups, pixels, labels and, where there is one, the ignore region.

        Independent of file format and integer width of the labels.
        """
        head = [self.id, sorted(self.groups.items()), list(self.image.shape), self.image.dtype.name]
        out = hashlib.sha256(json.dumps(head).encode())
        out.update(np.ascontiguousarray(self.image).data)
        out.update(np.ascontiguousarray(self.labels, dtype="<u4").data)
        if self.ignore is not None:
            out.update(np.packbits(self.ignore).data)
        return out.hexdigest()


def check_id(name: str) -> None:
    """Raise `DataError` unless `name` can be a sample's id (and so a file name on every system)."""
    if not isinstance(name, str) or not _SAFE_ID.fullmatch(name):
        raise DataError(f"sample id {name!r}: use letters, digits, '.', '_', '+' and '-', at most 200 of them")


def check_image(image: np.ndarray, name: str) -> None:
    """Raise `DataError` unless `image` is grey or RGB, uint8 or uint16, and not empty."""
    if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.uint16):
        kind = getattr(image, "dtype", type(image).__name__)
        raise DataError(f"sample {name!r}: the image is {kind}; convert it to uint8 or uint16")
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise DataError(
            f"sample {name!r}: the image has shape {image.shape}; give (height, width) or (height, width, 3)"
        )
    if image.size == 0:
        raise DataError(f"sample {name!r}: the image is empty, {_size(image)}")


def check_labels(labels: np.ndarray, name: str) -> np.ndarray:
    """Return `labels` in the smallest of uint8, uint16, uint32 that holds it; raise `DataError` for anything else."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iub":
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise DataError(f"sample {name!r}: the mask is {kind}; give a label map of whole numbers")
    if labels.ndim != 2:
        raise DataError(f"sample {name!r}: the mask has shape {labels.shape}; give one label map, (height, width)")
    if labels.size == 0:
        raise DataError(f"sample {name!r}: the mask is empty, {_size(labels)}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise DataError(f"sample {name!r}: the mask holds {low}; labels are 0 (background) and above")
    if high > MAX_LABEL:
        raise DataError(f"sample {name!r}: the mask holds {high}; labels go up to {MAX_LABEL}")
    return labels.astype(np.min_scalar_type(high), copy=False)


def check_ignore(ignore: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    """Raise `DataError` unless `ignore` is a bool mask of this shape."""
    if not isinstance(ignore, np.ndarray) or ignore.dtype != bool:
        kind = getattr(ignore, "dtype", type(ignore).__name__)
        raise DataError(f"sample {name!r}: the ignore region is {kind}; give a mask of True and False")
    if ignore.shape != shape:
        sizes = ["×".join(map(str, side)) for side in (ignore.shape, shape)]
        raise DataError(
            f"sample {name!r}: the ignore region is {sizes[0]} and the mask is {sizes[1]}; give both the same size"
        )


def check_ignored(value: int | None, task: Task) -> None:
    """Raise `ConfigError` unless masks of this task can hold `value` where the label is unknown; None is no value."""
    if value is None:
        return
    if not 0 <= value <= MAX_LABEL:
        raise ConfigError(f"ignore {value}: masks hold 0 to {MAX_LABEL}")
    if value == 0 and task == "instances":
        raise ConfigError("ignore 0: 0 is the background of instances, and has to stay it; give another value")


def unmarked(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return labels and ignore region of a label map that has `IGNORED` (−1) where the label is unknown.

    Parameters
    ----------
    labels
        ``(height, width)`` integers.

    Returns
    -------
    labels, ignore
        0 where it was −1; and where that is, bool, or None where it is nowhere.
    """
    ignore = labels == IGNORED if labels.dtype.kind == "i" else np.zeros(labels.shape, bool)
    return (np.where(ignore, 0, labels), ignore) if ignore.any() else (labels, None)


def _size(array: np.ndarray) -> str:
    return "×".join(str(n) for n in array.shape[:2])


@dataclass(frozen=True)
class Entry:
    """What is known of a sample without reading its pixels."""

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

        `objects` counts distinct labels above 0; `covered` is the share of pixels they fill, and `ignored` that of
        pixels without a known label.
        """
        present = np.unique(sample.labels)
        return cls(
            id=sample.id,
            groups=sample.groups,
            height=sample.image.shape[0],
            width=sample.image.shape[1],
            channels=1 if sample.image.ndim == 2 else 3,
            dtype=sample.image.dtype.name,
            objects=int((present > 0).sum()),
            covered=float((sample.labels > 0).mean()),
            digest=sample.digest,
            ignored=0.0 if sample.ignore is None else float(sample.ignore.mean()),
        )


Pixels = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Image, labels, ignore region."""

State = tuple[tuple[int, ...], ...]
"""Of files: which, how large, and changed when."""


class Loader:
    """Reads the pixels of one sample, wherever it is kept, and remembers that they were found to be the right ones."""

    def __init__(self, read: Callable[[], Pixels], files: Sequence[Path] = ()) -> None:
        self.read = read
        self._files = tuple(files)
        self._sound: State | None = None

    def __call__(self, entry: Entry) -> Sample | None:
        """Return the sample, or None if it isn't the one that `entry` knows.

        Its digest is computed at the first reading, and again when a file was written to since: a training reads its
        samples more than once.
        """
        state = self._state()
        image, labels, ignore = self.read()
        sample = Sample(entry.id, image, labels, entry.groups, ignore)
        if not state or state != self._sound:
            if sample.digest != entry.digest:
                return None
            self._sound = state if state == self._state() else None
        return sample

    def _state(self) -> State:
        try:
            found = [path.stat() for path in self._files]
        except OSError:
            return ()
        return tuple((s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in found)


Damaged = Callable[[DataError], Exception]
"""Is told of a sample that can't be read as it was written, and returns what is raised."""


def _as_it_is(error: DataError) -> Exception:
    return error


class SampleSet(Sequence[Sample]):
    """An ordered, immutable collection of samples, read lazily.

    A dataset, a subset of one, and a synthetic set are all sample sets. Pixels are read when a sample is asked
    for, and not kept. Make one with `SampleSet.of`, `SampleSet.open` or `SampleSet.write`.

    Attributes
    ----------
    name : str
    task : {"instances", "semantic"}
    classes : tuple of str
        Names of the classes 0 … K − 1 of a semantic set; empty for instances.
    info : mapping
        Source, licence, citation and whatever else should travel with the set. Not part of the fingerprint.
    entries : tuple of Entry
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        loaders: Sequence[Loader],
        *,
        name: str,
        task: Task = "instances",
        classes: Sequence[str] = (),
        info: Mapping[str, Any] | None = None,
        damaged: Damaged = _as_it_is,
    ) -> None:
        if task not in TASKS:
            raise DataError(f"sample set {name!r}: task {task!r} is not one of {', '.join(TASKS)}")
        seen: set[str] = set()
        for entry in entries:
            if entry.id in seen:
                raise DataError(f"sample set {name!r}: the id {entry.id!r} occurs twice")
            seen.add(entry.id)
        self.name = name
        self.task: Task = task
        self.classes = tuple(classes)
        self.info: Mapping[str, Any] = dict(info or {})
        self.entries = tuple(entries)
        self._loaders = tuple(loaders)
        self._damaged = damaged
        self._index = {entry.id: i for i, entry in enumerate(entries)}
        self._fingerprint: str | None = None

    # -- making one ---------------------------------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        *,
        name: str = "memory",
        task: Task = "instances",
        classes: Sequence[str] = (),
        info: Mapping[str, Any] | None = None,
    ) -> SampleSet:
        """Hold samples in memory."""
        kept = list(samples)
        loaders = [Loader(_held(sample.image, sample.labels, sample.ignore)) for sample in kept]
        return cls([Entry.of(s) for s in kept], loaders, name=name, task=task, classes=classes, info=info)

    @classmethod
    def open(cls, folder: str | Path, damaged: Damaged = _as_it_is) -> SampleSet:
        """Open a sample set on disk; pixels are read later, sample by sample.

        Parameters
        ----------
        folder
        damaged
            Is told of a sample whose files can't be read, or aren't those that were written; what it returns is raised.

        Raises
        ------
        DataError
            If the folder isn't a sample set, or its index is damaged.
        """
        folder = Path(folder)
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{folder}: not a sample set (no {INDEX}); import it with 'synthbench dataset add'"
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{folder / INDEX}: can't be read: {error}") from None
        try:
            if index["format"] not in range(1, FORMAT + 1):
                raise DataError(f"{folder / INDEX}: format {index['format']}, this version reads 1 to {FORMAT}")
            rows = [{"ignored": 0.0, **row} for row in index["samples"]]
            classes, info = index["classes"], index["info"]
            if not isinstance(info, dict) or not isinstance(classes, list):
                raise TypeError("classes or info")
            if not all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in [index["name"], *classes]):
                raise TypeError("name or classes")
            entries = [_entry(row) for row in rows]
            loaders = [
                _on_disk(folder, entry, row["image"], row["labels"], row.get("ignore"))
                for row, entry in zip(rows, entries, strict=True)
            ]
            about = {name: index[name] for name in ("name", "task", "classes", "info")}
            return cls(entries, loaders, **about, damaged=damaged)
        except DataError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"{folder / INDEX}: damaged index ({error!r})") from None

    @classmethod
    def write(
        cls,
        folder: str | Path,
        samples: Iterable[Sample],
        *,
        name: str | None = None,
        task: Task = "instances",
        classes: Sequence[str] = (),
        info: Mapping[str, Any] | None = None,
    ) -> SampleSet:
        """Write samples one by one into a new folder, which appears when the last of them is written.

        Returns
        -------
        SampleSet
            The set, opened from the folder.

        Raises
        ------
        DataError
            If the folder exists already, a sample is invalid, or an id occurs twice.
        """
        folder = Path(folder)
        if folder.exists():
            raise DataError(f"{folder}: exists already; name another folder, or remove it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            rows = [_write_sample(beside, sample) for sample in samples]
            index = {
                "format": FORMAT if any("ignore" in row for row in rows) else 1,
                "name": name or folder.name,
                "task": task,
                "classes": list(classes),
                "info": dict(info or {}),
                "samples": rows,
            }
            (beside / INDEX).write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            cls.open(beside)
            beside.chmod(0o755)
            os.replace(beside, folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        return cls.open(folder)

    def save(self, folder: str | Path) -> SampleSet:
        """Write this set to a new folder, and return it opened from there."""
        return SampleSet.write(folder, self, name=self.name, task=self.task, classes=self.classes, info=self.info)

    # -- looking at it ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, key: int | str) -> Sample: ...
    @overload
    def __getitem__(self, key: slice) -> SampleSet: ...
    def __getitem__(self, key: int | str | slice) -> Sample | SampleSet:
        """Read one sample by position or id; a slice gives a sample set, unread."""
        if isinstance(key, slice):
            return self._take(range(len(self))[key], self.name)
        position = self.position(key) if isinstance(key, str) else range(len(self))[key]
        entry = self.entries[position]
        try:
            sample = self._loaders[position](entry)
            if sample is None:
                raise DataError(
                    f"sample set {self.name!r}: the files of {entry.id!r} were altered since they were written; "
                    "import it again"
                )
        except DataError as error:
            raise self._damaged(error) from None
        return sample

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"SampleSet({self.name!r}, {self.task}, {len(self)} samples, {self.fingerprint[:12]})"

    def position(self, sample_id: str) -> int:
        """Return the position of an id; raise `DataError` if the set doesn't have it."""
        try:
            return self._index[sample_id]
        except KeyError:
            raise DataError(f"sample set {self.name!r}: no sample {sample_id!r}") from None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(entry.id for entry in self.entries)

    @property
    def ignoring(self) -> bool:
        """Whether any sample has pixels without a known label."""
        return any(entry.ignored for entry in self.entries)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over task, classes and the digests of the samples, in order. The name and `info` don't count."""
        if self._fingerprint is None:
            content = [self.task, list(self.classes), [entry.digest for entry in self.entries]]
            self._fingerprint = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return self._fingerprint

    def subset(self, ids: Iterable[str], name: str | None = None) -> SampleSet:
        """Return the samples with these ids, in this order, unread."""
        return self._take([self.position(i) for i in ids], name or self.name)

    def _take(self, positions: Iterable[int], name: str) -> SampleSet:
        chosen = list(positions)
        return SampleSet(
            [self.entries[i] for i in chosen],
            [self._loaders[i] for i in chosen],
            name=name,
            task=self.task,
            classes=self.classes,
            info=self.info,
            damaged=self._damaged,
        )


def _entry(row: Mapping[str, Any]) -> Entry:
    """Return a row of an index, checked; raise `DataError`, `KeyError` or `TypeError` for another than was written."""
    entry = Entry(**{name: row[name] for name in Entry.__dataclass_fields__})
    check_id(entry.id)
    texts = [entry.dtype, entry.digest, row["image"], row["labels"], *entry.groups, *entry.groups.values()]
    numbers = [entry.height, entry.width, entry.channels, entry.objects]
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        raise TypeError(f"the row of {entry.id!r}")
    shares = (entry.covered, entry.ignored)
    if not all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares) or min(numbers) < 0:
        raise TypeError(f"the row of {entry.id!r}")
    if not isinstance(row.get("ignore", ""), str) or ("ignore" in row) != (entry.ignored > 0):
        raise TypeError(f"the row of {entry.id!r}")
    return entry


def _held(image: np.ndarray, labels: np.ndarray, ignore: np.ndarray | None) -> Callable[[], Pixels]:
    return lambda: (image, labels, ignore)


def _on_disk(folder: Path, entry: Entry, image: str, labels: str, ignore: str | None) -> Loader:
    paths = [folder / part for part in (image, labels, *([ignore] if ignore else []))]
    for path in paths:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{folder / INDEX}: sample {entry.id!r} points outside the set: {path}")

    def load() -> Pixels:
        image, labels, *region = (read_array(path, (entry.height, entry.width)) for path in paths)
        return image, labels, region[0] > 0 if region else None

    return Loader(load, paths)


def _write_sample(folder: Path, sample: Sample) -> dict[str, Any]:
    files = {}
    arrays = {"images": sample.image, "labels": sample.labels}
    if sample.ignore is not None:
        arrays["ignore"] = sample.ignore.astype(np.uint8)
    for part, array in arrays.items():
        (folder / part).mkdir(exist_ok=True)
        files[part] = f"{part}/{sample.id}{suffix_for(array)}"
        if (folder / files[part]).exists():
            raise DataError(f"sample {sample.id!r}: the id occurs twice")
        write_array(folder / files[part], array)
    entry = Entry.of(sample)
    row = {name: getattr(entry, name) for name in Entry.__dataclass_fields__ if name != "ignored" or entry.ignored}
    places = {"image": files["images"], "labels": files["labels"]}
    return {**row, "groups": dict(entry.groups), **places, **({"ignore": files["ignore"]} if entry.ignored else {})}


def check_sizes(samples: SampleSet | None, patch_size: int) -> None:
    """Raise `DataError`, naming the first image, if one of `samples` is smaller than a patch."""
    for entry in samples.entries if samples is not None else ():
        if min(entry.height, entry.width) < patch_size:
            raise DataError(
                f"sample {entry.id!r} is {entry.height}×{entry.width}, smaller than a patch of {patch_size}; "
                f"use --patch {2 ** (min(entry.height, entry.width).bit_length() - 1)} or leave the image out"
            )
