"""The contract of generators, promise by promise."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.plugin.api import Context, Generator
from synthbench.plugin.specs import TASK_NAMES
from synthbench.samples import Sample, SampleSet, Task
from synthbench.testing.bench import Bench, Watch, stirred
from synthbench.testing.findings import Finding, Skipped, demand, doing, examine, refusing
from synthbench.testing.folders import check_saved
from synthbench.testing.promises import (
    Untouched,
    budgets_are_named,
    check_progress,
    check_steps,
    configuration_is_declared,
    in_memory,
    stop_and_resume,
)

DRAW_SEED = 3


def check_generator(
    cls: type[Generator], *, tasks: Iterable[str] = TASK_NAMES, config: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Try a generator's class against the contract.

    Parameters
    ----------
    cls
    tasks
        The tasks its spec claims.
    config
        Keys of its configuration; by default the defaults.

    Returns
    -------
    list of Finding
        One per check, in order.
    """
    return list(examine_generator(cls, tasks, config))


def examine_generator(
    cls: type[Generator], tasks: Iterable[str], config: Mapping[str, Any] | None
) -> Iterator[Finding]:
    """Yield the findings of `check_generator` as they come."""
    with tempfile.TemporaryDirectory(prefix="synthbench-check-") as folder:
        yield from examine(CHECKS, _GeneratorBench(cls, tasks, Path(folder), config))


class _GeneratorBench(Bench):
    """A bench that keeps the generator fitted on the plain pictures."""

    def fit(self, train: SampleSet, context: Context) -> Generator:
        generator = self.make()
        generator.fit(train, context)
        return generator

    @property
    def train(self) -> SampleSet:
        """The plain pictures, on disk."""
        return self.once("drawing the pictures", lambda: self.pictures().save(self.folder / "train"))

    @property
    def watch(self) -> Watch:
        """What was seen of the plain fit."""
        return self.once("fit", self._plain_fit)[0]

    @property
    def fitted(self) -> Generator:
        """The generator fitted on the plain pictures."""
        return self.once("fit", self._plain_fit)[1]

    def _plain_fit(self) -> tuple[Watch, Generator]:
        watch, folder, train = Watch(), self.new_folder("checkpoints"), self.train
        with doing("fit"), stirred(1), watch.counting() if self.trains else contextlib.nullcontext():
            context = self.context(folder=folder, progress=watch.progress, should_stop=watch.should_stop)
            return watch, self.fit(train, context)

    @property
    def second(self) -> tuple[Untouched, Generator]:
        """A second generator, fitted on a copy of the plain pictures in memory, and whether that was left alone."""
        return self.once("a second fit", self._second_fit)

    def _second_fit(self) -> tuple[Untouched, Generator]:
        train = in_memory(self.train)
        untouched = Untouched(train)
        with doing("a second fit"), stirred(2):
            return untouched, self.fit(train, self.context())

    @property
    def drawn(self) -> list[Sample]:
        """``draw(range(6))`` of the fitted generator."""
        fitted = self.fitted
        return self.once("draw(range(6))", lambda: self.draw(fitted, range(6)))

    def draw(self, generator: Generator, index: int | range) -> list[Sample]:
        call = f"draw({index})"
        with doing(call):
            samples = list(generator.draw(index, DRAW_SEED))
        for sample in samples:
            demand(isinstance(sample, Sample), f"{call} yielded {type(sample).__name__}, not synthbench.Sample")
        count = 1 if isinstance(index, int) else len(index)
        demand(len(samples) == count, f"{call} yielded {len(samples)} samples, not {count}")
        return samples


# -- the promises -----------------------------------------------------------------------------------------------------


def fits_and_draws(bench: _GeneratorBench) -> None:
    """fit learns from samples and draw yields samples of the same task, dtype and channels."""
    _check_drawn(bench, bench.drawn, bench.train, range(6))


def ids_name_the_index(bench: _GeneratorBench) -> None:
    """Sample i has the id f"{i:06d}"."""
    for i, sample in enumerate(bench.drawn):
        demand(sample.id == f"{i:06d}", f"the sample drawn at {i} has the id {sample.id!r}, not '{i:06d}'")


def training_set_is_untouched(bench: _GeneratorBench) -> None:
    """fit and draw don't write into the arrays of the training samples."""
    untouched, generator = bench.second
    demand(untouched, "fit changed the pixels of its training samples: work on copies")
    bench.draw(generator, range(3))
    demand(untouched, "draw changed the pixels of the training samples: work on copies")


def budget_is_kept(bench: _GeneratorBench) -> None:
    """fit takes the budget's optimiser steps, no more and no fewer."""
    check_steps(bench, bench.watch)


def progress_is_reported(bench: _GeneratorBench) -> None:
    """fit reports its progress from time to time, and its end."""
    check_progress(bench, bench.watch)


def draws_stand_alone(bench: _GeneratorBench) -> None:
    """Sample i of a seed depends on the seed and i alone: not on number, order, or batches."""
    expected = [sample.digest for sample in bench.drawn]
    for index, chosen in (
        (3, [3]),
        (range(2, 5), [2, 3, 4]),
        (range(5, -1, -2), [5, 3, 1]),
        (range(6), list(range(6))),
    ):
        with stirred(5):
            found = bench.draw(bench.fitted, index)
        for i, sample in zip(chosen, found, strict=True):
            demand(
                sample.digest == expected[i],
                f"sample {i} of draw({index}) differs from sample {i} of draw(range(6)): "
                "sample i must depend on seed and i alone",
            )


def same_seed_same_draw(bench: _GeneratorBench) -> None:
    """Two fits with one seed draw the same samples, whatever the global random state."""
    expected = [sample.digest for sample in bench.drawn[:3]]
    found = [sample.digest for sample in bench.draw(bench.second[1], range(3))]
    demand(
        found == expected,
        "a second fit with the same seed draws other samples: derive every random choice from context.seed",
    )


def saved_is_enough(bench: _GeneratorBench) -> None:
    """load needs nothing but the saved folder, wherever that is, and draws the same samples."""
    expected = [sample.digest for sample in bench.drawn[:3]]
    saved, moved = bench.new_folder("saved"), bench.folder / "moved"
    with doing("save"):
        bench.fitted.save(saved)
    check_saved(saved)
    saved.rename(moved)
    hidden = (bench.folder / "train").rename(bench.folder / "hidden")
    try:
        with doing("load from a moved folder, without the training samples,"), stirred(6):
            loaded = bench.cls.load(moved, bench.context())
            found = [sample.digest for sample in bench.draw(loaded, range(3))]
    finally:
        hidden.rename(bench.folder / "train")
        shutil.rmtree(moved)
    demand(loaded.config == bench.fitted.config, "load gave another configuration than was saved")
    demand(found == expected, "what load gives draws other samples than what was saved")


def stops_and_resumes(bench: _GeneratorBench) -> None:
    """fit stops when asked to, and taken up again ends where an uninterrupted fit ends."""
    expected = [sample.digest for sample in bench.drawn[:3]] if bench.trains else []
    resumed = stop_and_resume(bench, lambda context: bench.fit(bench.train, context))
    found = [sample.digest for sample in bench.draw(resumed, range(3))]
    demand(found == expected, "a fit that was stopped and taken up again draws other samples than an uninterrupted one")


def colour_and_odd_sizes(bench: _GeneratorBench) -> None:
    """RGB images of odd and different sizes are learnt from, and RGB is drawn."""
    sizes = [(bench.side + 13, bench.side + 30), (bench.side + 1, bench.side + 7)]
    sets = [bench.pictures(2, size=size, channels=3, seed=i) for i, size in enumerate(sizes)]
    samples = [Sample(f"{i}-{s.id}", s.image, s.labels) for i, part in enumerate(sets) for s in part]
    _try_on(bench, SampleSet.of(samples, task=bench.task, classes=sets[0].classes), "RGB images of odd sizes")


def sixteen_bits(bench: _GeneratorBench) -> None:
    """16-bit images are learnt from, and 16-bit images within their range are drawn."""
    train = bench.pictures(4, dtype="uint16")
    drawn = _try_on(bench, train, "16-bit images")
    top = max(int(sample.image.max()) for sample in train)
    found = max(int(sample.image.max()) for sample in drawn)
    demand(
        found <= 2 * top,
        f"trained on 16-bit images of up to {top}, it draws up to {found}: keep the range of the training images",
    )
    demand(
        found > 255 or top <= 255,
        f"trained on 16-bit images of up to {top}, it draws up to {found}: that is 8-bit light",
    )


def empty_and_lone_objects(bench: _GeneratorBench) -> None:
    """Images without any object, and with one, may be among the training samples."""
    parts = [bench.pictures(2, objects=n, seed=n) for n in (0, 1, 6)]
    samples = [Sample(f"{i}-{s.id}", s.image, s.labels) for i, part in enumerate(parts) for s in part]
    _try_on(
        bench, SampleSet.of(samples, task=bench.task, classes=parts[0].classes), "images with no, one and six objects"
    )


def every_claimed_task(bench: _GeneratorBench) -> None:
    """Every task that the spec claims can be done."""
    others: list[Task] = [task for task in ("instances", "semantic") if task in bench.tasks and task != bench.task]
    if not others:
        raise Skipped("it claims one task, which the other checks try")
    for task in others:
        _try_on(bench, bench.pictures(4, task=task), f"images of the task {task!r}")


def poor_training_sets(bench: _GeneratorBench) -> None:
    """One image, all background, or images smaller than a patch: it works, or it says so in one line."""
    sets = {
        "one image": bench.pictures(1),
        "images that are all background": bench.pictures(3, objects=0),
        "images of 24×20": bench.pictures(3, size=(24, 20)),
    }
    for what, train in sets.items():
        with refusing(f"fit and draw on {what}"):
            drawn = list(bench.fit(train, bench.context(bench.few)).draw(range(2), DRAW_SEED))
            _check_drawn(bench, drawn, train, range(2))


def _try_on(bench: _GeneratorBench, train: SampleSet, what: str) -> list[Sample]:
    with doing(f"fit on {what}"):
        generator = bench.fit(train, bench.context(bench.few))
    drawn = bench.draw(generator, range(3))
    _check_drawn(bench, drawn, train, range(3), f"trained on {what}, ")
    return drawn


def _check_drawn(bench: Bench, drawn: list[Sample], train: SampleSet, index: range, when: str = "") -> None:
    first = train[0]
    for i, sample in zip(index, drawn, strict=True):
        demand(
            sample.image.dtype == first.image.dtype,
            f"{when}it draws {sample.image.dtype} images, and the training images are {first.image.dtype}",
        )
        demand(
            sample.image.ndim == first.image.ndim,
            f"{when}it draws images of shape {sample.image.shape}, and the training images have {first.image.shape}",
        )
        top = int(sample.labels.max(initial=0))
        if train.task == "semantic":
            demand(
                top < len(train.classes),
                f"{when}sample {i} holds class {top}, and there are {len(train.classes)} classes from 0",
            )
        demand(np.ptp(sample.image) > 0 or np.ptp(first.image) == 0, f"{when}sample {i} is a constant image")


CHECKS = (
    configuration_is_declared,
    budgets_are_named,
    fits_and_draws,
    ids_name_the_index,
    training_set_is_untouched,
    budget_is_kept,
    progress_is_reported,
    draws_stand_alone,
    same_seed_same_draw,
    saved_is_enough,
    stops_and_resumes,
    colour_and_odd_sizes,
    sixteen_bits,
    empty_and_lone_objects,
    every_claimed_task,
    poor_training_sets,
)
