"""The training loop that every trained plugin shares: one function, `train`, that can be interrupted and resumed.

A plugin builds its networks after `prepare_torch` has seeded torch, names everything that changes during training, and
gives a function that takes one step::

    generator = prepare_torch(context)
    parts = {"network": network, "optimiser": optimiser, "noise": generator}

    def step(number: int) -> dict[str, torch.Tensor]:
        images, targets = batches[number]
        ...
        return {"loss": loss}

    train(context, parts=parts, step=step)
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

from synthbench.errors import StoreError, write_error_reason
from synthbench.plugin.api import Context, Stopped
from synthbench.plugin.precision import AUTOCAST, TF32
from synthbench.samples import Task
from synthbench.toolkit.training import checkpoints
from synthbench.toolkit.training.mode_collapse import Diverged
from synthbench.toolkit.training.training_log import Draw, TrainingLog

Losses = Mapping[str, float | torch.Tensor]
"""What a step gives back: named scalars. Tensors are better than floats on a GPU: they are read once a second."""

CHECKPOINT_SECONDS = 20.0
_REPORT_SECONDS = 1.0


def prepare_torch(context: Context) -> torch.Generator:
    """Prepare torch for one task: threads, determinism, seeds.

    Seeds torch's global generators too, because the initial weights of a network and its dropout draw from them;
    `train` keeps their state in its checkpoints.

    Returns
    -------
    torch.Generator
        On the task's device, seeded by ``context.seed``; put it among the parts of `train` if it is drawn from.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(max(1, context.threads))
    torch.manual_seed(context.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    if torch.device(context.device).type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = TF32
        torch.backends.cudnn.allow_tf32 = TF32
    generator = torch.Generator(device=context.device)
    generator.manual_seed(context.seed)
    return generator


def autocast(device: str | torch.device) -> AbstractContextManager[Any]:
    """Return a context in which a GPU computes in bfloat16; on a CPU it does nothing."""
    if torch.device(device).type == "cuda":
        return torch.autocast("cuda", dtype=getattr(torch, AUTOCAST))
    return contextlib.nullcontext()


def train(
    context: Context,
    *,
    parts: Mapping[str, Any],
    step: Callable[[int], Losses],
    steps: int | None = None,
    name: str = "training",
    every: float = CHECKPOINT_SECONDS,
    draw: Draw | None = None,
    task: Task = "instances",
) -> None:
    """Take the budget's steps, from the first or from where a checkpoint left off.

    Resumed training ends with the weights of uninterrupted training, bit for bit on a CPU, if `step` depends on its
    number and the parts alone. A checkpoint that was altered, or is another version's or another task's, isn't resumed:
    training begins again at step 0, and ``context.tell`` hears why.

    Parameters
    ----------
    context
    parts
        Everything that changes, by name: networks, optimisers, averages … with ``state_dict`` and
        ``load_state_dict``, or a `torch.Generator`. States hold tensors, numbers and strings.
    step
        Called with the number of the step, 0 … steps − 1; computes, steps its optimisers, and returns its losses.
    steps
        By default ``context.budget.steps``.
    name
        Names the checkpoint; a plugin that trains in several phases gives each its own.
    every
        Seconds between checkpoints, at least; more when writing one takes long. Without ``context.folder`` there
        are none.
    draw, task
        Draws samples for the log, and how their label maps are shown; see `synthbench.toolkit.training.training_log`.

    Raises
    ------
    Stopped
        When ``context.should_stop()`` says so; a checkpoint has been left.
    Diverged
        When a loss isn't finite; no checkpoint holds what came of it.
    StoreError
        When a checkpoint can't be written.
    """
    total = context.budget.steps if steps is None else steps
    path = context.folder / f"{name}.pt" if context.folder is not None else None
    run = _run(name, parts, total, context)
    first = _resume(path, parts, total, run, context) if path is not None else 0
    journal = TrainingLog(context, name, total, first, draw, task)
    meter = _Meter(context.budget.batch_size)

    def sound(done: int) -> str:
        note = meter.read(done)
        _refuse_broken(parts, done)
        return note

    context.progress(first, total, "")
    last_save, pause = time.monotonic(), every
    for number in range(first, total):
        if context.should_stop():
            sound(number)
            if path is not None:
                _checkpoint(path, parts, number, run, context)
            raise Stopped(f"left off at step {number} of {total}")
        losses = step(number)
        meter.add(losses)
        journal.note(number, losses)
        if journal.due(number + 1):
            sound(number + 1)
            journal.picture(number + 1)
        now = time.monotonic()
        if now - meter.since >= _REPORT_SECONDS:
            context.progress(number + 1, total, meter.read(number + 1))
        if path is not None and now - last_save >= pause and number + 1 < total:
            sound(number + 1)
            _checkpoint(path, parts, number + 1, run, context)
            last_save = time.monotonic()
            pause = max(every, 20 * (last_save - now))
    note = sound(total)
    if path is not None:
        last = _checkpoint(path, parts, total, run, context) if first < total else checkpoints.digest_of(path)
        _finished[path.parent][name] = last
    context.progress(total, total, note)


def _refuse_broken(parts: Mapping[str, Any], number: int) -> None:
    """Raise `Diverged` if the last step broke a network after its losses were computed."""
    for name, part in parts.items():
        if isinstance(part, nn.Module) and not all(bool(p.isfinite().all()) for p in part.parameters()):
            raise Diverged(f"{name} has weights that aren't finite after step {number}; lower the learning rate")


class _Meter:
    """Sums losses where they are, so that a GPU isn't waited for at every step; a NaN stays in the sum."""

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

    def read(self, number: int) -> str:
        """Return the means since the last reading, and the speed; raise `Diverged` if one isn't finite."""
        means = {name: float(total) / count for name, (total, count) in self.sums.items()}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise Diverged(f"{name} is {mean} by step {number}; lower the learning rate")
        now = time.monotonic()
        speed = self.count * self.batch_size / max(now - self.since, 1e-9)
        self.since, self.count, self.sums = now, 0, {}
        return ", ".join([*(f"{name} {mean:.3g}" for name, mean in means.items()), f"{speed:.0f} images/s"])


# -- checkpoints ------------------------------------------------------------------------------------------------------

_finished: dict[Path, dict[str, str]] = {}
"""The phases that this process has been through, by folder: name → digest of what each ended with."""


def _checkpoint(path: Path, parts: Mapping[str, Any], number: int, run: Mapping[str, Any], context: Context) -> str:
    """Write every part's state, and return the checksum of what was written."""
    content = {
        "run": run,
        "step": number,
        "parts": checkpoints.states(parts),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(context.device) if _on_cuda(context) else torch.empty(0, dtype=torch.uint8),
    }
    return checkpoints.write(path, content)


def _resume(path: Path, parts: Mapping[str, Any], total: int, run: Mapping[str, Any], context: Context) -> int:
    """Restore every part from `path`, and return the step to go on from: 0 if there is no checkpoint of this run.

    What is odd about one is told, and it isn't used.
    """
    try:
        content = checkpoints.read(path)
        _check(content, parts, total, run)
        with checkpoints.all_or_none(parts):
            checkpoints.restore(parts, content["parts"])
            torch.set_rng_state(content["cpu"])
            if _on_cuda(context):
                torch.cuda.set_rng_state(content["cuda"], context.device)
    except FileNotFoundError:
        return 0
    except checkpoints.Odd as odd:
        context.tell(f"the checkpoint {path.name} {odd}; {path.stem} begins again at step 0")
        return 0
    return int(content["step"])


def _check(content: Mapping[str, Any], parts: Mapping[str, Any], total: int, run: Mapping[str, Any]) -> None:
    """Raise `Odd` if a sound checkpoint isn't one of this run."""
    theirs = content.get("run")
    if not isinstance(theirs, dict) or theirs.keys() != run.keys():
        raise checkpoints.Odd("was written by another version")
    if theirs["torch"] != run["torch"]:
        raise checkpoints.Odd(f"was written with torch {theirs['torch']}, and this is {run['torch']}")
    if theirs != run:
        raise checkpoints.Odd("is of another training")
    step = content.get("step")
    if not isinstance(step, int) or not 0 <= step <= total or content["parts"].keys() != parts.keys():
        raise checkpoints.Odd("is of another training")


def _run(name: str, parts: Mapping[str, Any], total: int, context: Context) -> dict[str, Any]:
    """What a checkpoint must agree with to be this run's: task, seed, budget, device, networks, what went before."""
    budget = context.budget
    shapes = {
        name: {key: list(value.shape) for key, value in part.state_dict().items() if isinstance(value, torch.Tensor)}
        for name, part in parts.items()
        if isinstance(part, nn.Module)
    }
    return {
        "task": context.task,
        "phase": name,
        "after": _before(name, context),
        "seed": context.seed,
        "budget": [total, budget.batch_size, budget.patch_size],
        "parts": sorted(parts),
        "shapes": shapes,
        "device": torch.device(context.device).type,
        "torch": str(torch.__version__),
    }


def _before(name: str, context: Context) -> dict[str, str]:
    """Return the phases that came before this one in the folder: what it learns from, so theirs are its beginnings."""
    if context.folder is None:
        return {}
    phases = _finished.setdefault(context.folder, {})
    for later in list(phases)[list(phases).index(name) :] if name in phases else ():
        del phases[later]
    return dict(phases)


def _on_cuda(context: Context) -> bool:
    return torch.device(context.device).type == "cuda"


# -- weights ----------------------------------------------------------------------------------------------------------


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's parameters and buffers as safetensors, beside and renamed.

    Raises
    ------
    StoreError
        When the file can't be written.
    """
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict().items()
    }
    beside = path.with_suffix(".tmp")
    try:
        save_file(tensors, beside)
        os.replace(beside, path)
    except Exception as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StoreError(f"{path}: the weights can't be written: {write_error_reason(error)}") from None


def load_weights(module: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote into a module of the same shape, on whatever device that is.

    Raises
    ------
    StoreError
        When the file is missing, damaged, or holds another network's weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise StoreError(f"{path}: the weights are missing; fit again") from None
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StoreError(f"{path}: the weights can't be read: {reason}") from None
