"""Any folder of images, with masks or without, as images that can be read one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from synthbench.datasets.files import IMAGE_SUFFIXES, image_files
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.importing import detect_format, prepare_import
from synthbench.datasets.intensity_scale import RESCALED, UNCHANGED, IntensityScale, Rescaler, check_white
from synthbench.datasets.pixels import read_image
from synthbench.datasets.readers.folders import IMAGES
from synthbench.datasets.unlabelled import labelled_samples
from synthbench.errors import DataError
from synthbench.samples import MASK, ORIGINS, UNLABELLED, Sample, SampleSet, Task
from synthbench.types import AnyArray

__all__ = ["Pictures", "open_pictures"]


@dataclass(frozen=True)
class Pictures:
    """A folder of images.

    Attributes
    ----------
    path : Path
    found : str
        What was found, in a sentence.
    names : tuple of str
        One per image, in a fixed order.
    masks : {"instances", "semantic", ""}
        What the masks hold; empty where there are none.
    notes : callable
        ``notes()`` → what was done to the data on its way in, a line each; complete when all images were read.
    read : callable
        ``read(position)`` → image, uint8 or uint16, 1 … 4 channels; its label map or None; where that is unknown, or
        None.
    origins : tuple of str
        Where the masks of drawn samples come from, as a sample set says; empty where nothing is said.
    """

    path: Path
    found: str
    names: tuple[str, ...]
    masks: Task | str
    notes: Callable[[], list[str]]
    read: Callable[[int], tuple[AnyArray, AnyArray | None, AnyArray | None]]
    origins: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def rule(self) -> str:
        """How images of wide types were brought to one scale of the set's own; empty where none were."""
        found = (line.partition(mark) for line in self.notes() for mark in (RESCALED, UNCHANGED) if mark in line)
        return "; ".join(sorted({f"{mark}{rest.rpartition(':')[0]}" for _, mark, rest in found}))


def open_pictures(
    path: str | Path, *, task: Task | None = None, components: bool = False, white: float | None = None
) -> Pictures:
    """Open annotated images in any form that `datasets` reads, or a folder of images alone.

    Sample sets and plain images are read when they are asked for; other annotated forms are read at once, and kept.

    Parameters
    ----------
    path
    task
        What the masks hold; by default that of the sample set, if it is one, and else instances.
    components
        Make each connected piece of a mask an object of its own.
    white
        The value that is white in all images that aren't a sample set; see `synthbench.datasets.intensity_scale`.

    Raises
    ------
    DataError
        If there are no images, or one can't be used.
    """
    path = Path(path).expanduser()
    try:
        form, at, found = detect_format(path)
    except DataError:
        files = _plain(path)
        if not files:
            raise
        return _plain_pictures(path, files, white)
    own = form.name == "sample set" and not components
    ready = prepare_import(path, task=task, components=components, white=None if own else white)
    if own:
        stored = labelled_samples(SampleSet.open(at))
        said = [str(line) for line in stored.info.get("import", ())]
        origins = tuple(_origin(entry.groups.get(MASK, "")) for entry in stored.entries)
        return Pictures(path, found, stored.ids, ready.options.task, lambda: said, lambda i: _parts(stored[i]), origins)
    kept = [sample for sample in ready.samples() if sample.groups.get("split") != UNLABELLED]
    names = tuple(sample.id for sample in kept)
    return Pictures(path, found, names, ready.options.task, ready.log.lines, lambda i: _parts(kept[i]))


def _origin(said: str) -> str:
    """Return what a group says of a mask's origin; a dataset may mean something else by its name."""
    return said if said in ORIGINS else ""


def _parts(sample: Sample) -> tuple[AnyArray, AnyArray, AnyArray | None]:
    return sample.image, sample.labels, sample.ignore


def _plain(path: Path) -> list[Path]:
    """Return the images of a folder without masks: directly in it, or in its images/."""
    if not path.is_dir():
        return []
    places = [path, *(path / name for name in IMAGES if (path / name).is_dir())]
    return next((files for files in map(image_files, places) if files), [])


def _plain_pictures(path: Path, files: list[Path], white: float | None) -> Pictures:
    check_white(white)
    notes = ImportLog(Rescaler(IntensityScale.of_white(white)) if white is not None else None)

    def read_all(measuring: ImportLog) -> Iterator[AnyArray]:
        for file in files:
            with measuring.collecting_errors():
                yield read_image(file, measuring)

    notes.measure_with(read_all, str(path))
    kinds = ", ".join(suffix for suffix in IMAGE_SUFFIXES if any(file.suffix.lower() == suffix for file in files))
    return Pictures(
        path,
        f"{len(files)} images ({kinds}), no masks",
        tuple(file.name for file in files),
        "",
        notes.lines,
        lambda i: (read_image(files[i], notes), None, None),
    )
