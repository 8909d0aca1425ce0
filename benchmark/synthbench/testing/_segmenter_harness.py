"""The harness that segmenters are tried on, and how what they say is looked at and compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.plugin.api import Budget, Context, Instances, Segmenter, TrainingMix
from synthbench.samples import SampleSet, channel_count
from synthbench.testing._data import inverted
from synthbench.testing._harness import SEED, Harness, perturbed_global_rng
from synthbench.testing._learning import arrays
from synthbench.testing._shared_checks import Untouched, in_memory
from synthbench.testing._watch import Watch
from synthbench.testing.check_results import plugin_call, require

__all__ = ["HALF", "MIXED_PATCHES", "SegmenterHarness", "blank", "check_answer", "same"]

HALF = "16-bit images, half of them synthetic"

MIXED_PATCHES = 8
"""A fit on a mix takes at least as many patches, so that ratios of one quarter and three quarters differ in effect."""


class SegmenterHarness(Harness[TrainingMix, Segmenter[Any]]):
    """A harness that keeps the segmenter fitted on the plain pictures."""

    def fit(self, data: TrainingMix, context: Context, validation: SampleSet | None = None) -> Segmenter[Any]:
        segmenter: Segmenter[Any] = self.make()
        segmenter.fit(data, validation if validation is not None else data.reference[:2], context)
        return segmenter

    @property
    def training_data(self) -> TrainingMix:
        return TrainingMix(self.saved_pictures)

    @property
    def probe(self) -> NDArray[Any]:
        """An image that no fit has seen."""
        return self.pictures(1, seed=9)[0].image

    @property
    def second(self) -> tuple[Untouched, Untouched, Segmenter[Any], Watch]:
        """A second segmenter, fitted on copies of the plain pictures in memory, and whether these were left alone."""
        return self.once("a second fit", self._second_fit)

    def _second_fit(self) -> tuple[Untouched, Untouched, Segmenter[Any], Watch]:
        train, validation, watch = in_memory(self.saved_pictures), in_memory(self.saved_pictures[:2]), Watch()
        untouched = Untouched(train), Untouched(validation)
        with plugin_call("a second fit"), perturbed_global_rng(2), watch.counting():
            return *untouched, self.fit(TrainingMix(train), self.context(), validation), watch

    @property
    def half(self) -> Segmenter[Any]:
        """A segmenter fitted on `half_mix`."""
        return self.once(f"fit on {HALF}", lambda: self.try_fit(self.half_mix, HALF))

    @property
    def half_mix(self) -> TrainingMix:
        """16-bit images, half of them synthetic."""
        return TrainingMix(self.deep_pictures(1), self.deep_pictures(2), synthetic_ratio=0.5)

    def deep_pictures(self, seed: int, count: int = 4) -> SampleSet:
        """Return pictures with 16 bits per channel."""
        return self.pictures(count, dtype="uint16", seed=seed)

    @property
    def mixed(self) -> Budget:
        """The smoke budget, with as few steps as `MIXED_PATCHES` need."""
        whole = self.budget
        return replace(whole, steps=min(whole.steps, max(self.few.steps, -(-MIXED_PATCHES // whole.batch_size))))

    def try_fit(
        self, mix: TrainingMix, what: str, seed: int = SEED, validation: SampleSet | None = None
    ) -> Segmenter[Any]:
        """Fit in few steps, validated on pictures like the mix's unless others are given."""
        first = mix.reference[0].image
        unseen = self.pictures(2, dtype=first.dtype.name, channels=channel_count(first), task=mix.task, seed=5)
        with plugin_call(f"fit on {what}"):
            return self.fit(mix, self.context(self.mixed).with_seed(seed), validation or unseen)

    def predict(self, segmenter: Segmenter[Any], image: NDArray[Any], reference: SampleSet, what: str) -> Instances:
        """Predict, and look at the answer."""
        with plugin_call(f"predict on {what}"):
            found = segmenter.predict(image)
        check_answer(found, image, reference, what)
        return found

    def says(self, segmenter: Segmenter[Any]) -> list[Instances]:
        """Predict the unseen image and the first plain pictures."""
        images = self.once("reading pictures", lambda: [self.probe, *(s.image.copy() for s in self.saved_pictures[:2])])
        return [self.predict(segmenter, image, self.saved_pictures, "a plain picture") for image in images]

    def says_of_deep(self, segmenter: Segmenter[Any]) -> list[Instances]:
        """Predict 16-bit images, bright ones and dark ones."""
        bright = self.deep_pictures(5, 2)
        images = [sample.image for samples in (bright, inverted(bright)) for sample in samples]
        return [self.predict(segmenter, image, bright, "a 16-bit image") for image in images]

    def agree(self, one: Segmenter[Any], other: Segmenter[Any]) -> bool:
        """Return whether two segmenters predict the same; where neither finds anything, whether they learned the same.

        Equal predictions without an object say nothing: the arrays that are saved speak for them.
        """
        found, again = self.says(one), self.says(other)
        if not all(same(a, b) for a, b in zip(found, again, strict=True)):
            return False
        return not all(map(blank, found)) or arrays(self.numbers(one)) == arrays(self.numbers(other))


def same(one: Instances, other: Instances) -> bool:
    """Return whether two predictions are the same, but for the last digits of scores."""
    if (one.scores is None) != (other.scores is None) or not np.array_equal(one.labels, other.labels):
        return False
    return one.scores is None or other.scores is None or np.allclose(one.scores, other.scores, rtol=1e-5, atol=1e-7)


def blank(found: Instances) -> bool:
    """Return whether nothing is found: every pixel has one label."""
    return bool(np.ptp(found.labels) == 0)


def check_answer(found: Instances, image: NDArray[Any], reference: SampleSet, what: str) -> None:
    """Raise `CheckFailure` unless a prediction has the form that the contract asks for."""
    where = f"predict on {what} gave"
    require(isinstance(found, Instances), f"{where} {type(found).__name__}, not synthbench.Instances")
    labels = found.labels
    require(
        isinstance(labels, np.ndarray) and labels.dtype.kind in "iu",
        f"{where} labels that are no array of whole numbers",
    )
    require(
        labels.shape == image.shape[:2], f"{where} labels of shape {labels.shape}, and the image is {image.shape[:2]}"
    )
    require(int(labels.min()) >= 0, f"{where} the label {int(labels.min())}; labels are 0 and above")
    present = np.unique(labels[labels > 0])
    if reference.task == "semantic":
        known = len(reference.classes)
        require(
            present.size == 0 or present[-1] < known,
            f"{where} the class {present[-1:]}; there are {known} classes from 0",
        )
        return
    count = int(present.size)
    require(
        np.array_equal(present, np.arange(1, count + 1)),
        f"{where} {count} labels up to {present[-1:]}: number them 1 … n without gaps",
    )
    if found.scores is not None:
        scores = np.asarray(found.scores)
        require(
            scores.shape == (count,),
            f"{where} scores of shape {scores.shape} for {count} instances: one each, in the order of the labels",
        )
        require(
            scores.dtype.kind == "f" and bool(np.isfinite(scores).all()), f"{where} scores that are not finite floats"
        )
