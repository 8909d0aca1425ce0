"""The configuration keys that say which masks images are generated for, shared by the mask-to-image generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from synthbench.plugin.api import Config
from synthbench.samples import SampleSet, Task
from synthbench.toolkit.masks._recombination import Layout
from synthbench.toolkit.masks.sampler import MaskSampler, Mode
from synthbench.toolkit.training.budget_defaults import non_default

__all__ = ["MaskConfig"]

_RECOMBINED_ONLY = ("object_layout", "foreground_fraction", "touching_fraction")


class MaskConfig(Config):
    """Base of the configuration of a generator that generates an image for a given mask."""

    renamed: ClassVar[Mapping[str, str]] = {
        "masks": "mask_source",
        "layout": "object_layout",
        "density": "foreground_fraction",
        "touching": "touching_fraction",
    }

    mask_source: Literal["auto", "train", "recombine", "mixed"] = Field(
        "auto",
        description="masks that images are generated for. train: training masks, flipped and rotated; recombine: new "
        "arrangements of their objects; mixed: either, with equal probability; auto: mixed for instances, train for a "
        "semantic dataset",
    )
    object_layout: Layout = Field(
        "scatter",
        description="where recombined objects are placed. scatter: anywhere; discs: in one to four discs, as colonies",
    )
    foreground_fraction: float | None = Field(
        None,
        ge=0,
        le=1,
        description="fraction of a recombined mask that objects cover; by default that of a training mask",
    )
    touching_fraction: float | None = Field(
        None,
        ge=0,
        le=1,
        description="fraction of the recombined objects that are moved until they touch a neighbour; by default the "
        "fraction of touching objects in the training masks",
    )

    @model_validator(mode="after")
    def _check_recombined_only(self) -> Self:
        unused = non_default(self, _RECOMBINED_ONLY) if self.mask_source == "train" else []
        if unused:
            raise ValueError(f"{unused[0]} applies to recombined masks only; set mask_source: mixed")
        return self

    def unsupported_reason(self, task: Task) -> str:
        """Return why these masks can't be made for a task, with a hint; "" if they can."""
        unused = non_default(self, _RECOMBINED_ONLY)
        if task == "semantic" and self.mask_source in ("recombine", "mixed"):
            return f"mask_source: {self.mask_source} requires an instance-segmentation task; set mask_source: train"
        if task == "semantic" and unused:
            return f"{unused[0]} requires an instance-segmentation task; remove it"
        return super().unsupported_reason(task)

    def sampler(self, train: SampleSet, kinds: Sequence[int] | None = None) -> MaskSampler:
        """Return the sampler of new masks, from the masks of a training set.

        Parameters
        ----------
        train
        kinds
            What kind of image each mask belongs to; see `synthbench.toolkit.masks.sampler.MaskSampler`.
        """
        auto: Mode = "train" if train.task == "semantic" else "mixed"
        return MaskSampler.of(
            train,
            mode=auto if self.mask_source == "auto" else self.mask_source,
            object_layout=self.object_layout,
            foreground_fraction=self.foreground_fraction,
            touching_fraction=self.touching_fraction,
            kinds=kinds,
        )
