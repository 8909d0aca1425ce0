"""A training in several phases, which share one budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from synthbench.plugin.api import Context
from synthbench.samples import Task
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.training_log import Preview

__all__ = ["Phase", "split_steps", "train_phase"]


class Phase(Protocol):
    """The training step of one phase, and all that changes in it."""

    @property
    def state(self) -> Mapping[str, State]:
        """Everything that changes in this phase, by name; see `synthbench.toolkit.training.loop.train`."""

    def step(self, number: int) -> loop.Losses:
        """Take optimiser step `number` of this phase, and return its losses by name."""


def split_steps(steps: int, fraction: float) -> int:
    """Return how many of a budget's steps the first of two phases takes: `fraction` of them, but 1 … steps − 1."""
    return max(1, min(steps - 1, round(steps * fraction)))


def train_phase(
    name: str,
    phase: Phase,
    first: int,
    last: int,
    context: Context,
    preview: Preview | None = None,
    *,
    task: Task = "instances",
) -> None:
    """Take the steps first … last − 1 of the budget, with a checkpoint of their own; see `loop.train`.

    Parameters
    ----------
    name
        Of the checkpoint, and of the phase in the training log.
    phase
        Its steps are numbered from 0.
    first, last
    context
        Its progress counts the steps of all phases.
    preview, task
        As for `loop.train`.
    """

    def progress(done: int, total: int, note: str = "") -> None:
        context.progress(first + done, context.budget.steps, note)

    loop.train(
        replace(context, progress=progress),
        state=phase.state,
        step=phase.step,
        steps=last - first,
        name=name,
        preview=preview,
        task=task,
    )
