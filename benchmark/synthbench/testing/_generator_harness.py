"""The harness that generators are checked with, and the checks that every sample passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from synthbench.plugin.api import Budget, Context, Generator
from synthbench.samples import Sample, SampleSet, channel_count
from synthbench.testing._harness import SEED, Harness, perturbed_global_rng
from synthbench.testing._mask_origins import wrong_origin
from synthbench.testing._shared_checks import Untouched, in_memory
from synthbench.testing._watch import Watch
from synthbench.testing.check_results import plugin_call, require
from synthbench.types import LabelMap

__all__ = ["SAMPLE_SEED", "GeneratorHarness", "check_counts", "check_loaded", "check_samples", "content_digest"]

SAMPLE_SEED = 3
"""The seed that samples are drawn with."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)

_EMPTY_MASK_HINT = (
    "; its mask is empty, and a network without noise draws such a mask flat: give the network a noise input, or set "
    "pixel_noise: true if its Config is a MaskToImageConfig"
)


class GeneratorHarness(Harness[SampleSet, Generator[Any]]):
    """A harness that keeps generators fitted on small pictures; every sample is drawn through it."""

    def fit(self, train: SampleSet, context: Context) -> Generator[Any]:
        generator: Generator[Any] = self.make()
        generator.fit(train, context)
        return generator

    @property
    def training_data(self) -> SampleSet:
        return self.saved_pictures

    @property
    def second(self) -> tuple[Untouched, Generator[Any], Watch]:
        """A second generator, fitted on a copy of the plain pictures in memory; whether that was left alone."""
        return self.once("a second fit", self._second_fit)

    def _second_fit(self) -> tuple[Untouched, Generator[Any], Watch]:
        train, watch = in_memory(self.training_data), Watch()
        untouched = Untouched(train)
        with plugin_call("a second fit"), perturbed_global_rng(2), watch.counting():
            return untouched, self.fit(train, self.context()), watch

    @property
    def drawn(self) -> list[Sample]:
        """The samples 0 … 5 of the fitted generator, one by one."""
        fitted = self.fitted
        return self.once("sample", lambda: [self.sample(fitted, i) for i in range(6)])

    @property
    def deep(self) -> Generator[Any]:
        """A generator fitted on `deep_pictures`, in few steps."""
        return self.once("fit on 16-bit images", lambda: self.try_fit(self.deep_pictures, "16-bit images"))

    @property
    def deep_pictures(self) -> SampleSet:
        """Four 16-bit pictures."""
        return self.pictures(4, dtype="uint16")

    def try_fit(self, train: SampleSet, what: str, seed: int = SEED) -> Generator[Any]:
        """Fit in few steps."""
        with plugin_call(f"fit on {what}"):
            return self.fit(train, self.context(self.few).with_seed(seed))

    def sample(self, generator: Generator[Any], index: int, seed: int = SAMPLE_SEED) -> Sample:
        """Return one sample; raise `CheckFailure` if it is none."""
        call = f"sample({index}, {seed})"
        with plugin_call(call):
            sample = generator.sample(index, seed)
        require(isinstance(sample, Sample), f"{call} returned {type(sample).__name__}, not synthbench.Sample")
        return sample

    def sample_batch(self, generator: Generator[Any], indices: Sequence[int], seed: int = SAMPLE_SEED) -> list[Sample]:
        """Return a batch; raise `CheckFailure` if these aren't as many samples."""
        call = f"sample_batch({list(indices)}, {seed})"
        with plugin_call(call):
            samples = list(generator.sample_batch(indices, seed))
        for sample in samples:
            require(isinstance(sample, Sample), f"{call} returned {type(sample).__name__}, not synthbench.Sample")
        require(len(samples) == len(indices), f"{call} returned {len(samples)} samples, not {len(indices)}")
        return samples

    def sample_three(self, generator: Generator[Any], train: SampleSet, what: str) -> list[Sample]:
        """Return samples 0 … 2, checked, of a generator that was trained on `what`."""
        drawn = self.sample_batch(generator, range(3))
        check_samples(self, drawn, train, range(3), f"trained on {what}, ")
        check_counts(generator)
        return drawn

    def fit_and_sample(self, train: SampleSet, what: str) -> tuple[Generator[Any], list[Sample]]:
        """Fit in few steps, and return the generator with samples 0 … 2, checked."""
        generator = self.try_fit(train, what)
        return generator, self.sample_three(generator, train, what)


def check_loaded(
    harness: GeneratorHarness, generator: Generator[Any], drawn: list[Sample], budget: Budget, when: str = ""
) -> None:
    """Raise `CheckFailure` unless the generator, saved and loaded elsewhere, draws its first three samples again."""
    with harness.loaded_elsewhere(generator, budget, when) as loaded:
        digests = [sample.digest for sample in harness.sample_batch(loaded, range(3))]
    require(
        digests == [sample.digest for sample in drawn],
        f"{when}what load gives draws other samples than what was saved",
    )


def check_counts(generator: Generator[Any]) -> None:
    """Raise `CheckFailure` unless the generator's counts are integers ≥ 0 by name."""
    counts = getattr(generator, "counts", None)
    require(isinstance(counts, Mapping), "self.counts is missing; call super().__init__(config)")
    for name, count in dict(counts or {}).items():
        require(
            isinstance(name, str) and type(count) is int and count >= 0,
            f"self.counts[{name!r}] is {count!r}; expected an integer ≥ 0",
        )


def content_digest(sample: Sample) -> str:
    """Return the digest of a sample's image, labels and ignore region, without its id and groups."""
    return Sample("any", sample.image, sample.labels, ignore=sample.ignore).digest


def _count_in_pieces(labels: LabelMap) -> int:
    """Return the number of objects of a label map that consist of several pieces."""
    boxes = enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1)
    return sum(ndimage.label(labels[box] == k, _EIGHT_NEIGHBOURS)[1] > 1 for k, box in boxes if box is not None)


def check_samples(
    harness: GeneratorHarness, drawn: list[Sample], train: SampleSet, indices: Sequence[int], when: str = ""
) -> None:
    """Raise `CheckFailure` unless samples suit their training set: dtype, channels, size, labels, origin of the mask.

    Parameters
    ----------
    harness
    drawn
        The samples of `indices`.
    train
        What the generator was fitted on.
    indices
    when
        Begins the message, as in ``"trained on RGB images, "``.
    """
    first = train[0]
    most = max(_count_in_pieces(sample.labels) for sample in train) if train.task == "instances" else 0
    smallest = min(min(entry.height, entry.width) for entry in train.entries)
    side = min(smallest, harness.budget.patch_size if harness.trains else harness.side)
    for i, sample in zip(indices, drawn, strict=True):
        require(
            sample.image.dtype == first.image.dtype,
            f"{when}it draws {sample.image.dtype} images, and the training images are {first.image.dtype}",
        )
        require(
            channel_count(sample.image) == channel_count(first.image),
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
            split = _count_in_pieces(sample.labels)
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
        empty = "" if sample.labels.any() else _EMPTY_MASK_HINT
        require(np.ptp(sample.image) > 0 or np.ptp(first.image) == 0, f"{when}sample {i} is a constant image{empty}")
        wrong = wrong_origin(sample, train)
        require(not wrong, f"{when}sample {i} {wrong}")
