"""Training patches of unlabelled images beside those of the training samples."""

from __future__ import annotations

from pydantic import Field

from synthbench.plugin.api import Config, Context, TrainingMix
from synthbench.samples import Sample, SampleSet

__all__ = ["UnlabelledConfig", "is_unlabelled", "mix_with_unlabelled"]


class UnlabelledConfig(Config):
    """Base of the configuration of a generator that learns from images without labels too."""

    unlabelled_ratio: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="fraction of the training patches that come from unlabelled images, where the dataset has some; 0: "
        "they aren't used",
    )

    def learns_from_unlabelled(self) -> bool:
        return self.unlabelled_ratio > 0


def mix_with_unlabelled(train: SampleSet, config: Config, context: Context) -> TrainingMix:
    """Return what a generator trains on: unlabelled images have the place of the synthetic samples.

    The patches of the other slots are those of a training without unlabelled images; see
    `synthbench.toolkit.training.patches.PatchStream`. There are no unlabelled images unless the context has some and
    the configuration is an `UnlabelledConfig` with a ratio above 0.
    """
    if not (isinstance(config, UnlabelledConfig) and config.unlabelled_ratio > 0 and context.unlabelled):
        return TrainingMix(train)
    return TrainingMix(train, context.unlabelled, config.unlabelled_ratio)


def is_unlabelled(sample: Sample) -> bool:
    """Return whether the label of every pixel is unknown."""
    return sample.ignore is not None and bool(sample.ignore.all())
