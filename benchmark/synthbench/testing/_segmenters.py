"""The contract of segmenters, check by check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from synthbench.plugin.api import Segmenter, TrainingMix
from synthbench.plugin.specs import TASK_NAMES
from synthbench.samples import SampleSet, channel_count
from synthbench.testing._harness import perturbed_global_rng
from synthbench.testing._segmenter_harness import HALF, SegmenterHarness, blank, check_answer, same
from synthbench.testing._shared_checks import (
    budgets_are_named,
    check_no_steps,
    check_steps,
    configuration_is_declared,
    methods_are_implemented,
    progress_is_reported,
    stop_and_resume,
)
from synthbench.testing._training_mix import (
    another_seed_another_fit,
    mix_is_learned_from,
    synthetic_ratio_is_kept,
    unknown_is_no_background,
    validation_is_not_trained_on,
)
from synthbench.testing._watch import Watch
from synthbench.testing.check_results import (
    CheckResult,
    Skipped,
    first_line,
    fit_may_refuse,
    plugin_call_may_refuse,
    require,
    run_checks_in_folder,
)

__all__ = ["check_segmenter", "iter_segmenter_checks"]


def check_segmenter(
    cls: type[Segmenter[Any]], *, tasks: Iterable[str] = TASK_NAMES, config: Mapping[str, Any] | None = None
) -> list[CheckResult]:
    """Try a segmenter's class against the contract.

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
    return list(iter_segmenter_checks(cls, tasks, config))


def iter_segmenter_checks(
    cls: type[Segmenter[Any]], tasks: Iterable[str], config: Mapping[str, Any] | None
) -> Iterator[CheckResult]:
    """Return an iterator over the results of `check_segmenter` as they come."""
    if cls.requires_init:
        reason = f"it can't be checked without a file of weights: {cls.requires_init}"
        return (CheckResult(check.__name__, first_line(check), "skipped", reason) for check in CHECKS)
    return run_checks_in_folder(CHECKS, lambda folder: SegmenterHarness(cls, tasks, folder, config))


# -- the checks -------------------------------------------------------------------------------------------------------


def fits_and_predicts(harness: SegmenterHarness) -> None:
    """fit learns from samples and predict gives a label map of the image's size: ids without gaps, or classes."""
    harness.predict(harness.fitted, harness.probe, harness.saved_pictures, "an unseen image")


def samples_are_untouched(harness: SegmenterHarness) -> None:
    """fit and predict don't write into the arrays they are given."""
    train, validation, segmenter, _ = harness.second
    require(train, "fit changed the pixels of its training samples: work on copies")
    require(validation, "fit changed the pixels of the validation samples: work on copies")
    image = harness.probe
    unseen = image.copy()
    harness.predict(segmenter, image, harness.saved_pictures, "an unseen image")
    require(np.array_equal(image, unseen), "predict changed the image it was given: work on a copy")


def budget_is_kept(harness: SegmenterHarness) -> None:
    """fit takes the budget's optimiser steps, no more and no fewer; without budgets, none."""
    check_steps(harness, harness.watch, harness.second[3])
    fitted, watch = harness.fitted, Watch()
    with watch.counting():
        harness.predict(fitted, harness.probe, harness.saved_pictures, "an unseen image")
    check_no_steps(watch, "predict")


def predictions_stand_alone(harness: SegmenterHarness) -> None:
    """What predict says of an image doesn't depend on the images before it, or on the global random state."""
    expected = harness.fitted.predict(harness.probe)
    with perturbed_global_rng(5):
        harness.predict(harness.fitted, harness.pictures(1, seed=11)[0].image, harness.saved_pictures, "another image")
        again = harness.fitted.predict(harness.probe)
    require(same(expected, again), "predict says something else of the same image after it has seen another one")


def same_seed_same_prediction(harness: SegmenterHarness) -> None:
    """Two fits with one seed predict the same, whatever the global random state."""
    require(
        harness.agree(harness.fitted, harness.second[2]),
        "a second fit with the same seed predicts otherwise: derive every random choice from context.seed",
    )


def saved_is_enough(harness: SegmenterHarness) -> None:
    """load needs nothing but the saved folder, wherever that is, and predicts the same."""
    harness.says(harness.fitted)
    with harness.loaded_elsewhere(harness.fitted, harness.budget) as loaded:
        require(harness.agree(harness.fitted, loaded), "what load gives predicts otherwise than what was saved")


def stops_and_resumes(harness: SegmenterHarness) -> None:
    """fit stops when asked to, leaves a checkpoint, and when resumed ends where an uninterrupted fit ends."""
    resumed = stop_and_resume(harness)
    require(
        harness.agree(harness.fitted, resumed),
        "a fit that was stopped and resumed predicts otherwise than an uninterrupted one",
    )


def something_is_found(harness: SegmenterHarness) -> None:
    """On training images something is found, and not the same on each."""
    images = [sample.image for sample in harness.saved_pictures]
    found = [harness.predict(harness.fitted, image, harness.saved_pictures, "a training image") for image in images]
    if harness.trains and all(map(blank, found)):
        raise Skipped("after the smoke budget it finds nothing yet, so what is said of predictions here says little")
    require(not all(map(blank, found)), "it finds nothing on any of its training images")
    require(
        any(not np.array_equal(found[0].labels, other.labels) for other in found),
        "it finds the same on every image, whatever is there",
    )


def any_size(harness: SegmenterHarness) -> None:
    """predict takes images of any size, blank ones, and ones with a single object."""
    side, reference = harness.side, harness.saved_pictures
    for size in ((side + 13, side + 30), (23, 40), (side * 2 + 1, 31)):
        image = harness.pictures(1, size=size, seed=2)[0].image
        harness.predict(harness.fitted, image, reference, f"an image of {size[0]}×{size[1]}")
    for objects, what in ((0, "an image without objects"), (1, "an image with one object")):
        harness.predict(harness.fitted, harness.pictures(1, objects=objects)[0].image, reference, what)
    harness.predict(harness.fitted, np.zeros((side, side), np.uint8), reference, "a black image")
    harness.predict(harness.fitted, np.full((side, side), 255, np.uint8), reference, "a white image")


def colour_all_synthetic(harness: SegmenterHarness) -> None:
    """RGB images of odd sizes are learned from and segmented, also when all of them are synthetic."""
    synthetic = harness.pictures(4, size=(harness.side + 13, harness.side + 30), channels=3)
    empty = SampleSet.of([], task=harness.task, classes=synthetic.classes)
    mix = TrainingMix(empty, synthetic, synthetic_ratio=1.0)
    _try_on(harness, mix, "RGB images, all of them synthetic")


def two_channels(harness: SegmenterHarness) -> None:
    """Images of two channels are learned from and segmented, or refused in one line."""
    train, unseen = (harness.pictures(count, channels=2, seed=count) for count in (4, 2))
    with fit_may_refuse("images of two channels"):
        segmenter = harness.fit(TrainingMix(train), harness.context(harness.few), unseen)
    harness.predict(segmenter, unseen[0].image, train, "an unseen image of two channels")


def sixteen_bits_half_synthetic(harness: SegmenterHarness) -> None:
    """16-bit images are learned from and segmented, also when half of them are synthetic."""
    unseen = harness.pictures(1, dtype="uint16", seed=5)[0].image
    harness.predict(harness.half, unseen, harness.half_mix.reference, f"an unseen image, after fit on {HALF}")


def every_claimed_task(harness: SegmenterHarness) -> None:
    """Every task that the spec claims can be done."""
    for task in harness.other_tasks:
        mix = TrainingMix(harness.pictures(4, task=task))
        _try_on(harness, mix, f"images of the task {task!r}")


def poor_training_sets(harness: SegmenterHarness) -> None:
    """One image, all background, or images smaller than a patch: it works, or it says so in one line."""
    for what, train in harness.poor_sets().items():
        with plugin_call_may_refuse(f"fit and predict on {what}"):
            found = harness.fit(TrainingMix(train), harness.context(harness.few)).predict(harness.probe)
            check_answer(found, harness.probe, train, f"an image, trained on {what}")


def _try_on(harness: SegmenterHarness, mix: TrainingMix, what: str) -> None:
    segmenter, like = harness.try_fit(mix, what), mix.reference[0].image
    image = harness.pictures(1, channels=channel_count(like), seed=5)[0].image
    harness.predict(segmenter, image, mix.reference, f"an unseen image, after fit on {what}")


CHECKS = (
    methods_are_implemented,
    configuration_is_declared,
    budgets_are_named,
    fits_and_predicts,
    samples_are_untouched,
    budget_is_kept,
    progress_is_reported,
    predictions_stand_alone,
    same_seed_same_prediction,
    saved_is_enough,
    stops_and_resumes,
    something_is_found,
    any_size,
    colour_all_synthetic,
    two_channels,
    sixteen_bits_half_synthetic,
    another_seed_another_fit,
    mix_is_learned_from,
    synthetic_ratio_is_kept,
    validation_is_not_trained_on,
    unknown_is_no_background,
    every_claimed_task,
    poor_training_sets,
)
