"""Short trainings of small plugins: complete, stopped and resumed; and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pytest
import torch
from torch import nn

from synthbench import Budget, Context, Generator, Instances, SampleSet, Segmenter, Stopped, TrainingMix
from synthbench.plugin.api import Init

GeneratorT = TypeVar("GeneratorT", bound=Generator[Any])
SegmenterT = TypeVar("SegmenterT", bound=Segmenter[Any])
T = TypeVar("T")


@dataclass(frozen=True)
class SmallGenerator(Generic[GeneratorT]):
    """Fits a generator with small networks; the numbers of the budget and the keys of `config` can be replaced."""

    generator: type[GeneratorT]
    config: Mapping[str, Any]
    steps: int = 4
    batch: int = 2
    patch: int = 32

    def __call__(
        self,
        train: SampleSet,
        *,
        steps: int | None = None,
        batch: int | None = None,
        patch: int | None = None,
        context: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> GeneratorT:
        """Return a fitted generator; `context` holds further fields of its `Context`."""
        generator = self.generator(self.generator.Config(**{**self.config, **config}))
        budget = Budget(steps or self.steps, batch or self.batch, patch or self.patch)
        generator.fit(train, Context(**{"seed": 1, "budget": budget, **(context or {})}))
        return generator

    def resumed(self, train: SampleSet, folder: Path, *, at: int, **options: Any) -> GeneratorT:
        """Return the generator of a training that was stopped before step `at`, and resumed."""
        return resumed(lambda **context: self(train, context=context, **options), folder, at=at)


@dataclass(frozen=True)
class SmallSegmenter(Generic[SegmenterT]):
    """Fits a segmenter with a small network; its first training image validates."""

    segmenter: type[SegmenterT]
    config: Mapping[str, Any]
    budget: Budget

    def __call__(
        self,
        samples: SampleSet,
        init: Init | None = None,
        *,
        budget: Budget | None = None,
        seed: int = 1,
        **config: Any,
    ) -> SegmenterT:
        """Return a fitted segmenter."""
        segmenter = self.segmenter(self.segmenter.Config.model_validate({**self.config, **config}))
        context = Context(budget=budget or self.budget, seed=seed, init=init)
        segmenter.fit(TrainingMix(samples), samples[:1], context)
        return segmenter


def stop(fit: Callable[..., Any], folder: Path, *, at: int) -> None:
    """Stop a training before step `at`; it leaves its checkpoint.

    Parameters
    ----------
    fit
        Takes fields of a `Context`, and trains.
    folder
    at
        Counted over all phases.
    """
    asked = iter(range(10**6))
    with pytest.raises(Stopped):
        fit(folder=folder, should_stop=lambda: next(asked) == at)


def resumed(fit: Callable[..., T], folder: Path, *, at: int) -> T:
    """Return the result of a training of one phase that was stopped before step `at`, and resumed there; see `stop`."""
    stop(fit, folder, at=at)
    steps: list[int] = []
    result = fit(folder=folder, progress=lambda done, total, note="": steps.append(done))
    assert at in steps, f"not resumed: progress was {steps}"
    return result


def pixels(generator: Generator[Any], indices: Iterable[int] = range(2), seed: int = 0) -> list[bytes]:
    """Return what a generator draws, image and labels of each sample."""
    return [sample.image.tobytes() + sample.labels.tobytes() for sample in generator.sample_batch(list(indices), seed)]


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have the same names and the same bits."""
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def assert_scored_without_gaps(found: Instances, shape: tuple[int, ...]) -> None:
    """The objects of an image of this shape have the labels 1 … n, and a score each."""
    assert found.labels.shape == shape[:2]
    number = int(found.labels.max())
    assert set(np.unique(found.labels)) - {0} == set(range(1, number + 1))
    assert found.scores is not None
    assert found.scores.shape == (number,)


def assert_same_predictions(one: Segmenter[Any], other: Segmenter[Any], image: np.ndarray) -> None:
    """Two segmenters find the same objects with the same scores."""
    before, after = one.predict(image), other.predict(image)
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal(before.scores, after.scores)


def assert_draws_bright_objects(generator: Generator[Any], contrast: float = 60) -> None:
    """What is drawn is brighter where the masks have objects, and there are about as many as in `blobs`."""
    samples = generator.sample_batch(range(12), 0)
    inside, outside = (np.concatenate([s.image[(s.labels > 0) == inner] for s in samples]) for inner in (True, False))
    assert np.median(inside) > np.median(outside) + contrast
    objects, area = sum(int(s.labels.max()) for s in samples), sum(s.labels.size for s in samples)
    assert 1 <= objects / area * 32**2 <= 5
