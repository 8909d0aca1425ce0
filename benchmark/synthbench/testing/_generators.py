"""The contract checks of generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.plugin.api import Generator, has_existing
from synthbench.plugin.specs import TASK_NAMES
from synthbench.samples import Sample, SampleSet
from synthbench.testing._data import inverted
from synthbench.testing._existing import iter_existing_checks
from synthbench.testing._generator_harness import (
    SAMPLE_SEED,
    GeneratorHarness,
    check_counts,
    check_loaded,
    check_samples,
    content_digest,
)
from synthbench.testing._harness import SEED, perturbed_global_rng
from synthbench.testing._shared_checks import (
    budgets_are_named,
    check_another_seed,
    check_no_steps,
    check_steps,
    configuration_is_declared,
    methods_are_implemented,
    progress_is_reported,
    stop_and_resume,
)
from synthbench.testing._watch import Watch
from synthbench.testing.check_results import (
    CheckResult,
    fit_may_refuse,
    plugin_call_may_refuse,
    require,
    run_checks_in_folder,
)

__all__ = ["check_generator", "iter_generator_checks"]


def check_generator(
    cls: type[Generator[Any]],
    *,
    tasks: Iterable[str] = TASK_NAMES,
    config: Mapping[str, Any] | None = None,
    dataset: Path | None = None,
) -> list[CheckResult]:
    """Try a generator's class against the contract; where its samples exist already, these as well.

    Parameters
    ----------
    cls
    tasks
        The tasks its spec claims.
    config
        Keys of its configuration; by default the defaults.
    dataset
        The folder of a sample set that existing samples are compared with.

    Returns
    -------
    list of CheckResult
        One per check, in order.
    """
    return list(iter_generator_checks(cls, tasks, config, dataset))


def iter_generator_checks(
    cls: type[Generator[Any]], tasks: Iterable[str], config: Mapping[str, Any] | None, dataset: Path | None = None
) -> Iterator[CheckResult]:
    """Return an iterator over the results of `check_generator` as they come."""
    if has_existing(cls):
        return iter_existing_checks(cls, tasks, config, dataset)
    return run_checks_in_folder(CHECKS, lambda folder: GeneratorHarness(cls, tasks, folder, config))


# -- the checks -------------------------------------------------------------------------------------------------------


def fits_and_draws(harness: GeneratorHarness) -> None:
    """fit learns from samples, and sample returns different ones of the same task, dtype and channels, with objects."""
    drawn, train = harness.drawn, harness.training_data
    check_samples(harness, drawn, train, range(6))
    require(len({content_digest(sample) for sample in drawn}) > 1, "samples 0 … 5 are all the same")
    check_counts(harness.fitted)
    require(
        harness.trains
        or any(sample.labels.any() for sample in drawn),  # a few steps may be too few to learn of objects
        "samples 0 … 5 have no object, and the training images have objects",
    )


def ids_name_the_index(harness: GeneratorHarness) -> None:
    """Sample i has the id f"{i:06d}"."""
    for i, sample in enumerate(harness.drawn):
        require(sample.id == f"{i:06d}", f"the sample drawn at {i} has the id {sample.id!r}, not '{i:06d}'")


def training_set_is_untouched(harness: GeneratorHarness) -> None:
    """fit and sample don't write into the arrays of the training samples."""
    untouched, generator, _ = harness.second
    require(untouched, "fit changed the pixels of its training samples: work on copies")
    harness.sample_batch(generator, range(3))
    require(untouched, "sampling changed the pixels of the training samples: work on copies")


def budget_is_kept(harness: GeneratorHarness) -> None:
    """fit takes the budget's optimiser steps, no more and no fewer; without budgets, none."""
    check_steps(harness, harness.watch, harness.second[2])
    fitted, watch = harness.fitted, Watch()
    with watch.counting():
        harness.sample(fitted, 0)
    check_no_steps(watch, "sample")


def samples_stand_alone(harness: GeneratorHarness) -> None:
    """Sample i of a seed depends on the seed and i alone: not on what was drawn before."""
    expected = [sample.digest for sample in harness.drawn]
    for i in (3, 5, 0):
        with perturbed_global_rng(5):
            repeated = harness.sample(harness.fitted, i)
        require(
            repeated.digest == expected[i],
            f"sample({i}, {SAMPLE_SEED}) differs when it is called again: sample i must depend on seed and i alone",
        )
    others = (harness.sample(harness.fitted, i, SAMPLE_SEED + 1) for i in range(6))
    require(
        any(
            content_digest(other) != content_digest(sample) for other, sample in zip(others, harness.drawn, strict=True)
        ),
        "samples 0 … 5 are the same with another seed: derive every random choice in sample from its seed",
    )


def batches_equal_single_samples(harness: GeneratorHarness) -> None:
    """sample_batch returns to the bit what sample returns one by one, in any order and number."""
    expected = [sample.digest for sample in harness.drawn]
    for indices in ([3], range(2, 5), range(5, -1, -2), range(6), []):
        with perturbed_global_rng(6):
            batch = harness.sample_batch(harness.fitted, indices)
        for i, sample in zip(indices, batch, strict=True):
            require(
                sample.digest == expected[i],
                f"sample {i} of sample_batch({list(indices)}, {SAMPLE_SEED}) differs from sample({i}, {SAMPLE_SEED})",
            )
    size = harness.cls.sample_batch_size
    require(type(size) is int and size >= 1, f"sample_batch_size is {size!r}; expected an integer ≥ 1")


def same_seed_same_draw(harness: GeneratorHarness) -> None:
    """Two fits with one seed draw the same samples, whatever the global random state."""
    expected = [sample.digest for sample in harness.drawn[:3]]
    found = [sample.digest for sample in harness.sample_batch(harness.second[1], range(3))]
    require(
        found == expected,
        "a second fit with the same seed draws other samples: derive every random choice from context.seed",
    )


def saved_is_enough(harness: GeneratorHarness) -> None:
    """load needs nothing but the saved folder, wherever that is, and draws the same samples."""
    check_loaded(harness, harness.fitted, harness.drawn[:3], harness.budget)


def stops_and_resumes(harness: GeneratorHarness) -> None:
    """fit stops when asked to, leaves a checkpoint, and resumed goes on to where an uninterrupted fit ends."""
    expected = [sample.digest for sample in harness.drawn[:3]] if harness.trains else []
    resumed = stop_and_resume(harness)
    found = [sample.digest for sample in harness.sample_batch(resumed, range(3))]
    require(found == expected, "a fit that was stopped and resumed draws other samples than an uninterrupted one")


def colour_and_odd_sizes(harness: GeneratorHarness) -> None:
    """RGB images of odd and different sizes are learned from, and RGB is drawn, also after save and load."""
    sizes = [(harness.side + 13, harness.side + 30), (harness.side + 1, harness.side + 7)]
    sets = [harness.pictures(2, size=size, channels=3, seed=i) for i, size in enumerate(sizes)]
    samples = [Sample(f"{i}-{s.id}", s.image, s.labels) for i, part in enumerate(sets) for s in part]
    train = SampleSet.of(samples, task=harness.task, classes=sets[0].classes)
    generator, drawn = harness.fit_and_sample(train, "RGB images of odd sizes")
    check_loaded(harness, generator, drawn, harness.few, "trained on RGB images, ")


def two_channels(harness: GeneratorHarness) -> None:
    """Images of two channels are learned from and drawn with two different channels, or refused in one line."""
    train = harness.pictures(4, channels=2)
    with fit_may_refuse("images of two channels"):
        generator = harness.fit(train, harness.context(harness.few))
    for sample in harness.sample_three(generator, train, "images of two channels"):
        first, second = np.moveaxis(sample.image, -1, 0)
        require(
            not np.array_equal(first, second),
            f"trained on images of two channels, it draws both alike in sample {sample.id!r}: draw every channel",
        )


def sixteen_bits(harness: GeneratorHarness) -> None:
    """16-bit images are learned from, and 16-bit images within their range are drawn, also after save and load."""
    train = harness.deep_pictures
    drawn = harness.sample_three(harness.deep, train, "16-bit images")
    top = max(int(sample.image.max()) for sample in train)
    found = max(int(sample.image.max()) for sample in drawn)
    require(
        found <= 2 * top,
        f"trained on 16-bit images of up to {top}, it draws up to {found}: keep the range of the training images",
    )
    require(
        found > 255 or top <= 255,
        f"trained on 16-bit images of up to {top}, it draws up to {found}: use the range of the 16-bit images",
    )
    check_loaded(harness, harness.deep, drawn, harness.few, "trained on 16-bit images, ")


def another_seed_another_fit(harness: GeneratorHarness) -> None:
    """A fit with another seed learns something else."""
    harness.require_training()
    other = harness.try_fit(harness.deep_pictures, "16-bit images with another seed", SEED + 1)
    check_another_seed(harness, harness.deep, other)


def training_set_is_learned_from(harness: GeneratorHarness) -> None:
    """A generator fitted on other samples draws others."""
    train = inverted(harness.deep_pictures)
    other = harness.try_fit(train, "other 16-bit images")
    expected = [content_digest(sample) for sample in harness.sample_batch(harness.deep, range(3))]
    require(
        [content_digest(sample) for sample in harness.sample_batch(other, range(3))] != expected,
        "fitted on other samples it draws the same ones: learn from the training samples",
    )


def unknown_is_no_background(harness: GeneratorHarness) -> None:
    """Where it supports ignore regions, pixels of unknown label are not taken for background."""
    for what, *pair in harness.sets_with_unknown_pixels():
        unknown, background = (
            [content_digest(sample) for sample in harness.fit_and_sample(train, what)[1]] for train in pair
        )
        require(
            unknown != background,
            f"trained on {what}, it draws what it draws where these pixels are background: leave out Sample.ignore",
        )


def empty_and_lone_objects(harness: GeneratorHarness) -> None:
    """Images without any object, and with one, may be among the training samples."""
    parts = [harness.pictures(2, objects=n, seed=n) for n in (0, 1, 6)]
    samples = [Sample(f"{i}-{s.id}", s.image, s.labels) for i, part in enumerate(parts) for s in part]
    harness.fit_and_sample(
        SampleSet.of(samples, task=harness.task, classes=parts[0].classes),
        "images with no, one and six objects",
    )


def every_claimed_task(harness: GeneratorHarness) -> None:
    """Every task that the spec claims can be done."""
    for task in harness.other_tasks:
        harness.fit_and_sample(harness.pictures(4, task=task), f"images of the task {task!r}")


def poor_training_sets(harness: GeneratorHarness) -> None:
    """One image, all background, or images smaller than a patch: it works, or it says so in one line."""
    for what, train in harness.poor_sets().items():
        with plugin_call_may_refuse(f"fit and sample on {what}"):
            drawn = list(harness.fit(train, harness.context(harness.few)).sample_batch(range(2), SAMPLE_SEED))
            check_samples(harness, drawn, train, range(2))


CHECKS = (
    methods_are_implemented,
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
    two_channels,
    sixteen_bits,
    another_seed_another_fit,
    training_set_is_learned_from,
    unknown_is_no_background,
    empty_and_lone_objects,
    every_claimed_task,
    poor_training_sets,
)
