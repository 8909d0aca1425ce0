"""Importing annotated images: detect their format, describe what was found, and yield samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.datasets.files import safe_id, subfolders
from synthbench.datasets.grouping import Grouping, log_unused_tables, make_grouping
from synthbench.datasets.import_options import DERIVED_FROM, ImportLog, ImportOptions
from synthbench.datasets.intensity_scale import IntensityScale, Rescaler
from synthbench.datasets.mask_checks import check_masks
from synthbench.datasets.pixels import log_bit_depth
from synthbench.datasets.readers import coco, folders, npz, per_object, sample_set, suffix, tracking
from synthbench.datasets.unlabelled import find_unlabelled, read_unlabelled
from synthbench.errors import ConfigError, DataError, join_problems, suggest
from synthbench.plugin.api import Progress, silent
from synthbench.plugin.registry import registry
from synthbench.samples import MAX_CHANNELS, UNLABELLED, Sample, SampleSet, Task, channel_count

__all__ = ["FORMATS", "Import", "ImportFormat", "detect_format", "prepare_import"]


@dataclass(frozen=True)
class ImportFormat:
    """A format of annotated images.

    Attributes
    ----------
    name : str
    sniff : callable
        ``sniff(path)`` → a description of what was found, or None.
    read : callable
        ``read(path, options, log)`` → samples.
    """

    name: str
    sniff: Callable[[Path], str | None]
    read: Callable[[Path, ImportOptions, ImportLog], Iterator[Sample]]


FORMATS = (
    ImportFormat("sample set", sample_set.sniff, sample_set.read),
    ImportFormat("npz", npz.sniff, npz.read),
    ImportFormat("coco", coco.sniff, coco.read),
    ImportFormat("cell tracking challenge", tracking.sniff, tracking.read),
    ImportFormat("one mask per object", per_object.sniff, per_object.read),
    ImportFormat("folders", folders.sniff, folders.read),
    ImportFormat("_masks suffix", suffix.sniff, suffix.read),
)
"""In the order in which they are tried: the more specific first."""

FORMATS_WITHOUT_VALUES = ("coco", "one mask per object", "sample set")
"""Formats whose masks can't have a value for unknown labels; a sample set already has its ignore region."""

FORMATS_IN_WORDS = (
    "images/ with labels/ or masks/, image.png with image_masks.png, <id>/images with <id>/masks, COCO JSON, npz with "
    "X and y, Cell Tracking Challenge folders (01, 01_GT/SEG)"
)


@dataclass
class Import:
    """An import that is ready to run.

    Attributes
    ----------
    path : Path
        Where the format was detected: the path given, or the only folder in it.
    format : ImportFormat
    description : str
        What was found, in a sentence.
    name : str
    options : ImportOptions
    info : dict
        Metadata of the sample set: where the samples came from and, once all are read, what was done to them.
    groups : Grouping or None
        Additional groups of the samples, from a table or from file names.
    channels : tuple of str
        Names of the channels of all images; empty where they aren't named.
    log : ImportLog
        Filled while samples are read.
    """

    path: Path
    format: ImportFormat
    description: str
    name: str
    options: ImportOptions
    info: dict[str, Any]
    groups: Grouping | None = None
    channels: tuple[str, ...] = ()
    log: ImportLog = field(default_factory=ImportLog)

    def samples(self, progress: Progress = silent) -> Iterator[Sample]:
        """Yield the samples, one at a time; `log` is filled on the way.

        Raises
        ------
        DataError
            If files can't be used (all are named at once), there is no sample, or the masks turn out not to be label
            maps of objects.
        """
        white = self.options.white
        self.log = ImportLog(Rescaler(IntensityScale.of_white(white)) if white is not None else None)
        unchecked = replace(self.options, trusted=True)
        self.log.measure_with(lambda log: self._read_all(unchecked, log), str(self.path))
        done = read = 0
        for sample in self._read():
            if self.log.problems:
                continue  # the import will fail; read on to report all problems
            self._check_channels(sample)
            unlabelled = sample.groups.get("split") == UNLABELLED
            if unlabelled:
                self.log.count("images without labels")
            elif self.options.task == "instances":
                objects = len(np.unique(sample.labels[sample.labels > 0]))
                self.log.count("objects", objects)
                self.log.count("images without objects", int(objects == 0))
            done += not unlabelled
            read += 1
            progress(read, self.log.total, sample.id)
            yield sample
        if done == 0:
            raise DataError(f"{self.path}: contains no annotated images")
        if self.options.ignore is not None and "masks with ignored pixels" not in self.log.counts:
            raise DataError(
                f"{self.path}: no mask contains {self.options.ignore}; remove --ignore or use another value"
            )
        if self.groups is None:
            log_unused_tables(self._root, self.log)
        check_masks(self.log.mask_statistics, self.path, check_components=not self.options.components)
        log_bit_depth(self.log)
        if self.options.trusted:
            self.log.count("masks not checked for plausibility (--trust-masks)", done)
        if self.log.counts:
            self.info["import"] = self.log.lines()

    def _check_channels(self, sample: Sample) -> None:
        count = channel_count(sample.image)
        if self.channels and count != len(self.channels):
            raise DataError(
                f"{self.path}: {sample.id!r} has {count} channels, and {len(self.channels)} are named: "
                f"{', '.join(self.channels)}; name as many, in their order, with --channels a,b,…"
            )

    def _read(self) -> Iterator[Sample]:
        """Yield the samples with their groups; raise `DataError` at the end with all problems."""
        try:
            for sample in self._read_all(self.options, self.log):
                yield self.groups.of(sample, self._root, self.log) if self.groups else sample
        except DataError as error:
            if not self.log.problems:
                raise
            if str(error) != join_problems(self.log.problems, self.path):
                self.log.add_problem(str(error))
        if self.groups:
            self.groups.finish(self.log)
        self.log.raise_problems(self.path)

    def _read_all(self, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
        """Yield the annotated images, then those without labels."""
        yield from self.format.read(self.path, options, log)
        if self.format.read is not sample_set.read:
            yield from read_unlabelled(self.path, log)

    @property
    def _root(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    def write(self, folder: Path, progress: Progress = silent) -> SampleSet:
        """Write the samples as a sample set in a new folder, and return it opened from there."""
        return SampleSet.write(
            folder,
            self.samples(progress),
            name=self.name,
            task=self.options.task,
            classes=self.options.classes,
            info=self.info,
        )


def detect_format(path: str | Path) -> tuple[ImportFormat, Path, str]:
    """Detect the format of the data at `path`, or in the only folder in it.

    Returns
    -------
    format, path, description
        The format, where it was detected, and what was found, for the user.

    Raises
    ------
    DataError
        If there is no data in a known format.
    """
    path = Path(path).expanduser()
    if not path.exists():
        hint = suggest(str(path), registry().names("dataset"))
        raise DataError(f"{path}: no such file or folder{hint}")
    if path.is_file() and path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z"):
        raise DataError(f"{path}: is an archive; unpack it and use the folder")
    for known in FORMATS:
        description = known.sniff(path)
        if description:
            return known, path, description
    if path.is_dir():
        inside = subfolders(path)
        if len(inside) == 1:
            return detect_format(inside[0])
        if not any(path.iterdir()):
            raise DataError(f"{path}: is empty; supported formats: {FORMATS_IN_WORDS}")
        if any(path.glob("*_seg.npy")):
            raise DataError(
                f"{path}: contains Cellpose's _seg.npy files, which are pickles and not supported; save the masks as "
                "PNG or TIFF (cellpose --save_png or --save_tif)"
            )
    if path.suffix.lower() == ".json":
        raise DataError(f"{path}: not a COCO file: needs the lists 'images' and 'annotations'")
    raise DataError(f"{path}: no annotated images found; supported formats: {FORMATS_IN_WORDS}")


def prepare_import(
    path: str | Path,
    *,
    name: str | None = None,
    task: Task | None = None,
    classes: Sequence[str] = (),
    components: bool = False,
    ignore: int | None = None,
    groups: str | Path | None = None,
    group_from: str | None = None,
    truth: tracking.TruthChoice | None = None,
    white: float | None = None,
    trusted: bool = False,
    channels: Sequence[str] = (),
    derived_from: Sequence[str] | None = None,
) -> Import:
    """Prepare an import; only the format is detected, no image is read yet.

    Parameters
    ----------
    path
        A folder, a JSON file, an npz file.
    name
        Of the sample set; by default that of the folder or file.
    task
        By default that of the sample set, if it is one already, and else instances.
    classes
        Names of the classes of a semantic set, background first. By default the categories of a COCO file, else
        background and foreground.
    components
        Make each connected component of a label an object of its own.
    ignore
        The value of masks where the label is unknown, such as 255.
    groups
        A table of groups by image; see `synthbench.datasets.group_table.GroupTable`.
    group_from
        A pattern of file names with named parts; see `synthbench.datasets.name_pattern.NamePattern`.
    truth
        Which segmentations of Cell Tracking Challenge folders to take; see `synthbench.datasets.readers.tracking.read`.
    white
        The white level of all images; by default images keep their values, and floats are rescaled together.
    trusted
        Don't check whether masks are label maps of objects.
    channels
        Names of the channels of the images, in their order; by default those of the sample set, if it is one already.
    derived_from
        Published datasets that the images come from; empty: none; by default what the sample set says, if it is one.

    Raises
    ------
    DataError
        If there is no data in a known format.
    ConfigError
        If options contradict each other, don't apply to the format, or the groups are invalid.
    """
    additional_groups = make_grouping(groups, group_from) if groups or group_from else None
    detected, at, description = detect_format(path)
    if detected.read is not sample_set.read and (without := find_unlabelled(at)):
        description += f"; {len(without)} without labels in unlabelled/"
    info: dict[str, Any] = {"format": detected.name, "found": description}
    if detected.name == "sample set":
        existing = sample_set.open_set(at)
        task, classes = task or existing.task, classes or existing.classes
        name, info = name or existing.name, dict(existing.info)
    if detected.name == "coco" and task == "semantic" and not classes:
        classes = coco.classes(at)
    if ignore is not None and detected.name in FORMATS_WITHOUT_VALUES:
        raise ConfigError(
            f"{at}: --ignore {ignore}: masks of the format {detected.name!r} have no values to ignore; remove it"
        )
    if truth and detected.read is not tracking.read:
        raise ConfigError(f"{at}: --truth applies only to Cell Tracking Challenge folders; remove it")
    options = ImportOptions(task or "instances", tuple(classes), components, ignore, truth, white, trusted)
    name = name or safe_id(at.resolve().stem if at.is_file() else at.resolve().name)
    if len(set(channels)) < len(channels) or not all(channels) or len(channels) > MAX_CHANNELS:
        raise ConfigError(f"channels {', '.join(channels)}: expected up to {MAX_CHANNELS} different names")
    if channels:
        info["channels"] = list(channels)
    if derived_from is not None:
        info[DERIVED_FROM] = list(derived_from)
    return Import(at, detected, description, name, options, info, additional_groups, tuple(channels))
