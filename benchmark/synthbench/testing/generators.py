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
from synthbench.testing.check_results import (
    CheckResult,
    Skipped,
    empty_home,
    plugin_call,
    plugin_call_may_refuse,
    require,
    run_checks,
)
from synthbench.testing.data import inverted, partly_unknown
from synthbench.testing.harness import SEED, Harness, perturbed_global_rng
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
) -> list[CheckResult]:
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
    list of CheckResult
        One per check, in order.
    """
    return list(iter_generator_checks(cls, tasks, config))


def iter_generator_checks(
    cls: type[Generator], tasks: Iterable[str], config: Mapping[str, Any] | None
) -> Iterator[CheckResult]:
    """Yield the results of `check_generator` as they come."""
    with tempfile.TemporaryDirectory(prefix="synthbench-check-") as folder:
        yield from run_checks(CHECKS, _GeneratorHarness(cls, tasks, Path(folder), config))


class _GeneratorHarness(Harness):
    """A harness that keeps the generator fitted on the plain pictures."""

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
        with plugin_call("fit"), perturbed_global_rng(1), watch.counting():
            context = self.context(folder=folder, progress=watch.progress, should_stop=watch.should_stop)
            return watch, self.fit(train, context)

    @property
    def second(self) -> tuple[Untouched, Generator, Watch]:
        """A second generator, fitted on a copy of the plain pictures in memory; whether that was left alone."""
        return self.once("a second fit", self._second_fit)

    def _second_fit(self) -> tuple[Untouched, Generator, Watch]:
        train, watch = in_memory(self.train), Watch()
        untouched = Untouched(train)
        with plugin_call("a second fit"), perturbed_global_rng(2), watch.counting():
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
        with plugin_call(f"fit on {what}"):
            return self.fit(train, self.context(self.few).with_seed(seed))

    def sample(self, generator: Generator, index: int, seed: int = DRAW_SEED) -> Sample:
        call = f"sample({index}, {seed})"
        with plugin_call(call):
            sample = generator.sample(index, seed)
        require(isinstance(sample, Sample), f"{call} returned {type(sample).__name__}, not synthbench.Sample")
        return sample

    def sample_batch(self, generator: Generator, indices: Sequence[int], seed: int = DRAW_SEED) -> list[Sample]:
        call = f"sample_batch({list(indices)}, {seed})"
        with plugin_call(call):
            samples = list(generator.sample_batch(indices, seed))
        for sample in samples:
            require(isinstance(sample, Sample), f"{call} returned {type(sample).__name__}, not synthbench.Sample")
        require(len(samples) == len(indices), f"{call} returned {len(samples)} samples, not {len(indices)}")
        return samples


# -- the promises -----------------------------------------------------------------------------------------------------


def fits_and_draws(harness: _GeneratorHarness) -> None:
    """fit learns from samples, and sample returns different ones of the same task, dtype and channels, with objects."""
    drawn, train = harness.drawn, harness.train
    _check_drawn(harness, drawn, train, range(6))
    require(len({_content(sample) for sample in drawn}) > 1, "samples 0 … 5 are all the same")
    _check_counts(harness.fitted)
    require(
        harness.trains
        or any(sample.labels.any() for sample in drawn),  # a few steps may be too few to learn of objects
        "samples 0 … 5 have no object, and the training images have objects",
    )


def ids_name_the_index(harness: _GeneratorHarness) -> None:
    """Sample i has the id f"{i:06d}"."""
    for i, sample in enumerate(harness.drawn):
        require(sample.id == f"{i:06d}", f"the sample drawn at {i} has the id {sample.id!r}, not '{i:06d}'")


def training_set_is_untouched(harness: _GeneratorHarness) -> None:
    """fit and sample don't write into the arrays of the training samples."""
    untouched, generator, _ = harness.second
    require(untouched, "fit changed the pixels of its training samples: work on copies")
    harness.sample_batch(generator, range(3))
    require(untouched, "sampling changed the pixels of the training samples: work on copies")


def budget_is_kept(harness: _GeneratorHarness) -> None:
    """fit takes the budget's optimiser steps, no more and no fewer; without budgets, none."""
    check_steps(harness, harness.watch, harness.second[2])
    fitted, watch = harness.fitted, Watch()
    with watch.counting():
        harness.sample(fitted, 0)
    check_no_steps(watch, "sample")


def progress_is_reported(harness: _GeneratorHarness) -> None:
    """fit reports its progress from time to time, and its end."""
    check_progress(harness, harness.watch)


def samples_stand_alone(harness: _GeneratorHarness) -> None:
    """Sample i of a seed depends on the seed and i alone: not on what was drawn before."""
    expected = [sample.digest for sample in harness.drawn]
    for i in (3, 5, 0):
        with perturbed_global_rng(5):
            repeated = harness.sample(harness.fitted, i)
        require(
            repeated.digest == expected[i],
            f"sample({i}, {DRAW_SEED}) differs when it is called again: sample i must depend on seed and i alone",
        )
    others = (harness.sample(harness.fitted, i, DRAW_SEED + 1) for i in range(6))
    require(
        any(_content(other) != _content(sample) for other, sample in zip(others, harness.drawn, strict=True)),
        "samples 0 … 5 are the same with another seed: derive every random choice in sample from its seed",
    )


def batches_equal_single_samples(harness: _GeneratorHarness) -> None:
    """sample_batch returns to the bit what sample returns one by one, in any order and number."""
    expected = [sample.digest for sample in harness.drawn]
    for indices in ([3], range(2, 5), range(5, -1, -2), range(6), []):
        with perturbed_global_rng(6):
            batch = harness.sample_batch(harness.fitted, indices)
        for i, sample in zip(indices, batch, strict=True):
            require(
                sample.digest == expected[i],
                f"sample {i} of sample_batch({list(indices)}, {DRAW_SEED}) differs from sample({i}, {DRAW_SEED})",
            )
    size = harness.cls.sample_batch_size
    require(type(size) is int and size >= 1, f"sample_batch_size is {size!r}; expected an integer ≥ 1")


def same_seed_same_draw(harness: _GeneratorHarness) -> None:
    """Two fits with one seed draw the same samples, whatever the global random state."""
    expected = [sample.digest for sample in harness.drawn[:3]]
    found = [sample.digest for sample in harness.sample_batch(harness.second[1], range(3))]
    require(
        found == expected,
        "a second fit with the same seed draws other samples: derive every random choice from context.seed",
    )


def saved_is_enough(harness: _GeneratorHarness) -> None:
    """load needs nothing but the saved folder, wherever that is, and draws the same samples."""
    _check_loaded(harness, harness.fitted, harness.drawn[:3], harness.budget)


def stops_and_resumes(harness: _GeneratorHarness) -> None:
    """fit stops when asked to, leaves a checkpoint, and taken up again goes on to where an uninterrupted fit ends."""
    expected = [sample.digest for sample in harness.drawn[:3]] if harness.trains else []
    resumed = stop_and_resume(harness, harness.watch, lambda context: harness.fit(harness.train, context))
    found = [sample.digest for sample in harness.sample_batch(resumed, range(3))]
    require(
        found == expected, "a fit that was stopped and taken up again draws other samples than an uninterrupted one"
    )


def colour_and_odd_sizes(harness: _GeneratorHarness) -> None:
    """RGB images of odd and different sizes are learnt from, and RGB is drawn, also after save and load."""
    sizes = [(harness.side + 13, harness.side + 30), (harness.side + 1, harness.side + 7)]
    sets = [harness.pictures(2, size=size, channels=3, seed=i) for i, size in enumerate(sizes)]
    samples = [Sample(f"{i}-{s.id}", s.image, s.labels) for i, part in enumerate(sets) for s in part]
    train = SampleSet.of(samples, task=harness.task, classes=sets[0].classes)
    generator, drawn = _try_on(harness, train, "RGB images of odd sizes")
    _check_loaded(harness, generator, drawn, harness.few, "trained on RGB images, ")


def sixteen_bits(harness: _GeneratorHarness) -> None:
    """16-bit images are learnt from, and 16-bit images within their range are drawn, also after save and load."""
    train = harness.deep_pictures
    drawn = _draw_from(harness, harness.deep, train, "16-bit images")
    top = max(int(sample.image.max()) for sample in train)
    found = max(int(sample.image.max()) for sample in drawn)
    require(
        found <= 2 * top,
        f"trained on 16-bit images of up to {top}, it draws up to {found}: keep the range of the training images",
    )
    require(
        found > 255 or top <= 255,
        f"trained on 16-bit images of up to {top}, it draws up to {found}: that is 8-bit light",
    )
    _check_loaded(harness, harness.deep, drawn, harness.few, "trained on 16-bit images, ")


def another_seed_another_fit(harness: _GeneratorHarness) -> None:
    """A fit with another seed learns something else."""
    if not harness.trains:
        raise Skipped("it doesn't train")
    other = harness.try_fit(harness.deep_pictures, "16-bit images with another seed", SEED + 1)
    require(
        changed(harness.numbers(other), harness.numbers(harness.deep), (SEED, SEED + 1)),
        "a fit with another seed saves the same numbers: derive every random choice from context.seed",
    )


def training_set_is_learnt_from(harness: _GeneratorHarness) -> None:
    """A generator fitted on other samples draws others."""
    train = inverted(harness.deep_pictures)
    other = harness.try_fit(train, "other 16-bit images")
    expected = [_content(sample) for sample in harness.sample_batch(harness.deep, range(3))]
    require(
        [_content(sample) for sample in harness.sample_batch(other, range(3))] != expected,
        "fitted on other samples it draws the same ones: learn from the training samples",
    )


def unknown_is_no_background(harness: _GeneratorHarness) -> None:
    """Where it supports ignore regions, pixels of unknown label are not taken for background."""
    if not harness.cls.supports_ignore:
        raise Skipped("it doesn't say supports_ignore, so studies refuse it samples with an ignore region")
    for task in harness.tasks:
        what = f"images of the task {task!r}, much of them unknown"
        pair = partly_unknown(harness.pictures(4, task=task))
        unknown, background = ([_content(sample) for sample in _try_on(harness, train, what)[1]] for train in pair)
        require(
            unknown != background,
            f"trained on {what}, it draws what it draws where these pixels are background: leave out Sample.ignore",
        )


def empty_and_lone_objects(harness: _GeneratorHarness) -> None:
    """Images without any object, and with one, may be among the training samples."""
    parts = [harness.pictures(2, objects=n, seed=n) for n in (0, 1, 6)]
    samples = [Sample(f"{i}-{s.id}", s.image, s.labels) for i, part in enumerate(parts) for s in part]
    _try_on(
        harness,
        SampleSet.of(samples, task=harness.task, classes=parts[0].classes),
        "images with no, one and six objects",
    )


def every_claimed_task(harness: _GeneratorHarness) -> None:
    """Every task that the spec claims can be done."""
    others: list[Task] = [task for task in ("instances", "semantic") if task in harness.tasks and task != harness.task]
    if not others:
        raise Skipped("it claims one task, which the other checks try")
    for task in others:
        _try_on(harness, harness.pictures(4, task=task), f"images of the task {task!r}")


def poor_training_sets(harness: _GeneratorHarness) -> None:
    """One image, all background, or images smaller than a patch: it works, or it says so in one line."""
    sets = {
        "one image": harness.pictures(1),
        "images that are all background": harness.pictures(3, objects=0),
        "images of 24×20": harness.pictures(3, size=(24, 20)),
    }
    for what, train in sets.items():
        with plugin_call_may_refuse(f"fit and sample on {what}"):
            drawn = list(harness.fit(train, harness.context(harness.few)).sample_batch(range(2), DRAW_SEED))
            _check_drawn(harness, drawn, train, range(2))


def _try_on(harness: _GeneratorHarness, train: SampleSet, what: str) -> tuple[Generator, list[Sample]]:
    generator = harness.try_fit(train, what)
    return generator, _draw_from(harness, generator, train, what)


def _draw_from(harness: _GeneratorHarness, generator: Generator, train: SampleSet, what: str) -> list[Sample]:
    drawn = harness.sample_batch(generator, range(3))
    _check_drawn(harness, drawn, train, range(3), f"trained on {what}, ")
    _check_counts(generator)
    return drawn


def _check_loaded(
    harness: _GeneratorHarness, generator: Generator, drawn: list[Sample], budget: Budget, when: str = ""
) -> None:
    """Raise `CheckFailure` unless the generator, saved and loaded elsewhere, draws its first three samples again."""
    moved = harness.saved(generator).rename(harness.folder / "moved")
    hidden = (harness.folder / "train").rename(harness.folder / "hidden")
    try:
        with (
            plugin_call(f"{when}load from a moved folder, without the training samples,"),
            perturbed_global_rng(6),
            empty_home(),
        ):
            loaded = harness.cls.load(moved, harness.context(budget))
            found = [sample.digest for sample in harness.sample_batch(loaded, range(3))]
    finally:
        hidden.rename(harness.folder / "train")
        shutil.rmtree(moved)
    require(loaded.config == generator.config, f"{when}load gave another configuration than was saved")
    require(
        found == [sample.digest for sample in drawn],
        f"{when}what load gives draws other samples than what was saved",
    )


def _check_counts(generator: Generator) -> None:
    counts = getattr(generator, "counts", None)
    require(isinstance(counts, Mapping), "self.counts is not there any more; call super().__init__(config)")
    for name, count in dict(counts or {}).items():
        require(
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


def _check_drawn(harness: Harness, drawn: list[Sample], train: SampleSet, index: range, when: str = "") -> None:
    first = train[0]
    most = max(_in_pieces(sample.labels) for sample in train) if train.task == "instances" else 0
    smallest = min(min(entry.height, entry.width) for entry in train.entries)
    side = min(smallest, harness.budget.patch_size if harness.trains else harness.side)
    for i, sample in zip(index, drawn, strict=True):
        require(
            sample.image.dtype == first.image.dtype,
            f"{when}it draws {sample.image.dtype} images, and the training images are {first.image.dtype}",
        )
        require(
            sample.image.ndim == first.image.ndim,
            f"{when}it draws images of shape {sample.image.shape}, and the training images have {first.image.shape}",
        )
        height, width = sample.labels.shape
        require(
            min(height, width) >= side,
            f"{when}sample {i} is {height}×{width}, and a patch of {side} doesn't fit: draw no smaller images than "
            "segmenters are trained on",
        )
        top = int(sample.labels.max(initial=0))
        if train.task == "instances":
            count = int(np.unique(sample.labels[sample.labels > 0]).size)
            require(count == top, f"{when}sample {i} holds {count} labels up to {top}: number them 1 … n without gaps")
            split = _in_pieces(sample.labels)
            require(
                split <= most,
                f"{when}sample {i} has {split} objects in several pieces, and no training image more than {most}: "
                "make each piece an object, or keep the largest",
            )
        if train.task == "semantic":
            require(
                top < len(train.classes),
                f"{when}sample {i} holds class {top}, and there are {len(train.classes)} classes from 0",
            )
        require(np.ptp(sample.image) > 0 or np.ptp(first.image) == 0, f"{when}sample {i} is a constant image")
        wrong = wrong_origin(sample, train)
        require(not wrong, f"{when}sample {i} {wrong}")


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
