"""What a training leaves for people to look at: losses by step, and pictures of samples at several steps.

The files are in ``log/`` of the context's folder during training, and beside the trained model afterwards. An
interrupted and resumed training leaves the same files as an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from synthbench.errors import StoreError, write_error_reason
from synthbench.plugin.api import LOG, Context, Generator
from synthbench.samples import Sample, Task

__all__ = ["MAX_LOSS_ROWS", "PREVIEWS", "SAMPLES_PER_PREVIEW", "Preview", "TrainingLog", "preview_of"]

MAX_LOSS_ROWS = 200
"""Losses are kept for about this many evenly spaced steps, at most."""

PREVIEWS = 5
"""Number of pictures in a training, evenly spaced, the last one at its end."""

SAMPLES_PER_PREVIEW = 3
"""Samples in each picture."""

Preview: TypeAlias = Callable[[], Sequence[Sample]]
"""Returns a few samples of the current networks. It must not change the training, nor its random numbers."""


def preview_of(generator: Generator[Any], seed: int, *networks: nn.Module) -> Preview:
    """Return a function that samples from a generator during its training.

    Parameters
    ----------
    generator, seed
        Sampled are the first `SAMPLES_PER_PREVIEW` samples of this seed.
    networks
        Switched to evaluation mode while samples are generated.
    """

    def preview() -> Sequence[Sample]:
        modes = [network.training for network in networks]
        for network in networks:
            network.eval()
        samples = generator.sample_batch(range(SAMPLES_PER_PREVIEW), seed)
        for network, mode in zip(networks, modes, strict=True):
            network.train(mode)
        return samples

    return preview


class TrainingLog:
    """The log of one training, or of one of its phases.

    Parameters
    ----------
    context
        Without ``context.folder`` nothing is written.
    name, total
        Name of the training, and its number of steps.
    first
        The step that it begins or resumes at; what an interrupted run wrote about later ones is removed.
    preview
        None: no pictures.
    task
        How the label maps of the samples are shown.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        total: int,
        first: int = 0,
        preview: Preview | None = None,
        task: Task = "instances",
    ) -> None:
        self.folder = context.folder / LOG if context.folder is not None else None
        self.name, self.total, self.preview, self.task = name, total, preview, task
        self.stride = max(1, -(-total // MAX_LOSS_ROWS))
        if self.folder is not None:
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                self._remove_from(first)

    @property
    def losses_file(self) -> Path | None:
        """The file of losses: one JSON object per line."""
        return self.folder / f"{self.name}.jsonl" if self.folder is not None else None

    def record(self, number: int, losses: Mapping[str, float | torch.Tensor]) -> None:
        """Write the losses of step `number`, if it is one of those kept."""
        if self.losses_file is not None and (number % self.stride == 0 or number == self.total - 1):
            row = {"step": number} | {name: float(torch.as_tensor(loss).detach()) for name, loss in losses.items()}
            with self._writing(), self.losses_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def preview_due(self, done: int) -> bool:
        """Return whether a picture is to be saved after `done` steps."""
        passed = done * PREVIEWS // self.total > (done - 1) * PREVIEWS // self.total
        return passed and self.folder is not None and self.preview is not None

    def save_preview(self, done: int) -> None:
        """Generate samples and save their picture; the weights must be finite. See `preview_due`."""
        from synthbench.samples.contact_sheets import contact_sheet

        assert self.folder is not None
        assert self.preview is not None
        title = f"{self.name}, step {done} of {self.total}"
        picture = contact_sheet({title: self.preview()}, task=self.task, tile=160, columns=3)
        with self._writing():
            picture.save(self.folder / f"{self.name}-{done:06d}.png")

    def _remove_from(self, first: int) -> None:
        """Remove the losses of steps from `first` on."""
        if self.losses_file is not None and self.losses_file.is_file():
            lines = self.losses_file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            self.losses_file.write_text("".join(line for line in lines if _step_of(line) < first), encoding="utf-8")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.folder}: the log can't be written: {write_error_reason(error)}") from None


def _step_of(line: str) -> float:
    """Return the step of a line of losses; infinity if the line is damaged."""
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf
