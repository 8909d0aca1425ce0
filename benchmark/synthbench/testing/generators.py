"""The contract of generators, promise by promise."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from synthbench.plugin.api import Budget, Context, Generator
from synthbench.plugin.specs import TASK_NAMES
from synthbench.samples import Sample, SampleSet, Task
from synthbench.testing.check_results import Finding, Skipped, demand, doing, empty_home, examine, refusing
from synthbench.testing.data import inverted, partly_unknown
from synthbench.testing.harness import SEED, Bench, stirred
from synthbench.testing.learning import changed
from synthbench.testing.mask_origins import wrong_origin
from synthbench.testing.shared_checks import (
    Untouched,
    budgets_are_named,
    check_no_steps,
    check_progress,
    check_steps,
    configuration_is_declared,
    in_memory,
    stop_and_resume,
)
from synthbench.testing.watch import Watch

DRAW_SEED = 3

_EIGHT = np.ones((3, 3), bool)


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
        with doing("fit"), stirred(1), watch.counting():
            context = self.context(folder=folder, progress=watch.progress, should_stop=watch.should_stop)
            return watch, self.fit(train, context)

    @property
    def second(self) -> tuple[Untouched, Generator, Watch]:
        """A second generator, fitted on a copy of the plain pictures in memory; whether that was left alone."""
        return self.once("a second fit", self._second_fit)

    def _second_fit(self) -> tuple[Untouched, Generator, Watch]:
        train, watch = in_memory(self.train), Watch()
        untouched = Untouched(train)
        with doing("a second fit"), stirred(2), watch.counting():
            return untouched, self.fit(train, self.context()), watch

    @property
    def drawn(self) -> list[Sample]:
        """The samples 0 … 5 of the fitted generator, one by one."""
        fitted = self.fitted
        return self.once("sample", lambda: [self.sample(fitted, i) for i in range(6)])

    @property
    def deep(self) -> Generator:
        """A generator fitted on `deep_pictures`, in few steps."""
        return self.once("fit on 16-bit images", lambda: self.try_fit(self.deep_pictures, "16-bit images"))

    @property
    def deep_pictures(self) -> SampleSet:
        return self.pictures(4, dtype="uint16")

    def try_fit(self, train: SampleSet, what: str, seed: int = SEED) -> Generator:
        """Fit in few steps."""
        with doing(f"fit on {what}"):
            return self.fit(train, self.context(self.few).with_seed(seed))

    def sample(self, generator: Generator, index: int, seed: int = DRAW_SEED) -> Sample:
        call = f"sample({index}, {seed})"
        with doing(call):
            sample = generator.sample(index, seed)
        demand(isinstance(sample, Sample), f"{call} returned {type(sample).__name__}, not synthbench.Sample")
        return sample

    def sample_batch(self, generator: Generator, indices: Sequence[int], seed: int = DRAW_SEED) -> list[Sample]:
        call = f"sample_batch({list(indices)}, {seed})"
        with doing(call):
            samples = list(generator.sample_batch(indices, seed))
        for sample in samples:
            demand(isinstance(sample, Sample), f"{call} returned {type(sample).__name__}, not synthbench.Sample")
        demand(len(samples) == len(indices), f"{call} returned {len(samples)} samples, not {len(indices)}")
        return samples


# -- the promises -----------------------------------------------------------------------------------------------------


def fits_and_draws(bench: _GeneratorBench) -> None:
    """fit learns from samples, and sample returns different ones of the same task, dtype and channels, with objects."""
    drawn, train = bench.drawn, bench.train
    _check_drawn(bench, drawn, train, range(6))
    demand(len({_content(sample) for sample in drawn}) > 1, "samples 0 … 5 are all the same")
    _check_counts(bench.fitted)
    demand(
        bench.trains or any(sample.labels.any() for sample in drawn),  # a few steps may be too few to learn of objects
        "samples 0 … 5 have no object, and the training images have objects",
    )


def ids_name_the_index(bench: _GeneratorBench) -> None:
    """Sample i has the id f"{i:06d}"."""
    for i, sample in enumerate(bench.drawn):
        demand(sample.id == f"{i:06d}", f"the sample drawn at {i} has the id {sample.id!r}, not '{i:06d}'")


def training_set_is_untouched(bench: _GeneratorBench) -> None:
    """fit and sample don't write into the arrays of the training samples."""
    untouched, generator, _ = bench.second
    demand(untouched, "fit changed the pixels of its training samples: work on copies")
    bench.sample_batch(generator, range(3))
    demand(untouched, "sampling changed the pixels of the training samples: work on copies")


def budget_is_kept(bench: _GeneratorBench) -> None:
    """fit takes the budget's optimiser steps, no more and no fewer; without budgets, none."""
    check_steps(bench, bench.watch, bench.second[2])
    fitted, watch = bench.fitted, Watch()
    with watch.counting():
        bench.sample(fitted, 0)
    check_no_steps(watch, "sample")


def progress_is_reported(bench: _GeneratorBench) -> None:
    """fit reports its progress from time to time, and its end."""
    check_progress(bench, bench.watch)


def samples_stand_alone(bench: _GeneratorBench) -> None:
    """Sample i of a seed depends on the seed and i alone: not on what was drawn before."""
    expected = [sample.digest for sample in bench.drawn]
    for i in (3, 5, 0):
        with stirred(5):
            repeated = bench.sample(bench.fitted, i)
        demand(
            repeated.digest == expected[i],
            f"sample({i}, {DRAW_SEED}) differs when it is called again: sample i must depend on seed and i alone",
        )
    others = (bench.sample(bench.fitted, i, DRAW_SEED + 1) for i in range(6))
    demand(
        any(_content(other) != _content(sample) for other, sample in zip(others, bench.drawn, strict=True)),
        "samples 0 … 5 are the same with another seed: derive every random choice in sample from its seed",
    )


def batches_equal_single_samples(bench: _GeneratorBench) -> None:
    """sample_batch returns to the bit what sample returns one by one, in any order and number."""
    expected = [sample.digest for sample in bench.drawn]
    for indices in ([3], range(2, 5), range(5, -1, -2), range(6), []):
        with stirred(6):
            batch = bench.sample_batch(bench.fitted, indices)
        for i, sample in zip(indices, batch, strict=True):
            demand(
                sample.digest == expected[i],
                f"sample {i} of sample_batch({list(indices)}, {DRAW_SEED}) differs from sample({i}, {DRAW_SEED})",
            )
    size = bench.cls.sample_batch_size
    demand(type(size) is int and size >= 1, f"sample_batch_size is {size!r}; expected an integer ≥ 1")


def same_seed_same_draw(bench: _GeneratorBench) -> None:
    """Two fits with one seed draw the same samples, whatever the global random state."""
    expected = [sample.digest for sample in bench.drawn[:3]]
    found = [sample.digest for sample in bench.sample_batch(bench.second[1], range(3))]
    demand(
        found == expected,
        "a second fit with the same seed draws other samples: derive every random choice from context.seed",
    )


def saved_is_enough(bench: _GeneratorBench) -> None:
    """load needs nothing but the saved folder, wherever that is, and draws the same samples."""
    _check_loaded(bench, bench.fitted, bench.drawn[:3], bench.budget)


def stops_and_resumes(bench: _GeneratorBench) -> None:
    """fit stops when asked to, leaves a checkpoint, and taken up again goes on to where an uninterrupted fit ends."""
    expected = [sample.digest for sample in bench.drawn[:3]] if bench.trains else []
    resumed = stop_and_resume(bench, bench.watch, lambda context: bench.fit(bench.train, context))
    found = [sample.digest for sample in bench.sample_batch(resumed, range(3))]
    demand(found == expected, "a fit that was stopped and taken up again draws other samples than an uninterrupted one")


def colour_and_odd_sizes(bench: _GeneratorBench) -> None:
    """RGB images of odd and different sizes are learnt from, and RGB is drawn, also after save and load."""
    sizes = [(bench.side + 13, bench.side + 30), (bench.side + 1, bench.side + 7)]
    sets = [bench.pictures(2, size=size, channels=3, seed=i) for i, size in enumerate(sizes)]
    samples = [Sample(f"{i}-{s.id}", s.image, s.labels) for i, part in enumerate(sets) for s in part]
    train = SampleSet.of(samples, task=bench.task, classes=sets[0].classes)
    generator, drawn = _try_on(bench, train, "RGB images of odd sizes")
    _check_loaded(bench, generator, drawn, bench.few, "trained on RGB images, ")


def sixteen_bits(bench: _GeneratorBench) -> None:
    """16-bit images are learnt from, and 16-bit images within their range are drawn, also after save and load."""
    train = bench.deep_pictures
    drawn = _draw_from(bench, bench.deep, train, "16-bit images")
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
    _check_loaded(bench, bench.deep, drawn, bench.few, "trained on 16-bit images, ")


def another_seed_another_fit(bench: _GeneratorBench) -> None:
    """A fit with another seed learns something else."""
    if not bench.trains:
        raise Skipped("it doesn't train")
    other = bench.try_fit(bench.deep_pictures, "16-bit images with another seed", SEED + 1)
    demand(
        changed(bench.numbers(other), bench.numbers(bench.deep), (SEED, SEED + 1)),
        "a fit with another seed saves the same numbers: derive every random choice from context.seed",
    )


def training_set_is_learnt_from(bench: _GeneratorBench) -> None:
    """A generator fitted on other samples draws others."""
    train = inverted(bench.deep_pictures)
    other = bench.try_fit(train, "other 16-bit images")
    expected = [_content(sample) for sample in bench.sample_batch(bench.deep, range(3))]
    demand(
        [_content(sample) for sample in bench.sample_batch(other, range(3))] != expected,
        "fitted on other samples it draws the same ones: learn from the training samples",
    )


def unknown_is_no_background(bench: _GeneratorBench) -> None:
    """Where it supports ignore regions, pixels of unknown label are not taken for background."""
    if not bench.cls.supports_ignore:
        raise Skipped("it doesn't say supports_ignore, so studies refuse it samples with an ignore region")
    for task in bench.tasks:
        what = f"images of the task {task!r}, much of them unknown"
        pair = partly_unknown(bench.pictures(4, task=task))
        unknown, background = ([_content(sample) for sample in _try_on(bench, train, what)[1]] for train in pair)
        demand(
            unknown != background,
            f"trained on {what}, it draws what it draws where these pixels are background: leave out Sample.ignore",
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
        with refusing(f"fit and sample on {what}"):
            drawn = list(bench.fit(train, bench.context(bench.few)).sample_batch(range(2), DRAW_SEED))
            _check_drawn(bench, drawn, train, range(2))


def _try_on(bench: _GeneratorBench, train: SampleSet, what: str) -> tuple[Generator, list[Sample]]:
    generator = bench.try_fit(train, what)
    return generator, _draw_from(bench, generator, train, what)


def _draw_from(bench: _GeneratorBench, generator: Generator, train: SampleSet, what: str) -> list[Sample]:
    drawn = bench.sample_batch(generator, range(3))
    _check_drawn(bench, drawn, train, range(3), f"trained on {what}, ")
    _check_counts(generator)
    return drawn


def _check_loaded(
    bench: _GeneratorBench, generator: Generator, drawn: list[Sample], budget: Budget, when: str = ""
) -> None:
    """Raise `Violation` unless the generator, saved and loaded elsewhere, draws its first three samples again."""
    moved = bench.saved(generator).rename(bench.folder / "moved")
    hidden = (bench.folder / "train").rename(bench.folder / "hidden")
    try:
        with doing(f"{when}load from a moved folder, without the training samples,"), stirred(6), empty_home():
            loaded = bench.cls.load(moved, bench.context(budget))
            found = [sample.digest for sample in bench.sample_batch(loaded, range(3))]
    finally:
        hidden.rename(bench.folder / "train")
        shutil.rmtree(moved)
    demand(loaded.config == generator.config, f"{when}load gave another configuration than was saved")
    demand(
        found == [sample.digest for sample in drawn],
        f"{when}what load gives draws other samples than what was saved",
    )


def _check_counts(generator: Generator) -> None:
    counts = getattr(generator, "counts", None)
    demand(isinstance(counts, Mapping), "self.counts is not there any more; call super().__init__(config)")
    for name, count in dict(counts or {}).items():
        demand(
            isinstance(name, str) and type(count) is int and count >= 0,
            f"self.counts[{name!r}] is {count!r}: count in plain whole numbers from 0 up",
        )


def _content(sample: Sample) -> str:
    """Return the digest of a sample's pixels and labels, whatever it is called."""
    return Sample("any", sample.image, sample.labels, ignore=sample.ignore).digest


def _in_pieces(labels: np.ndarray) -> int:
    """Return how many objects of a label map are in several pieces."""
    boxes = enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1)
    return sum(ndimage.label(labels[box] == k, _EIGHT)[1] > 1 for k, box in boxes if box is not None)


def _check_drawn(bench: Bench, drawn: list[Sample], train: SampleSet, index: range, when: str = "") -> None:
    first = train[0]
    most = max(_in_pieces(sample.labels) for sample in train) if train.task == "instances" else 0
    smallest = min(min(entry.height, entry.width) for entry in train.entries)
    side = min(smallest, bench.budget.patch_size if bench.trains else bench.side)
    for i, sample in zip(index, drawn, strict=True):
        demand(
            sample.image.dtype == first.image.dtype,
            f"{when}it draws {sample.image.dtype} images, and the training images are {first.image.dtype}",
        )
        demand(
            sample.image.ndim == first.image.ndim,
            f"{when}it draws images of shape {sample.image.shape}, and the training images have {first.image.shape}",
        )
        height, width = sample.labels.shape
        demand(
            min(height, width) >= side,
            f"{when}sample {i} is {height}×{width}, and a patch of {side} doesn't fit: draw no smaller images than "
            "segmenters are trained on",
        )
        top = int(sample.labels.max(initial=0))
        if train.task == "instances":
            count = int(np.unique(sample.labels[sample.labels > 0]).size)
            demand(count == top, f"{when}sample {i} holds {count} labels up to {top}: number them 1 … n without gaps")
            split = _in_pieces(sample.labels)
            demand(
                split <= most,
                f"{when}sample {i} has {split} objects in several pieces, and no training image more than {most}: "
                "make each piece an object, or keep the largest",
            )
        if train.task == "semantic":
            demand(
                top < len(train.classes),
                f"{when}sample {i} holds class {top}, and there are {len(train.classes)} classes from 0",
            )
        demand(np.ptp(sample.image) > 0 or np.ptp(first.image) == 0, f"{when}sample {i} is a constant image")
        wrong = wrong_origin(sample, train)
        demand(not wrong, f"{when}sample {i} {wrong}")


CHECKS = (
    configuration_is_declared,
    budgets_are_named,
    fits_and_draws,
    ids_name_the_index,
    training_set_is_untouched,
    budget_is_kept,
    progress_is_reported,
    samples_stand_alone,
    batches_equal_single_samples,
    same_seed_same_draw,
    saved_is_enough,
    stops_and_resumes,
    colour_and_odd_sizes,
    sixteen_bits,
    another_seed_another_fit,
    training_set_is_learnt_from,
    unknown_is_no_background,
    empty_and_lone_objects,
    every_claimed_task,
    poor_training_sets,
)
