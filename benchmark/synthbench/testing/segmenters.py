"""The contract of segmenters, promise by promise."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.plugin.api import Segmenter, TrainingMix
from synthbench.plugin.specs import TASK_NAMES
from synthbench.samples import SampleSet, Task
from synthbench.testing.check_results import Finding, Skipped, demand, doing, empty_home, examine, refusing
from synthbench.testing.harness import stirred
from synthbench.testing.segmenter_harness import HALF, SegmenterBench, blank, check_answer, same
from synthbench.testing.shared_checks import (
    budgets_are_named,
    check_no_steps,
    check_progress,
    check_steps,
    configuration_is_declared,
    stop_and_resume,
)
from synthbench.testing.training_mix import (
    another_seed_another_fit,
    mix_is_learnt_from,
    share_is_kept,
    unknown_is_no_background,
    validation_is_not_trained_on,
)
from synthbench.testing.watch import Watch


def check_segmenter(
    cls: type[Segmenter], *, tasks: Iterable[str] = TASK_NAMES, config: Mapping[str, Any] | None = None
) -> list[Finding]:
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
    list of Finding
        One per check, in order.
    """
    return list(examine_segmenter(cls, tasks, config))


def examine_segmenter(
    cls: type[Segmenter], tasks: Iterable[str], config: Mapping[str, Any] | None
) -> Iterator[Finding]:
    """Yield the findings of `check_segmenter` as they come."""
    with tempfile.TemporaryDirectory(prefix="synthbench-check-") as folder:
        yield from examine(CHECKS, SegmenterBench(cls, tasks, Path(folder), config))


# -- the promises -----------------------------------------------------------------------------------------------------


def fits_and_predicts(bench: SegmenterBench) -> None:
    """fit learns from samples and predict gives a label map of the image's size: ids without gaps, or classes."""
    bench.predict(bench.fitted, bench.probe, bench.mix.real, "an unseen image")


def samples_are_untouched(bench: SegmenterBench) -> None:
    """fit and predict don't write into the arrays they are given."""
    train, validation, segmenter, _ = bench.second
    demand(train, "fit changed the pixels of its training samples: work on copies")
    demand(validation, "fit changed the pixels of the validation samples: work on copies")
    image = bench.probe
    unseen = image.copy()
    bench.predict(segmenter, image, bench.mix.real, "an unseen image")
    demand(np.array_equal(image, unseen), "predict changed the image it was given: work on a copy")


def budget_is_kept(bench: SegmenterBench) -> None:
    """fit takes the budget's optimiser steps, no more and no fewer; without budgets, none."""
    check_steps(bench, bench.watch, bench.second[3])
    fitted, watch = bench.fitted, Watch()
    with watch.counting():
        bench.predict(fitted, bench.probe, bench.mix.real, "an unseen image")
    check_no_steps(watch, "predict")


def progress_is_reported(bench: SegmenterBench) -> None:
    """fit reports its progress from time to time, and its end."""
    check_progress(bench, bench.watch)


def predictions_stand_alone(bench: SegmenterBench) -> None:
    """What predict says of an image doesn't depend on the images before it, or on the global random state."""
    expected = bench.fitted.predict(bench.probe)
    with stirred(5):
        bench.predict(bench.fitted, bench.pictures(1, seed=11)[0].image, bench.mix.real, "another image")
        again = bench.fitted.predict(bench.probe)
    demand(same(expected, again), "predict says something else of the same image after it has seen another one")


def same_seed_same_prediction(bench: SegmenterBench) -> None:
    """Two fits with one seed predict the same, whatever the global random state."""
    demand(
        bench.agree(bench.fitted, bench.second[2]),
        "a second fit with the same seed predicts otherwise: derive every random choice from context.seed",
    )


def saved_is_enough(bench: SegmenterBench) -> None:
    """load needs nothing but the saved folder, wherever that is, and predicts the same."""
    bench.says(bench.fitted)
    moved = bench.saved(bench.fitted).rename(bench.folder / "moved")
    hidden = (bench.folder / "train").rename(bench.folder / "hidden")
    try:
        with doing("load from a moved folder, without the training samples,"), stirred(6), empty_home():
            loaded = bench.cls.load(moved, bench.context())
            demand(loaded.config == bench.fitted.config, "load gave another configuration than was saved")
            demand(bench.agree(bench.fitted, loaded), "what load gives predicts otherwise than what was saved")
    finally:
        hidden.rename(bench.folder / "train")
        shutil.rmtree(moved)


def stops_and_resumes(bench: SegmenterBench) -> None:
    """fit stops when asked to, leaves a checkpoint, and taken up again goes on to where an uninterrupted fit ends."""
    resumed = stop_and_resume(bench, bench.watch, lambda context: bench.fit(bench.mix, context))
    demand(
        bench.agree(bench.fitted, resumed),
        "a fit that was stopped and taken up again predicts otherwise than an uninterrupted one",
    )


def something_is_found(bench: SegmenterBench) -> None:
    """On training images something is found, and not the same on each."""
    images = [sample.image for sample in bench.mix.real]
    found = [bench.predict(bench.fitted, image, bench.mix.real, "a training image") for image in images]
    if bench.trains and all(map(blank, found)):
        raise Skipped("after the smoke budget it finds nothing yet, so what is said of predictions here says little")
    demand(not all(map(blank, found)), "it finds nothing on any of its training images")
    demand(
        any(not np.array_equal(found[0].labels, other.labels) for other in found),
        "it finds the same on every image, whatever is there",
    )


def any_size(bench: SegmenterBench) -> None:
    """predict takes images of any size, blank ones, and ones with a single object."""
    side, reference = bench.side, bench.mix.real
    for size in ((side + 13, side + 30), (23, 40), (side * 2 + 1, 31)):
        image = bench.pictures(1, size=size, seed=2)[0].image
        bench.predict(bench.fitted, image, reference, f"an image of {size[0]}×{size[1]}")
    for objects, what in ((0, "an image without objects"), (1, "an image with one object")):
        bench.predict(bench.fitted, bench.pictures(1, objects=objects)[0].image, reference, what)
    bench.predict(bench.fitted, np.zeros((side, side), np.uint8), reference, "a black image")
    bench.predict(bench.fitted, np.full((side, side), 255, np.uint8), reference, "a white image")


def colour_all_synthetic(bench: SegmenterBench) -> None:
    """RGB images of odd sizes are learnt from and segmented, also when all of them are synthetic."""
    synthetic = bench.pictures(4, size=(bench.side + 13, bench.side + 30), channels=3)
    empty = SampleSet.of([], task=bench.task, classes=synthetic.classes)
    mix = TrainingMix(empty, synthetic, share=1.0)
    _try_on(bench, mix, "RGB images, all of them synthetic")


def sixteen_bits_half_synthetic(bench: SegmenterBench) -> None:
    """16-bit images are learnt from and segmented, also when half of them are synthetic."""
    unseen = bench.pictures(1, dtype="uint16", seed=5)[0].image
    bench.predict(bench.half, unseen, bench.half_mix.reference, f"an unseen image, after fit on {HALF}")


def every_claimed_task(bench: SegmenterBench) -> None:
    """Every task that the spec claims can be done."""
    others: list[Task] = [task for task in ("instances", "semantic") if task in bench.tasks and task != bench.task]
    if not others:
        raise Skipped("it claims one task, which the other checks try")
    for task in others:
        mix = TrainingMix(bench.pictures(4, task=task))
        _try_on(bench, mix, f"images of the task {task!r}")


def poor_training_sets(bench: SegmenterBench) -> None:
    """One image, all background, or images smaller than a patch: it works, or it says so in one line."""
    sets = {
        "one image": bench.pictures(1),
        "images that are all background": bench.pictures(3, objects=0),
        "images of 24×20": bench.pictures(3, size=(24, 20)),
    }
    for what, train in sets.items():
        with refusing(f"fit and predict on {what}"):
            found = bench.fit(TrainingMix(train), bench.context(bench.few)).predict(bench.probe)
            check_answer(found, bench.probe, train, f"an image, trained on {what}")


def _try_on(bench: SegmenterBench, mix: TrainingMix, what: str) -> None:
    segmenter, like = bench.try_fit(mix, what), mix.reference[0].image
    image = bench.pictures(1, channels=3 if like.ndim == 3 else 1, seed=5)[0].image
    bench.predict(segmenter, image, mix.reference, f"an unseen image, after fit on {what}")


CHECKS = (
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
    sixteen_bits_half_synthetic,
    another_seed_another_fit,
    mix_is_learnt_from,
    share_is_kept,
    validation_is_not_trained_on,
    unknown_is_no_background,
    every_claimed_task,
    poor_training_sets,
)
