"""One task, carried out in this process: claim, look again, compute, seal."""

from __future__ import annotations

import importlib
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

from synthbench.engine import resource_monitor
from synthbench.engine.base import Event, Options, Outcome
from synthbench.engine.tasks.context import TaskContext
from synthbench.errors import SynthbenchError
from synthbench.plugin.api import Context, Stopped
from synthbench.plugin.precision import computing_in
from synthbench.store import Claim, Store
from synthbench.study.plan import Task

__all__ = ["LONG", "PROGRESS_EVERY", "run_task"]

PROGRESS_EVERY = 0.2
LONG = ("fit-generator", "fit-segmenter")
"""Kinds of task that leave checkpoints."""


def run_task(
    task: Task, options: Options, report: Callable[[Event], None], should_stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Run a task unless the store has it, or another process is running it, and put its artifact into the store.

    Whatever a plugin raises becomes an `Outcome`; only `KeyboardInterrupt` and the like get through.
    """
    stage = "start"
    last = 0.0

    def enter(name: str) -> None:
        nonlocal stage
        stage = name
        report(Event(task.key, stage))

    def progress(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY or done >= total:
            last = now
            report(Event(task.key, stage, int(done), int(total), str(note)))

    def notify(line: str) -> None:
        report(Event(task.key, stage, message=str(line)))

    began = time.perf_counter()
    memory = resource_monitor.Memory()
    claim: Claim | None = None
    try:
        store = Store(options.store)
        claim = store.claim(task.kind, task.key)
        if claim is None:
            return Outcome(task.key, "busy")
        with claim:
            if (found := store.find(task.kind, task.key, thorough=True)) is not None:
                return Outcome(task.key, "stored", seconds=found.seconds)
            context = Context(
                device=_device(options.device),
                folder=store.work_folder(task.kind, task.key) if task.kind in LONG else None,
                progress=progress,
                should_stop=lambda: claim.lost or should_stop(),
                threads=options.threads,
                notify=notify,
                task=task.key,
            )
            folder = store.begin(task.kind, task.key)
            began, worked = time.perf_counter(), time.process_time()
            memory.start()
            runner = importlib.import_module(f"synthbench.engine.tasks.{task.kind.replace('-', '_')}")
            ctx = TaskContext(task, store, folder, context, enter)
            with computing_in(ctx.verify()):
                extra = runner.run(ctx)
            enter("store")
            extra["cpu_seconds"] = round(time.process_time() - worked, 4)
            facts = _facts(task, options, extra, time.perf_counter() - began, memory)
            if claim.lost:
                raise Stopped
            store.commit(task.kind, task.key, task.content, facts)
    except Stopped:
        if claim is not None and claim.lost:
            return Outcome(task.key, "busy")
        return Outcome(task.key, "stopped", stage, "stopped by the user", seconds=time.perf_counter() - began)
    except Exception as error:
        return _failure(task, stage, error, time.perf_counter() - began, memory.peak_mb())
    return Outcome(task.key, "done", seconds=facts["seconds"], peak_memory_mb=facts["peak_memory_mb"])


def _failure(task: Task, stage: str, error: Exception, seconds: float, peak: float) -> Outcome:
    text = " ".join(str(error).split()) or "no message"
    line = text if isinstance(error, SynthbenchError) else f"{type(error).__name__}: {text}"
    return Outcome(task.key, "failed", stage, line[:500], traceback.format_exc(), seconds, peak)


def _facts(
    task: Task, options: Options, extra: dict[str, Any], seconds: float, memory: resource_monitor.Memory
) -> dict[str, Any]:
    return {
        **options.facts,
        **extra,
        "status": "ok",
        "label": task.label,
        "plugin": task.plugin,
        **({"environment": task.environment} if task.environment else {}),
        **resource_monitor.plugin_facts(task),
        "needs": list(task.needs),
        "seconds": round(seconds, 4),
        "peak_memory_mb": memory.peak_mb(),
        "gpu_memory_mb": resource_monitor.gpu_peak_mb(),
        **resource_monitor.gpu_facts(),
        "device": _device(options.device),
        "threads": options.threads,
        "versions": resource_monitor.versions(),
    }


def _device(device: str) -> str:
    """Return the device this process works on: a leased GPU is the only one it sees."""
    if device == "auto":
        return "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"
    return "cuda" if device.startswith("cuda") else "cpu"
