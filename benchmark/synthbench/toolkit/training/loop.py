"""The training loop that every trained plugin shares: `train`, which can be interrupted and resumed.

A plugin calls `prepare_torch`, builds its networks, names everything that changes during training, and passes a
function that takes one step::

    random = prepare_torch(context)
    state = {"network": network, "optimiser": optimiser, "random": random}

    def step(number: int) -> dict[str, torch.Tensor]:
        images, targets = batches[number]
        ...
        return {"loss": loss}

    train(context, state=state, step=step)
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synthbench.plugin.api import Context, Stopped
from synthbench.plugin.precision import TF32, current_precision, resolved_precision
from synthbench.samples import Task
from synthbench.toolkit.rng import torch_seed, torch_stream
from synthbench.toolkit.training import checkpoints
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.mode_collapse import Diverged
from synthbench.toolkit.training.precision import in_bfloat16
from synthbench.toolkit.training.training_log import Preview, TrainingLog

__all__ = ["CHECKPOINT_SECONDS", "Diverged", "Losses", "autocast", "prepare_torch", "train"]

Losses = Mapping[str, float | torch.Tensor]
"""What a step returns: scalars by name. Prefer tensors to floats on a GPU: they are read about once a second."""

CHECKPOINT_SECONDS = 20.0
"""Shortest time between two checkpoints, by default."""

_REPORT_SECONDS = 1.0


def prepare_torch(context: Context) -> torch.Generator:
    """Set the threads, the determinism and the seeds of torch for one task.

    The global generators of torch are seeded too, because initial weights and dropout use them; `train` keeps their
    states in its checkpoints.

    Parameters
    ----------
    context
        Its seed, device and number of threads are used.

    Returns
    -------
    torch.Generator
        On the task's device, seeded by ``context.seed``. If a step uses it, it belongs to the state of `train`.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(max(1, context.threads))
    torch.manual_seed(torch_seed(context.seed, "training.global"))
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    if torch.device(context.device).type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = TF32
        torch.backends.cudnn.allow_tf32 = TF32
    return torch_stream(context.seed, "training", device=context.device)


def autocast(device: str | torch.device) -> AbstractContextManager[Any]:
    """Return a context manager in which most operations of networks compute in bfloat16, if the task is to do so.

    Weights, their gradients and the states of optimisers stay float32; losses belong outside, on float32 outputs.
    Without a choice it is bfloat16 on a GPU, and nothing changes on a CPU; see `synthbench.plugin.precision`.
    """
    kind = torch.device(device).type
    if in_bfloat16(kind):
        return torch.autocast(kind, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def train(
    context: Context,
    *,
    state: Mapping[str, State],
    step: Callable[[int], Losses],
    steps: int | None = None,
    name: str = "training",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    preview: Preview | None = None,
    task: Task = "instances",
) -> None:
    """Take the steps of the budget, from the first one or from the last checkpoint.

    A resumed training ends with the weights of an uninterrupted one, bit for bit on a CPU, provided that `step` depends
    on its number and on `state` alone. A checkpoint that is damaged, or was written by another version or for another
    task, is not used: training begins again at step 0, and the reason is passed to ``context.notify``.

    Parameters
    ----------
    context
    state
        Everything that changes during training, by name: networks, optimisers, weight averages … with ``state_dict``
        and ``load_state_dict``, or a `torch.Generator`. Their states may hold tensors, numbers and strings.
    step
        Called with the number of the step, 0 … steps − 1; computes the losses, steps its optimisers, and returns the
        losses.
    steps
        By default ``context.budget.steps``.
    name
        Name of the checkpoint. A plugin that trains in several phases gives each phase its own.
    checkpoint_seconds
        Shortest time between two checkpoints; it is longer where writing one takes long. Without ``context.folder``
        no checkpoints are written.
    preview, task
        Returns a few samples for the training log, and how their label maps are shown; see
        `synthbench.toolkit.training.training_log`.

    Raises
    ------
    Stopped
        If ``context.should_stop()`` is true; a checkpoint has been written.
    Diverged
        If a loss or a weight isn't finite; no checkpoint holds such a state.
    StoreError
        If a checkpoint or the log can't be written.
    """
    total = context.budget.steps if steps is None else steps
    path = context.folder / f"{name}.pt" if context.folder is not None else None
    identity = _identity(name, state, total, context)
    first = _resume(path, state, total, identity, context) if path is not None else 0
    log = TrainingLog(context, name, total, first, preview, task)
    meter = _LossMeter(context.budget.batch_size)

    def check(done: int) -> str:
        summary = meter.read(done)
        _check_weights(state, done)
        return summary

    context.progress(first, total, "")
    last_save, pause = time.monotonic(), checkpoint_seconds
    for number in range(first, total):
        if context.should_stop():
            check(number)
            if path is not None:
                _save(path, state, number, identity, context)
            raise Stopped(f"stopped at step {number} of {total}")
        losses = step(number)
        meter.add(losses)
        log.record(number, losses)
        if log.preview_due(number + 1):
            check(number + 1)
            log.save_preview(number + 1)
        now = time.monotonic()
        if now - meter.since >= _REPORT_SECONDS:
            context.progress(number + 1, total, meter.read(number + 1))
        if path is not None and now - last_save >= pause and number + 1 < total:
            check(number + 1)
            _save(path, state, number + 1, identity, context)
            last_save = time.monotonic()
            pause = max(checkpoint_seconds, 20 * (last_save - now))
    summary = check(total)
    if path is not None:
        digest = _save(path, state, total, identity, context) if first < total else checkpoints.stored_digest(path)
        finished_phases[path.parent][name] = digest
    context.progress(total, total, summary)


def _check_weights(state: Mapping[str, State], done: int) -> None:
    """Raise `Diverged` if the last step made a weight infinite or NaN, which its losses don't show yet."""
    for name, each in state.items():
        if isinstance(each, nn.Module) and not all(bool(p.isfinite().all()) for p in each.parameters()):
            raise Diverged(f"{name} has weights that aren't finite after step {done}; lower the learning rate")


class _LossMeter:
    """Sums losses on their device, so that a GPU doesn't wait at every step; a NaN stays in the sum."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.since = time.monotonic()
        self.count = 0
        self.sums: dict[str, tuple[float | torch.Tensor, int]] = {}

    def add(self, losses: Losses) -> None:
        self.count += 1
        for name, loss in losses.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + (loss.detach() if isinstance(loss, torch.Tensor) else loss), count + 1)

    def read(self, done: int) -> str:
        """Return the mean losses since the last reading, and the speed; raise `Diverged` if a loss isn't finite."""
        means = {name: float(total) / count for name, (total, count) in self.sums.items()}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise Diverged(f"{name} is {mean} by step {done}; lower the learning rate")
        now = time.monotonic()
        speed = self.count * self.batch_size / max(now - self.since, 1e-9)
        self.since, self.count, self.sums = now, 0, {}
        return ", ".join([*(f"{name} {mean:.3g}" for name, mean in means.items()), f"{speed:.0f} images/s"])


# -- checkpoints ------------------------------------------------------------------------------------------------------

finished_phases: dict[Path, dict[str, str]] = {}
"""Training phases that this process has finished, by folder: name → digest of the last checkpoint."""


def _save(path: Path, state: Mapping[str, State], done: int, identity: Mapping[str, Any], context: Context) -> str:
    """Write a checkpoint after `done` steps, and return its digest."""
    content = {
        "run": identity,
        "step": done,
        "state": checkpoints.state_dicts(state),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(context.device) if _on_cuda(context) else torch.empty(0, dtype=torch.uint8),
    }
    return checkpoints.write(path, content)


def _resume(path: Path, state: Mapping[str, State], total: int, identity: Mapping[str, Any], context: Context) -> int:
    """Restore `state` from a checkpoint, and return the next step; 0 if there is no usable checkpoint of this run."""
    try:
        content = checkpoints.read(path)
        _check_identity(content, state, total, identity)
        with checkpoints.all_or_nothing(state):
            checkpoints.load_state_dicts(state, content["state"])
            torch.set_rng_state(content["cpu"])
            if _on_cuda(context):
                torch.cuda.set_rng_state(content["cuda"], context.device)
    except FileNotFoundError:
        return 0
    except checkpoints.UnusableCheckpoint as reason:
        context.notify(f"the checkpoint {path.name} {reason}; {path.stem} begins again at step 0")
        return 0
    return int(content["step"])


def _check_identity(
    content: Mapping[str, Any], state: Mapping[str, State], total: int, identity: Mapping[str, Any]
) -> None:
    """Raise `UnusableCheckpoint` if an undamaged checkpoint belongs to another run."""
    stored = content.get("run")
    if not isinstance(stored, dict) or stored.keys() != identity.keys():
        raise checkpoints.UnusableCheckpoint("was written by another version")
    if stored["torch"] != identity["torch"]:
        raise checkpoints.UnusableCheckpoint(
            f"was written with torch {stored['torch']}, and this is {identity['torch']}"
        )
    step = content.get("step")
    same_run = stored == identity and isinstance(step, int) and 0 <= step <= total
    if not same_run or content["state"].keys() != state.keys():
        raise checkpoints.UnusableCheckpoint("belongs to another training")


def _identity(name: str, state: Mapping[str, State], total: int, context: Context) -> dict[str, Any]:
    """Return what a checkpoint must agree with: task, seed, budget, device, precision, networks, and earlier phases."""
    budget = context.budget
    shapes = {
        name: {key: list(value.shape) for key, value in each.state_dict().items() if isinstance(value, torch.Tensor)}
        for name, each in state.items()
        if isinstance(each, nn.Module)
    }
    return {
        "task": context.task,
        "phase": name,
        "after": _earlier_phases(name, context),
        "seed": context.seed,
        "budget": [total, budget.batch_size, budget.patch_size],
        "state": sorted(state),
        "shapes": shapes,
        "device": torch.device(context.device).type,
        "precision": resolved_precision(torch.device(context.device).type, current_precision()),
        "torch": str(torch.__version__),
    }


def _earlier_phases(name: str, context: Context) -> dict[str, str]:
    """Return the phases that were finished in the folder before this one, with the digests of their checkpoints.

    A phase learns from the results of earlier ones, so its checkpoint is valid only after the same ones.
    """
    if context.folder is None:
        return {}
    phases = finished_phases.setdefault(context.folder, {})
    for later in list(phases)[list(phases).index(name) :] if name in phases else ():
        del phases[later]
    return dict(phases)


def _on_cuda(context: Context) -> bool:
    return torch.device(context.device).type == "cuda"
