"""What an import is told (`ImportOptions`), and what it has to say afterwards (`ImportLog`)."""

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

BINARY_CLASSES = ("background", "foreground")


@dataclass(frozen=True)
class ImportOptions:
    """How masks are understood.

    Parameters
    ----------
    task
    classes
        Names of the classes of a semantic set, background first; by default background and foreground.
    components
        Task `instances`: each connected piece (8 neighbours) of a label is an object of its own, so that binary
        masks become label maps.
    ignore
        What masks hold where the label is unknown (`synthbench.samples.Sample.ignore`); None where no value means that.
    truth
        Of Cell Tracking Challenge folders: ``gold``, ``silver``, or of each sequence the better that it has.
    white
        The value that is white in all images, so that they become one scale; None to take them as they are.
    trusted
        Task `instances`: the masks are label maps of objects, and nothing is asked about them.

    Raises
    ------
    ConfigError
        If they don't fit together.
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
            raise ConfigError(f"task {self.task!r}{suggest(self.task, TASKS) or ': give instances or semantic'}")
        if self.task == "instances" and self.classes:
            raise ConfigError(
                f"classes {', '.join(self.classes)}: only a semantic set has classes; add --task semantic"
            )
        if self.task == "semantic" and self.components:
            raise ConfigError(
                "--components makes instances of connected pieces; leave it out, or leave out --task semantic"
            )
        check_ignore_value(self.ignore, self.task)
        check_white(self.white)
        classes = tuple(self.classes) or (BINARY_CLASSES if self.task == "semantic" else ())
        if self.task == "semantic" and (len(classes) < 2 or len(set(classes)) < len(classes) or not all(classes)):
            raise ConfigError(
                f"classes {', '.join(classes)}: name at least two different ones, background first "
                "(--classes background,cell)"
            )
        object.__setattr__(self, "classes", classes)


class ImportLog:
    """What a reader did to the data on its way in, counted.

    Attributes
    ----------
    total : int
        How many samples the reader expects to yield; 0 while it isn't known.
    counts : dict
        What was done → how often.
    files : dict
        Sample id → what it was made from, and the image file; where there is one.
    problems : list of str
        What makes the data unusable, each once, in the order in which it was found: see `refuse`.
    scaling : Scaling
        How images of other types become uint8 or uint16: one scale for all that share these notes.
    deep, brightest : int
        How many images were uint16, and the largest value in them.
    looks : list of Look
        What was seen of each mask of objects.
    """

    def __init__(self, scaling: Rescaler | None = None) -> None:
        self.total = 0
        self.counts: dict[str, int] = {}
        self.files: dict[str, tuple[str, Path]] = {}
        self.problems: list[str] = []
        self.scaling = scaling or Rescaler()
        self.deep = self.brightest = 0
        self.looks: list[MaskStatistics] = []

    def add(self, what: str, count: int = 1) -> None:
        """Count something that was done; a count of zero leaves no trace."""
        if count:
            self.counts[what] = self.counts.get(what, 0) + count

    def expect(self, items: Iterable[tuple[str, FoundImage]]) -> None:
        """Count images that are about to be read, by id, and keep what they are called."""
        for name, item in items:
            self.total += 1
            self.files[name] = item.stem, item.image

    def problem(self, what: str) -> None:
        """Keep a problem until the rest is looked at as well, so that all are told at once."""
        if what not in self.problems:
            self.problems.append(what)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Keep a `DataError` as a problem."""
        try:
            yield
        except DataError as error:
            self.problem(str(error))

    def refuse(self, where: object) -> None:
        """Raise `DataError` with the problems found at `where`, if there are any; see `errors.join_problems`."""
        if self.problems:
            raise DataError(join_problems(self.problems, where))

    def measure_by(self, read: Callable[[ImportLog], Iterable[object]], where: str) -> None:
        """Let images of wide types have the scale of a whole set.

        Parameters
        ----------
        read
            ``read(notes)`` reads all images of the set. It is called when the first image of a wide type is met.
        where
            The set, for errors.
        """

        def ranges() -> ValueRange:
            measuring = RangeCollector()
            aside = ImportLog(measuring)
            try:
                for _ in read(aside):
                    pass
            except DataError:
                if not aside.problems:
                    raise  # files that can't be used are told by those who read the set afterwards
            return measuring.ranges

        self.scaling.measure, self.scaling.where = ranges, where

    def lines(self) -> list[str]:
        """Return a line for each thing that was done: ``"what: count"``."""
        return [f"{what}: {count:,}" for what, count in self.counts.items()]
