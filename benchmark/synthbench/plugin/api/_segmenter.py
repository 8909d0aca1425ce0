"""The base class of segmenters, what they train on, and what they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, get_args

from synthbench.errors import ConfigError
from synthbench.plugin.api._configured import ConfigT, Configured
from synthbench.plugin.api._context import Context
from synthbench.samples import SampleSet, check_channels
from synthbench.types import FloatArray, Image, LabelMap

__all__ = ["Instances", "Schedule", "Segmenter", "TrainingMix"]

Schedule: TypeAlias = Literal["mix", "synthetic-first"]
"""Where synthetic patches stand in a training: in all batches, or alone in the first steps, before the real ones."""


@dataclass(frozen=True)
class TrainingMix:
    """What a segmenter trains on: real samples, and perhaps synthetic ones.

    Attributes
    ----------
    real : SampleSet
        May be empty when the arm is synthetic only.
    synthetic : SampleSet or None
    synthetic_ratio : float
        Fraction of the patches that are synthetic, 0 … 1.
    schedule : Schedule
        ``"mix"``: synthetic samples fill this fraction of each batch, in the mean. ``"synthetic-first"``: they fill
        this fraction of the steps, the first ones, and real samples the others.
    """

    real: SampleSet
    synthetic: SampleSet | None = None
    synthetic_ratio: float = 0.0
    schedule: Schedule = "mix"

    def __post_init__(self) -> None:
        if not 0.0 <= self.synthetic_ratio <= 1.0:
            raise ConfigError(f"synthetic_ratio is {self.synthetic_ratio}; give 0 … 1")
        if self.schedule not in get_args(Schedule):
            raise ConfigError(f"schedule is {self.schedule!r}; give {' or '.join(get_args(Schedule))}")
        if self.synthetic_ratio > 0 and not self.synthetic:
            raise ConfigError(f"synthetic_ratio is {self.synthetic_ratio}, and there are no synthetic samples")
        if self.synthetic_ratio < 1 and len(self.real) == 0:
            raise ConfigError("there are no real training samples")
        if self.synthetic is not None:
            both = (*self.real.entries, *self.synthetic.entries)
            check_channels(((entry.id, entry.channels) for entry in both), "real and synthetic samples")

    @property
    def task(self) -> str:
        """The task of the samples: ``instances`` or ``semantic``."""
        return self.reference.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of a semantic task."""
        return self.reference.classes

    @property
    def reference(self) -> SampleSet:
        """The real samples, or the synthetic ones where there are no real ones."""
        return self.real if len(self.real) or self.synthetic is None else self.synthetic


@dataclass(frozen=True, eq=False)
class Instances:
    """What a segmenter says of one image.

    Parameters
    ----------
    labels
        ``(height, width)`` integers. Task `instances`: 0 and 1 … n without gaps. Task `semantic`: classes.
    scores
        ``(n,)`` float, the confidence of instance k + 1 at k; None where the method has none.
    """

    labels: LabelMap
    scores: FloatArray | None = None


class Segmenter(Configured[ConfigT], ABC):
    """Learns from samples, then maps an image to a label map.

    Attributes
    ----------
    supports_ignore : bool
        Whether training and threshold tuning leave out pixels without a known label
        (`synthbench.samples.Sample.ignore`). If False, a study whose samples have such pixels is refused.
    supports_init : frozenset of str
        What `fit` can start from beside weights drawn from the seed: ``"model"``, what the class itself saved after
        training on another dataset; ``"file"``, published weights. See `Context.init`. A start that isn't supported is
        refused before anything runs.
    requires_init : str
        Why it can't start from weights drawn from the seed; empty where it can. A study that lets it start so is
        refused with this reason before anything runs, and `synthbench check` skips it.
    supports_joint : bool
        Whether `fit` can train a generator together with the network, `Context.partner`.
    """

    supports_joint: ClassVar[bool] = False
    supports_ignore: ClassVar[bool] = False
    supports_init: ClassVar[frozenset[Literal["model", "file"]]] = frozenset()
    requires_init: ClassVar[str] = ""

    @abstractmethod
    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Learn from the mix in exactly ``context.budget.steps`` optimiser steps, from ``context.init`` if it is given.

        With an init, the steps may be 0: the weights are then used as they are. Thresholds stored with published
        weights are kept in that case, and tuned otherwise.

        Patches come from `synthbench.toolkit.training.patches.PatchStream`, so that every segmenter of a seed sees the
        same real patches in the same order. Thresholds are tuned on `validation` and nothing else.
        """

    @classmethod
    def check_init(cls, config: ConfigT, file: Path) -> None:
        """Raise `PluginError` if a file can't be what `fit` starts from; asked before anything runs.

        Cheap: the file's format, not its size in memory. Overridden by classes that support ``"file"``.
        """

    @abstractmethod
    def predict(self, image: Image) -> Instances:
        """Segment one image, ``(height, width[, channels])``, uint8 or uint16, of any size.

        It has the channels of the training images; where these are grey or RGB, it may be either.
        """
