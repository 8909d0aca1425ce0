"""Importing: find the form of annotated images by itself, say what was found, and yield samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.datasets.files import safe_id, subfolders
from synthbench.datasets.grouping import Grouping, log_unused_tables, make_grouping
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.intensity_scale import IntensityScale, Rescaler
from synthbench.datasets.mask_checks import check_masks
from synthbench.datasets.pixels import log_bit_depth
from synthbench.datasets.readers import coco, folders, npz, per_object, sample_set, suffix, tracking
from synthbench.errors import ConfigError, DataError, join_problems, suggest
from synthbench.plugin.api import Progress, silent
from synthbench.plugin.registry import registry
from synthbench.samples import Sample, SampleSet, Task


@dataclass(frozen=True)
class ImportFormat:
    """A form in which annotated images are found.

    Attributes
    ----------
    name : str
    sniff : callable
        ``sniff(path)`` → what was found, in a sentence, or None.
    read : callable
        ``read(path, recipe, notes)`` → samples.
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
"""In the order in which they are looked for: the more specific first."""

FORMATS_WITHOUT_VALUES = ("coco", "one mask per object", "sample set")
"""Forms whose masks have no value that could mean "unknown"; a sample set has its ignore region already."""

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
        Where the form was found: what was asked for, or the one folder within it.
    form : Form
    found : str
        What was found, in a sentence.
    name : str
    recipe : Recipe
    info : dict
        Travels with the samples: where they came from, and once all are read what was done to them.
    groups : Grouping or None
        What images belong to, where that was told apart from the files.
    notes : Notes
        Filled while samples are read.
    """

    path: Path
    form: ImportFormat
    found: str
    name: str
    recipe: ImportOptions
    info: dict[str, Any]
    groups: Grouping | None = None
    notes: ImportLog = field(default_factory=ImportLog)

    def samples(self, progress: Progress = silent) -> Iterator[Sample]:
        """Yield the samples, one at a time; `notes` is filled on the way.

        Raises
        ------
        DataError
            If files can't be used (told together), there is no sample, or the masks turn out to be no label
            maps of objects.
        """
        white = self.recipe.white
        self.notes = ImportLog(Rescaler(IntensityScale.of_white(white)) if white is not None else None)
        unasked = replace(self.recipe, trusted=True)
        self.notes.measure_by(lambda notes: self.form.read(self.path, unasked, notes), str(self.path))
        done = 0
        for sample in self._found():
            if self.notes.problems:
                continue  # nothing will come of it; what else is wrong is to be told as well
            if self.recipe.task == "instances":
                count = len(np.unique(sample.labels[sample.labels > 0]))
                self.notes.add("objects", count)
                self.notes.add("images without an object", int(count == 0))
            done += 1
            progress(done, self.notes.total, sample.id)
            yield sample
        if done == 0:
            raise DataError(f"{self.path}: holds no annotated image")
        if self.recipe.ignore is not None and "masks with ignored pixels" not in self.notes.counts:
            raise DataError(
                f"{self.path}: no mask holds {self.recipe.ignore}; leave out --ignore, or give another value"
            )
        if self.groups is None:
            log_unused_tables(self._root, self.notes)
        check_masks(self.notes.looks, self.path, in_pieces=not self.recipe.components)
        log_bit_depth(self.notes)
        if self.recipe.trusted:
            self.notes.add("masks taken for label maps of objects unasked (--trust-masks)", done)
        if self.notes.counts:
            self.info["import"] = self.notes.lines()

    def _found(self) -> Iterator[Sample]:
        """Yield what the reader finds, with its groups; raise `DataError` at the end for all problems together."""
        try:
            for sample in self.form.read(self.path, self.recipe, self.notes):
                yield self.groups.of(sample, self._root, self.notes) if self.groups else sample
        except DataError as error:
            if not self.notes.problems:
                raise
            if str(error) != join_problems(self.notes.problems, self.path):
                self.notes.problem(str(error))
        if self.groups:
            self.groups.finish(self.notes)
        self.notes.refuse(self.path)

    @property
    def _root(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    def write(self, folder: Path, progress: Progress = silent) -> SampleSet:
        """Write the samples as a sample set in a new folder, and return it opened from there."""
        return SampleSet.write(
            folder,
            self.samples(progress),
            name=self.name,
            task=self.recipe.task,
            classes=self.recipe.classes,
            info=self.info,
        )


def detect_format(path: str | Path) -> tuple[ImportFormat, Path, str]:
    """Find the form of what is at `path`: of itself, or of the only folder in it.

    Returns
    -------
    form, path, found
        `found` is a sentence for the user.

    Raises
    ------
    DataError
        If there is nothing, or nothing that is known.
    """
    path = Path(path).expanduser()
    if not path.exists():
        hint = suggest(str(path), registry().names("dataset"))
        raise DataError(f"{path}: no such file or folder{hint}")
    if path.is_file() and path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z"):
        raise DataError(f"{path}: is an archive; unpack it, and give the folder")
    for form in FORMATS:
        found = form.sniff(path)
        if found:
            return form, path, found
    if path.is_dir():
        inside = subfolders(path)
        if len(inside) == 1:
            return detect_format(inside[0])
        if not any(path.iterdir()):
            raise DataError(f"{path}: is empty; the forms that can be imported are: {FORMATS_IN_WORDS}")
        if any(path.glob("*_seg.npy")):
            raise DataError(
                f"{path}: holds Cellpose's _seg.npy files, which are pickles and aren't opened; save the masks as "
                "PNG or TIFF (cellpose --save_png or --save_tif)"
            )
    if path.suffix.lower() == ".json":
        raise DataError(f"{path}: isn't JSON with the lists 'images' and 'annotations', as COCO has them")
    raise DataError(f"{path}: no annotated images were found; the forms that can be imported are: {FORMATS_IN_WORDS}")


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
) -> Import:
    """Prepare an import; nothing but what tells the form is read yet.

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
        Make each connected piece of a label an object of its own.
    ignore
        What masks hold where the label is unknown, such as 255.
    groups
        A table of what images belong to; see `synthbench.datasets.group_table.GroupTable`.
    group_from
        The form of file names, with named parts; see `synthbench.datasets.name_pattern.NamePattern`.
    truth
        Which segmentations of Cell Tracking Challenge folders to take; see `synthbench.datasets.readers.tracking.read`.
    white
        The value that is white in all images; by default images keep their values, and floats become one scale.
    trusted
        Take the masks for label maps of objects without a question.

    Raises
    ------
    DataError
        If nothing that is known is found there.
    ConfigError
        If task, classes, components, ignore and white don't fit together, the form has no masks of values, or groups
        can't be understood.
    """
    told = make_grouping(groups, group_from) if groups or group_from else None
    form, at, found = detect_format(path)
    info: dict[str, Any] = {"form": form.name, "found": found}
    if form.name == "sample set":
        own = sample_set.open_set(at)
        task, classes = task or own.task, classes or own.classes
        name, info = name or own.name, dict(own.info)
    if form.name == "coco" and task == "semantic" and not classes:
        classes = coco.classes(at)
    if ignore is not None and form.name in FORMATS_WITHOUT_VALUES:
        raise ConfigError(f"{at}: --ignore {ignore}: the masks of this form ({form.name}) hold no values; leave it out")
    if truth and form.read is not tracking.read:
        raise ConfigError(f"{at}: --truth is for Cell Tracking Challenge folders; leave it out")
    recipe = ImportOptions(task or "instances", tuple(classes), components, ignore, truth, white, trusted)
    return Import(
        at, form, found, name or safe_id(at.resolve().stem if at.is_file() else at.resolve().name), recipe, info, told
    )
