"""Options of an import (`ImportOptions`), and the record of what it did to the data (`ImportLog`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthbench.datasets.intensity_scale import RangeCollector, Rescaler, ValueRange, check_white
from synthbench.datasets.mask_statistics import MaskStatistics
from synthbench.errors import ConfigError, DataError, join_problems, suggest
from synthbench.samples import TASKS, Task, check_ignore_value

if TYPE_CHECKING:
    from synthbench.datasets.found_image import FoundImage

__all__ = ["DERIVED_FROM", "ImportLog", "ImportOptions"]

DERIVED_FROM = "derived_from"
"""Key of a sample set's metadata: published datasets that its images come from; empty if they are in none."""

BINARY_CLASSES = ("background", "foreground")


@dataclass(frozen=True)
class ImportOptions:
    """How images and masks are interpreted.

    Parameters
    ----------
    task
    classes
        Names of the classes of a semantic set, background first; by default background and foreground.
    components
        Task `instances`: each connected component (8 neighbours) of a label becomes an object of its own, so that
        binary masks become label maps.
    ignore
        The value of masks where the label is unknown (`synthbench.samples.Sample.ignore`); None if there is none.
    truth
        Of Cell Tracking Challenge folders: ``gold``, ``silver``, or ``each``: the better one that a sequence has.
    white
        The white level of all images, which are then rescaled; None to keep their values.
    trusted
        Task `instances`: the masks are label maps of objects, and aren't checked for plausibility.

    Raises
    ------
    ConfigError
        If options contradict each other.
    """

    task: Task = "instances"
    classes: Sequence[str] = ()
    components: bool = False
    ignore: int | None = None
    truth: Literal["gold", "silver", "each"] | None = None
    white: float | None = None
    trusted: bool = False

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ConfigError(f"task {self.task!r}{suggest(self.task, TASKS) or '; expected instances or semantic'}")
        if self.task == "instances" and self.classes:
            raise ConfigError(
                f"classes {', '.join(self.classes)}: only semantic sets have classes; add --task semantic"
            )
        if self.task == "semantic" and self.components:
            raise ConfigError(
                "--components makes instances of connected components; remove it, or remove --task semantic"
            )
        check_ignore_value(self.ignore, self.task)
        check_white(self.white)
        classes = tuple(self.classes) or (BINARY_CLASSES if self.task == "semantic" else ())
        if self.task == "semantic" and (len(classes) < 2 or len(set(classes)) < len(classes) or not all(classes)):
            raise ConfigError(
                f"classes {', '.join(classes)}: expected at least two different names, background first "
                "(--classes background,cell)"
            )
        object.__setattr__(self, "classes", classes)


class ImportLog:
    """What a reader did to the data, counted, and the problems it found.

    Attributes
    ----------
    total : int
        Expected number of samples; 0 while it isn't known.
    counts : dict
        What was done → how often.
    files : dict
        Sample id → the stem it was made from, and the image file, if there is one.
    problems : list of str
        What makes the data unusable, each once, in order of discovery; see `raise_problems`.
    rescaler : Rescaler
        How images of other types become uint8 or uint16: one scale for all images that share this log.
    uint16_images, uint16_maximum : int
        Number of uint16 images, and the largest value in them.
    mask_statistics : list of MaskStatistics
        Statistics of each mask of objects.
    """

    def __init__(self, rescaler: Rescaler | None = None) -> None:
        self.total = 0
        self.counts: dict[str, int] = {}
        self.files: dict[str, tuple[str, Path]] = {}
        self.problems: list[str] = []
        self.rescaler = rescaler or Rescaler()
        self.uint16_images = self.uint16_maximum = 0
        self.mask_statistics: list[MaskStatistics] = []

    def count(self, action: str, number: int = 1) -> None:
        """Count something that was done; a number of zero is ignored."""
        if number:
            self.counts[action] = self.counts.get(action, 0) + number

    def expect(self, items: Iterable[tuple[str, FoundImage]]) -> None:
        """Register images that are about to be read, by id."""
        for name, item in items:
            self.total += 1
            self.files[name] = item.stem, item.image

    def add_problem(self, message: str) -> None:
        """Keep a problem until everything is read, so that all are reported at once."""
        if message not in self.problems:
            self.problems.append(message)

    @contextmanager
    def collecting_errors(self) -> Iterator[None]:
        """Keep a `DataError` raised within the block as a problem."""
        try:
            yield
        except DataError as error:
            self.add_problem(str(error))

    def raise_problems(self, where: object) -> None:
        """Raise `DataError` with the problems found in `where`, if there are any; see `errors.join_problems`."""
        if self.problems:
            raise DataError(join_problems(self.problems, where))

    def measure_with(self, read: Callable[[ImportLog], Iterable[object]], where: str) -> None:
        """Determine the scale of images of wide types from the whole set.

        Parameters
        ----------
        read
            ``read(log)`` reads all images of the set. It is called at the first image of a wide type.
        where
            The set, for errors.
        """

        def ranges() -> ValueRange:
            collector = RangeCollector()
            separate_log = ImportLog(collector)
            try:
                for _ in read(separate_log):
                    pass
            except DataError:
                if not separate_log.problems:
                    raise  # unusable files are reported when the set is read
            return collector.ranges

        self.rescaler.measure, self.rescaler.where = ranges, where

    def lines(self) -> list[str]:
        """Return a line for each thing that was done: ``"action: number"``."""
        return [f"{action}: {number:,}" for action, number in self.counts.items()]
