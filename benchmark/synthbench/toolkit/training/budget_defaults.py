"""Hyper-parameters that are left open until the budget is known, and those that several generators share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from synthbench.plugin.api import Budget, Config
from synthbench.samples import SampleSet, Task
from synthbench.toolkit.masks.sampler import Layout, MaskSampler, Mode

LONG = 10_000
"""A training of fewer steps is a short one, meant for a CPU."""

C = TypeVar("C", bound=Config)


def changed(config: Config, names: Iterable[str]) -> list[str]:
    """Return those of the named fields that aren't at their defaults, each as ``name: value``."""
    fields = type(config).model_fields
    found = {name: getattr(config, name) for name in names}
    return [f"{name}: {value}" for name, value in found.items() if value != fields[name].default]


def resolve_defaults(config: C, budget: Budget, *, short: Mapping[str, Any], long: Mapping[str, Any]) -> C:
    """Return the configuration with what it leaves open filled in.

    Parameters
    ----------
    config
        A field that is None is open, if the following name it.
    budget
    short, long
        What open fields become in a training of less than `LONG` steps, and in others.

    Raises
    ------
    ValueError
        If a value doesn't fit its field (pydantic's).
    """
    usual = long if budget.steps >= LONG else short
    fields = config.model_dump()
    return type(config).model_validate(fields | {k: v for k, v in usual.items() if fields[k] is None})


class MaskConfig(Config):
    """Which masks images are drawn to, for generators that draw an image to a mask.

    Attributes
    ----------
    masks : {"auto", "train", "recombine", "mixed"}
        ``train``: training masks, turned and mirrored. ``recombine``: their objects, laid out anew. ``mixed``: either,
        with even chances. ``auto``: ``mixed`` for instances, ``train`` for a semantic dataset. See
        `synthbench.toolkit.masks.sampler.MaskSampler`.
    layout : {"scatter", "discs"}
        Where recombined objects lie: anywhere, or in one to four discs, as colonies do.
    density : float, optional
        Covered share of recombined masks; by default that of a training mask.
    touching : float, optional
        Share of the recombined objects that are moved up to a neighbour; by default as many as touch in training masks.
        A semantic dataset has no masks to recombine, so a study refuses these three there.
    """

    masks: Literal["auto", "train", "recombine", "mixed"] = "auto"
    layout: Layout = "scatter"
    density: float | None = Field(None, ge=0, le=1)
    touching: float | None = Field(None, ge=0, le=1)

    @model_validator(mode="after")
    def _laid_out(self) -> Self:
        idle = changed(self, ("layout", "density", "touching")) if self.masks == "train" else []
        if idle:
            raise ValueError(f"{idle[0]} is of recombined masks, and masks: train has none; give masks: mixed")
        return self

    def unfit(self, task: Task) -> str:
        idle = changed(self, ("layout", "density", "touching"))
        if task == "semantic" and self.masks in ("recombine", "mixed"):
            return f"masks: {self.masks} takes objects apart, and a semantic mask has none; give masks: train"
        if task == "semantic" and idle:
            return f"{idle[0]} is of recombined masks, and a semantic mask has no objects; leave it out"
        return super().unfit(task)

    def sampler(self, train: SampleSet) -> MaskSampler:
        """Return the sampler of new masks from a training set's."""
        auto: Mode = "train" if train.task == "semantic" else "mixed"
        mode = auto if self.masks == "auto" else self.masks
        return MaskSampler.of(train, mode=mode, layout=self.layout, density=self.density, touching=self.touching)
