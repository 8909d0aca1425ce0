"""The contract of segmenters, promise by promise."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.plugin.api import Context, Instances, Segmenter, TrainingMix
from synthbench.plugin.specs import TASK_NAMES
from synthbench.samples import SampleSet, Task
from synthbench.testing.bench import SEED, Bench, Watch, stirred
from synthbench.testing.findings import Finding, Skipped, demand, doing, empty_home, examine, refusing
from synthbench.testing.folders import learnt
from synthbench.testing.promises import (
    Untouched,
    budgets_are_named,
    check_progress,
    check_steps,
    configuration_is_declared,
    in_memory,
    stop_and_resume,
)

HALF = "16-bit images, half of them synthetic"


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
        yield from examine(CHECKS, _SegmenterBench(cls, tasks, Path(folder), config))


class _SegmenterBench(Bench):
    """A bench that keeps the segmenter fitted on the plain pictures."""

    def fit(self, mix: TrainingMix, context: Context, validation: SampleSet | None = None) -> Segmenter:
        segmenter = self.make()
        segmenter.fit(mix, validation if validation is not None else mix.reference[:2], context)
        return segmenter

    @property
    def mix(self) -> TrainingMix:
        """The plain pictures, on disk."""
        return TrainingMix(self.once("drawing the pictures", lambda: self.pictures().save(self.folder / "train")))

    @property
    def probe(self) -> np.ndarray:
        """An image that no fit has seen."""
        return self.pictures(1, seed=9)[0].image

    @property
    def watch(self) -> Watch:
        """What was seen of the plain fit."""
        return self.once("fit", self._plain_fit)[0]

    @property
    def fitted(self) -> Segmenter:
        """The segmenter fitted on the plain pictures."""
        return self.once("fit", self._plain_fit)[1]

    def _plain_fit(self) -> tuple[Watch, Segmenter]:
        watch, folder, mix = Watch(), self.new_folder("checkpoints"), self.mix
        with doing("fit"), stirred(1), watch.counting() if self.trains else contextlib.nullcontext():
            context = self.context(folder=folder, progress=watch.progress, should_stop=watch.should_stop)
            return watch, self.fit(mix, context)

    @property
    def second(self) -> tuple[Untouched, Untouched, Segmenter]:
        """A second segmenter, fitted on copies of the plain pictures in memory, and whether these were left alone."""
        return self.once("a second fit", self._second_fit)

    def _second_fit(self) -> tuple[Untouched, Untouched, Segmenter]:
        train, validation = in_memory(self.mix.real), in_memory(self.mix.real[:2])
        untouched = Untouched(train), Untouched(validation)
        with doing("a second fit"), stirred(2):
            return *untouched, self.fit(TrainingMix(train), self.context(), validation)

    @property
    def half(self) -> Segmenter:
        """A segmenter fitted on `half_mix`, in few steps."""
        return self.once(f"fit on {HALF}", lambda: self.try_fit(self.half_mix, HALF))

    @property
    def half_mix(self) -> TrainingMix:
        """16-bit images, half of them synthetic."""
        return TrainingMix(self.deep_pictures(1), self.deep_pictures(2), share=0.5)

    def deep_pictures(self, seed: int) -> SampleSet:
        return self.pictures(4, dtype="uint16", seed=seed)

    def try_fit(self, mix: TrainingMix, what: str, seed: int = SEED) -> Segmenter:
        """Fit in few steps, validated on pictures like the mix's."""
        first = mix.reference[0].image
        unseen = self.pictures(2, dtype=first.dtype.name, channels=3 if first.ndim == 3 else 1, task=mix.task, seed=5)
        with doing(f"fit on {what}"):
            return self.fit(mix, self.context(self.few).with_seed(seed), unseen)

    def predict(self, segmenter: Segmenter, image: np.ndarray, reference: SampleSet, what: str) -> Instances:
        """Predict, and look at the answer."""
        with doing(f"predict on {what}"):
            found = segmenter.predict(image)
        _check_answer(found, image, reference, what)
        return found


# -- the promises -----------------------------------------------------------------------------------------------------


def fits_and_predicts(bench: _SegmenterBench) -> None:
    """fit learns from samples and predict gives a label map of the image's size: ids without gaps, or classes."""
    bench.predict(bench.fitted, bench.probe, bench.mix.real, "an unseen image")


def samples_are_untouched(bench: _SegmenterBench) -> None:
    """fit and predict don't write into the arrays they are given."""
    train, validation, segmenter = bench.second
    demand(train, "fit changed the pixels of its training samples: work on copies")
    demand(validation, "fit changed the pixels of the validation samples: work on copies")
    image = bench.probe
    unseen = image.copy()
    bench.predict(segmenter, image, bench.mix.real, "an unseen image")
    demand(np.array_equal(image, unseen), "predict changed the image it was given: work on a copy")


def budget_is_kept(bench: _SegmenterBench) -> None:
    """fit takes the budget's optimiser steps, no more and no fewer."""
    check_steps(bench, bench.watch)


def progress_is_reported(bench: _SegmenterBench) -> None:
    """fit reports its progress from time to time, and its end."""
    check_progress(bench, bench.watch)


def predictions_stand_alone(bench: _SegmenterBench) -> None:
    """What predict says of an image doesn't depend on the images before it, or on the global random state."""
    expected = bench.fitted.predict(bench.probe)
    with stirred(5):
        bench.predict(bench.fitted, bench.pictures(1, seed=11)[0].image, bench.mix.real, "another image")
        again = bench.fitted.predict(bench.probe)
    demand(_same(expected, again), "predict says something else of the same image after it has seen another one")


def same_seed_same_prediction(bench: _SegmenterBench) -> None:
    """Two fits with one seed predict the same, whatever the global random state."""
    expected = bench.fitted.predict(bench.probe)
    again = bench.second[2].predict(bench.probe)
    demand(
        _same(expected, again),
        "a second fit with the same seed predicts otherwise: derive every random choice from context.seed",
    )


def saved_is_enough(bench: _SegmenterBench) -> None:
    """load needs nothing but the saved folder, wherever that is, and predicts the same."""
    expected = bench.fitted.predict(bench.probe)
    moved = bench.saved(bench.fitted).rename(bench.folder / "moved")
    hidden = (bench.folder / "train").rename(bench.folder / "hidden")
    try:
        with doing("load from a moved folder, without the training samples,"), stirred(6), empty_home():
            loaded = bench.cls.load(moved, bench.context())
            found = loaded.predict(bench.probe)
    finally:
        hidden.rename(bench.folder / "train")
        shutil.rmtree(moved)
    demand(loaded.config == bench.fitted.config, "load gave another configuration than was saved")
    demand(_same(expected, found), "what load gives predicts otherwise than what was saved")


def stops_and_resumes(bench: _SegmenterBench) -> None:
    """fit stops when asked to, leaves a checkpoint, and taken up again goes on to where an uninterrupted fit ends."""
    expected = bench.fitted.predict(bench.probe) if bench.trains else None
    resumed = stop_and_resume(bench, bench.watch, lambda context: bench.fit(bench.mix, context))
    found = bench.predict(resumed, bench.probe, bench.mix.real, "an unseen image")
    demand(
        expected and _same(expected, found),
        "a fit that was stopped and taken up again predicts otherwise than an uninterrupted one",
    )


def any_size(bench: _SegmenterBench) -> None:
    """predict takes images of any size, blank ones, and ones with a single object."""
    side, reference = bench.side, bench.mix.real
    for size in ((side + 13, side + 30), (23, 40), (side * 2 + 1, 31)):
        image = bench.pictures(1, size=size, seed=2)[0].image
        bench.predict(bench.fitted, image, reference, f"an image of {size[0]}×{size[1]}")
    for objects, what in ((0, "an image without objects"), (1, "an image with one object")):
        bench.predict(bench.fitted, bench.pictures(1, objects=objects)[0].image, reference, what)
    bench.predict(bench.fitted, np.zeros((side, side), np.uint8), reference, "a black image")
    bench.predict(bench.fitted, np.full((side, side), 255, np.uint8), reference, "a white image")


def colour_all_synthetic(bench: _SegmenterBench) -> None:
    """RGB images of odd sizes are learnt from and segmented, also when all of them are synthetic."""
    synthetic = bench.pictures(4, size=(bench.side + 13, bench.side + 30), channels=3)
    empty = SampleSet.of([], task=bench.task, classes=synthetic.classes)
    mix = TrainingMix(empty, synthetic, share=1.0)
    _try_on(bench, mix, "RGB images, all of them synthetic")


def sixteen_bits_half_synthetic(bench: _SegmenterBench) -> None:
    """16-bit images are learnt from and segmented, also when half of them are synthetic."""
    unseen = bench.pictures(1, dtype="uint16", seed=5)[0].image
    bench.predict(bench.half, unseen, bench.half_mix.reference, f"an unseen image, after fit on {HALF}")


def another_seed_another_fit(bench: _SegmenterBench) -> None:
    """A fit with another seed learns something else."""
    if not bench.trains:
        raise Skipped("it doesn't train")
    other = bench.try_fit(bench.half_mix, f"{HALF}, with another seed", SEED + 1)
    demand(
        learnt(bench.saved(other)) != learnt(bench.saved(bench.half)),
        "a fit with another seed saves the same files: derive every random choice from context.seed",
    )


def mix_is_learnt_from(bench: _SegmenterBench) -> None:
    """fit learns from the real and from the synthetic samples of the mix, not from the validation samples."""
    if not bench.trains:
        raise Skipped("it doesn't train")
    mix, others, expected = bench.half_mix, bench.deep_pictures(3), learnt(bench.saved(bench.half))
    for what, other in (
        ("real", TrainingMix(others, mix.synthetic, mix.share)),
        ("synthetic", TrainingMix(mix.real, others, mix.share)),
    ):
        found = bench.try_fit(other, f"{HALF}, with other {what} ones")
        demand(
            learnt(bench.saved(found)) != expected,
            f"a fit on other {what} samples saves the same files: train on the mix, in the share it gives",
        )


def every_claimed_task(bench: _SegmenterBench) -> None:
    """Every task that the spec claims can be done."""
    others: list[Task] = [task for task in ("instances", "semantic") if task in bench.tasks and task != bench.task]
    if not others:
        raise Skipped("it claims one task, which the other checks try")
    for task in others:
        mix = TrainingMix(bench.pictures(4, task=task))
        _try_on(bench, mix, f"images of the task {task!r}")


def poor_training_sets(bench: _SegmenterBench) -> None:
    """One image, all background, or images smaller than a patch: it works, or it says so in one line."""
    sets = {
        "one image": bench.pictures(1),
        "images that are all background": bench.pictures(3, objects=0),
        "images of 24×20": bench.pictures(3, size=(24, 20)),
    }
    for what, train in sets.items():
        with refusing(f"fit and predict on {what}"):
            found = bench.fit(TrainingMix(train), bench.context(bench.few)).predict(bench.probe)
            _check_answer(found, bench.probe, train, f"an image, trained on {what}")


def _try_on(bench: _SegmenterBench, mix: TrainingMix, what: str) -> None:
    segmenter, like = bench.try_fit(mix, what), mix.reference[0].image
    image = bench.pictures(1, channels=3 if like.ndim == 3 else 1, seed=5)[0].image
    bench.predict(segmenter, image, mix.reference, f"an unseen image, after fit on {what}")


def _same(one: Instances, other: Instances) -> bool:
    if (one.scores is None) != (other.scores is None) or not np.array_equal(one.labels, other.labels):
        return False
    return one.scores is None or other.scores is None or np.allclose(one.scores, other.scores, rtol=1e-5, atol=1e-7)


def _check_answer(found: Instances, image: np.ndarray, reference: SampleSet, what: str) -> None:
    where = f"predict on {what} gave"
    demand(isinstance(found, Instances), f"{where} {type(found).__name__}, not synthbench.Instances")
    labels = found.labels
    demand(
        isinstance(labels, np.ndarray) and labels.dtype.kind in "iu",
        f"{where} labels that are no array of whole numbers",
    )
    demand(
        labels.shape == image.shape[:2], f"{where} labels of shape {labels.shape}, and the image is {image.shape[:2]}"
    )
    demand(int(labels.min()) >= 0, f"{where} the label {int(labels.min())}; labels are 0 and above")
    present = np.unique(labels[labels > 0])
    if reference.task == "semantic":
        known = len(reference.classes)
        demand(
            present.size == 0 or present[-1] < known,
            f"{where} the class {present[-1:]}; there are {known} classes from 0",
        )
        return
    count = int(present.size)
    demand(
        np.array_equal(present, np.arange(1, count + 1)),
        f"{where} {count} labels up to {present[-1:]}: number them 1 … n without gaps",
    )
    if found.scores is not None:
        scores = np.asarray(found.scores)
        demand(
            scores.shape == (count,),
            f"{where} scores of shape {scores.shape} for {count} instances: one each, in the order of the labels",
        )
        demand(
            scores.dtype.kind == "f" and bool(np.isfinite(scores).all()), f"{where} scores that are not finite floats"
        )


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
    any_size,
    colour_all_synthetic,
    sixteen_bits_half_synthetic,
    another_seed_another_fit,
    mix_is_learnt_from,
    every_claimed_task,
    poor_training_sets,
)
