"""Ordered, immutable collections of samples, in memory or on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from synthbench.errors import DataError
from synthbench.samples.entries import (
    FORMAT,
    INDEX,
    Entry,
    Loader,
    check_channels,
    format_for,
    load_from_disk,
    load_from_memory,
    read_entry,
    write_sample,
)
from synthbench.samples.sample import MAX_TEXT, TASKS, Sample, Task

__all__ = ["SampleSet", "check_sizes"]

DamageHandler = Callable[[DataError], Exception]
"""Receives the error of a sample that can't be read as it was written, and returns the error to raise."""


def _unchanged(error: DataError) -> Exception:
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
        Source, licence, citation and whatever else should travel with the set; ``channels`` names the channels of
        its images in their order. Not part of the fingerprint.
    channels : int
        Channels of the images: 1 … 4; 3 also where some are grey and some RGB. Other mixtures are refused.
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
        on_damage: DamageHandler = _unchanged,
    ) -> None:
        if task not in TASKS:
            raise DataError(f"sample set {name!r}: task {task!r} is not one of {', '.join(TASKS)}")
        seen: set[str] = set()
        for entry in entries:
            if entry.id in seen:
                raise DataError(f"sample set {name!r}: the id {entry.id!r} occurs twice")
            seen.add(entry.id)
        self.channels = check_channels(((e.id, e.channels) for e in entries), f"sample set {name!r}")
        self.name = name
        self.task: Task = task
        self.classes = tuple(classes)
        self.info: Mapping[str, Any] = dict(info or {})
        self.entries = tuple(entries)
        self._loaders = tuple(loaders)
        self._on_damage = on_damage
        self._index = {entry.id: i for i, entry in enumerate(entries)}
        self._fingerprint: str | None = None

    # -- construction ---------------------------------------------------------------------------------------------

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
        loaders = [Loader(load_from_memory(sample.image, sample.labels, sample.ignore)) for sample in kept]
        return cls([Entry.of(s) for s in kept], loaders, name=name, task=task, classes=classes, info=info)

    @classmethod
    def open(cls, folder: str | Path, on_damage: DamageHandler = _unchanged) -> SampleSet:
        """Open a sample set on disk; pixels are read later, sample by sample.

        Parameters
        ----------
        folder
        on_damage
            Receives the error of a sample whose files can't be read, or have changed; what it returns is raised.

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
                raise DataError(f"{folder / INDEX}: unknown format {index['format']}; this version reads 1 to {FORMAT}")
            rows = [{"ignored": 0.0, **row} for row in index["samples"]]
            classes, info = index["classes"], index["info"]
            if not isinstance(info, dict) or not isinstance(classes, list):
                raise TypeError("classes or info")
            if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in [index["name"], *classes]):
                raise TypeError("name or classes")
            entries = [read_entry(row) for row in rows]
            loaders = [
                load_from_disk(folder, entry, row["image"], row["labels"], row.get("ignore"))
                for row, entry in zip(rows, entries, strict=True)
            ]
            about = {name: index[name] for name in ("name", "task", "classes", "info")}
            return cls(entries, loaders, **about, on_damage=on_damage)
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
            raise DataError(f"{folder}: already exists; choose another folder, or remove it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            rows = [write_sample(beside, sample) for sample in samples]
            index = {
                "format": format_for(rows),
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

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels, in their order, from ``info["channels"]``; empty where they have none."""
        names = self.info.get("channels")
        known = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        return tuple(names) if known and names and len(names) == self.channels else ()

    # -- access ------------------------------------------------------------------------------------------

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
                    f"sample set {self.name!r}: the files of {entry.id!r} have changed since they were written; "
                    "import it again"
                )
        except DataError as error:
            raise self._on_damage(error) from None
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
        """Ids of the samples, in order."""
        return tuple(entry.id for entry in self.entries)

    @property
    def has_ignored(self) -> bool:
        """Whether any sample has pixels whose label is unknown."""
        return any(entry.ignored for entry in self.entries)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of task, classes and the digests of the samples, in order; name and `info` aren't included."""
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
            on_damage=self._on_damage,
        )


def check_sizes(samples: SampleSet | None, patch_size: int) -> None:
    """Raise `DataError`, naming the first image, if one of `samples` is smaller than a patch."""
    for entry in samples.entries if samples is not None else ():
        if min(entry.height, entry.width) < patch_size:
            raise DataError(
                f"sample {entry.id!r} is {entry.height}×{entry.width}, smaller than a patch of {patch_size}; "
                f"use --patch {2 ** (min(entry.height, entry.width).bit_length() - 1)} or leave the image out"
            )
