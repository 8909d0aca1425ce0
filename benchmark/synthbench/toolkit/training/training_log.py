"""What a training leaves for people to look at: losses by step, and pictures of what a generator draws by then.

The files lie in ``log/`` of the context's folder while training goes on, and beside the trained model afterwards. They
are the same whether or not training was interrupted.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from synthbench.errors import StoreError, write_error_reason
from synthbench.plugin.api import LOG, Context, Generator
from synthbench.samples import Sample, Task

ROWS = 200
"""Losses are kept of at most about so many steps, evenly spaced."""

PICTURES = 5
"""Pictures are drawn so often, the last one when training ends."""

SHOWN = 3
"""Samples in each picture."""

Draw = Callable[[], Sequence[Sample]]
"""Draws a few samples with what has been learnt so far; must leave training as it was, random numbers included."""


def preview_of(generator: Generator, seed: int, *networks: nn.Module) -> Draw:
    """Return what draws a generator's first samples amid training, its networks switched to drawing meanwhile."""

    def draw() -> Sequence[Sample]:
        training = [network.training for network in networks]
        for network in networks:
            network.eval()
        drawn = generator.sample_batch(range(SHOWN), seed)
        for network, mode in zip(networks, training, strict=True):
            network.train(mode)
        return drawn

    return draw


class TrainingLog:
    """The journal of one training, or of one of its phases.

    Parameters
    ----------
    context
        Without a folder nothing is kept.
    name, total
        Of the training, and its steps.
    first
        The step that it goes on from; what an interrupted run wrote of later ones is dropped.
    draw
        None: no pictures.
    task
        How the samples' label maps are shown.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        total: int,
        first: int = 0,
        draw: Draw | None = None,
        task: Task = "instances",
    ) -> None:
        self.folder = context.folder / LOG if context.folder is not None else None
        self.name, self.total, self.draw, self.task = name, total, draw, task
        self.stride = max(1, -(-total // ROWS))
        if self.folder is not None:
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._forget(first)

    @property
    def losses(self) -> Path | None:
        """The file of losses: a JSON object a line."""
        return self.folder / f"{self.name}.jsonl" if self.folder is not None else None

    def note(self, number: int, losses: Mapping[str, float | torch.Tensor]) -> None:
        """Keep the losses of step `number`, if it is one of those kept."""
        if self.losses is not None and (number % self.stride == 0 or number == self.total - 1):
            row = {"step": number} | {name: float(torch.as_tensor(loss).detach()) for name, loss in losses.items()}
            with self._writing(), self.losses.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def due(self, done: int) -> bool:
        """Whether a fifth of the steps has been done since the last picture, and there are pictures at all."""
        passed = done * PICTURES // self.total > (done - 1) * PICTURES // self.total
        return passed and self.folder is not None and self.draw is not None

    def picture(self, done: int) -> None:
        """Draw samples, of a network whose weights are finite; see `due`."""
        from synthbench.samples.pictures import contact_sheet

        assert self.folder is not None
        assert self.draw is not None
        title = f"{self.name}, step {done} of {self.total}"
        image = contact_sheet({title: self.draw()}, task=self.task, tile=160, columns=3)
        with self._writing():
            image.save(self.folder / f"{self.name}-{done:06d}.png")

    def _forget(self, first: int) -> None:
        """Drop what was written of steps from `first` on."""
        if self.losses is not None and self.losses.is_file():
            lines = self.losses.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            self.losses.write_text("".join(line for line in lines if _step(line) < first), encoding="utf-8")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.folder}: the log can't be written: {write_error_reason(error)}") from None


def _step(line: str) -> float:
    """Return the step of a line of losses; of one that is damaged, a step that never comes."""
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf
