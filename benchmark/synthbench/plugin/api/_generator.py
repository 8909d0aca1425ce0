"""The base class of generators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from synthbench.errors import PluginError
from synthbench.plugin.api._configured import ConfigT, Configured
from synthbench.plugin.api._context import Context
from synthbench.plugin.api._partner import TrainingPartner
from synthbench.samples import Sample, SampleSet, Task

__all__ = ["ExistingSamples", "Generator", "has_existing"]


@dataclass(frozen=True)
class ExistingSamples:
    """Samples that exist before a generator is fitted.

    Attributes
    ----------
    folders : tuple of Path
        Sample sets, one for each generator seed: the samples of seed s are those of the set s, in any order.
    trained_on : tuple of str or None
        Ids of the real images that whoever made them has seen; None where nobody says so.
    """

    folders: tuple[Path, ...]
    trained_on: tuple[str, ...] | None = None


class Generator(Configured[ConfigT], ABC):
    """Learns from training samples, then draws new annotated samples.

    The class attributes `Config` (a subclass of `synthbench.Config`) and `budgets` (name → `Budget`) describe it.
    A generator that doesn't train leaves `budgets` empty. `sample` is what an author writes; `sample_batch` is
    overridden where several samples at once are faster than one by one.

    Attributes
    ----------
    sample_batch_size : int
        How many samples a run asks `sample_batch` for at once.
    counts : Counter
        Name → how often it has happened since the generator was created. A run stores these numbers with the synthetic
        set, and leaderboards show three of them: ``lost`` objects of the training masks, which the generator can't
        learn; ``removed`` pieces of drawn masks; and ``unplaced`` objects of new masks. The number of ``empty`` masks
        is counted by the run.
    supports_ignore : bool
        Whether training samples may have pixels without a known label (`synthbench.samples.Sample.ignore`). Such a
        generator doesn't learn from these pixels, or returns them in the ignore region of drawn samples. If False,
        a study whose training samples have such pixels is refused.
    uses_unlabelled : bool
        Whether `fit` also learns from images without labels, `Context.unlabelled`, unless
        `Config.learns_from_unlabelled` says otherwise.
    supports_joint : bool
        Whether it can be trained together with a segmenter; see `partner`.
    """

    supports_ignore: ClassVar[bool] = False
    uses_unlabelled: ClassVar[bool] = False
    supports_joint: ClassVar[bool] = False
    sample_batch_size: ClassVar[int] = 1

    @classmethod
    def existing(cls, config: ConfigT, task: Task, classes: Sequence[str], context: Context) -> ExistingSamples | None:
        """Return the samples that `sample` will return, where they exist already; None where they must be drawn.

        It is asked when a study is planned, for each of its datasets. A study then uses no more samples and no more
        generator seeds than there are, refuses samples that don't suit the dataset or that copy its test images, and
        says which real images their maker has seen.

        Parameters
        ----------
        config
            Complete.
        task, classes
            Those of the dataset.
        context
            Sample sets that are read from other files can be kept in its folder, which outlives the study.

        Raises
        ------
        SynthbenchError
            If they can't be used: one line that names the file and what to do.
        """
        return None

    def __init__(self, config: ConfigT | None = None) -> None:
        super().__init__(config)
        self.counts: Counter[str] = Counter()

    @abstractmethod
    def fit(self, train: SampleSet, context: Context) -> None:
        """Learn from the training samples, and from ``context.unlabelled`` if it asks for that; from nothing else.

        Takes exactly ``context.budget.steps`` optimiser steps if it trains. Checkpoints go to ``context.folder``.
        """

    @abstractmethod
    def sample(self, index: int, seed: int) -> Sample:
        """Return one synthetic sample.

        Parameters
        ----------
        index
            Position in the synthetic set, 0 or more.
        seed
            Seed of the synthetic set.

        Returns
        -------
        Sample
            A function of ``(seed, index)`` alone, whatever was drawn before. Its image has the dtype and the channels
            of the training images; its id is ``f"{index:06d}"``.
        """

    def partner(self, train: SampleSet, context: Context) -> TrainingPartner:
        """Return this generator, ready to be trained together with a segmenter; it isn't saved afterwards.

        Parameters
        ----------
        train
            The real samples that the segmenter is trained on.
        context
            The segmenter's, with its seed and budget: the patch stream of both is the same.

        Raises
        ------
        PluginError
            Unless the class supports it.
        """
        raise PluginError(f"{type(self).__name__} can't be trained together with a segmenter")

    def sample_batch(self, indices: Sequence[int], seed: int) -> list[Sample]:
        """Return several samples, in the order of `indices`: to the bit those that `sample` returns one by one."""
        return [self.sample(index, seed) for index in indices]


def has_existing(cls: Any) -> bool:
    """Return whether a generator's class overrides `Generator.existing`."""
    return getattr(cls.existing, "__func__", None) is not Generator.__dict__["existing"].__func__
