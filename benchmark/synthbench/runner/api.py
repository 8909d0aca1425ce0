"""Studies from Python: `run` and `plan`, which ``synthbench run`` and ``synthbench plan`` are made of."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from synthbench.loggers.choosing import make_loggers
from synthbench.plugin.precision import Precision
from synthbench.results import Results, load_results
from synthbench.runner.machine import Machine
from synthbench.runner.plan_study import StudyPlan, plan_study
from synthbench.runner.run_study import StudyRun, run_study
from synthbench.store import Store, default_store_folder
from synthbench.study.model import Study, load_study

__all__ = ["plan", "run"]


def run(
    study: Study | Mapping[str, Any] | str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    engine: str = "local",
    engine_config: Mapping[str, Any] | None = None,
    workers: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    time_limit: float | None = None,
    within: float | None = None,
    loggers: Sequence[str] = (),
    logger_config: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> StudyRun:
    """Run a study, and return its results; what the store has isn't computed again.

    Parameters
    ----------
    study
        A study file, or what stands in one as a mapping: ``{"datasets": ["phantom-nuclei"], "segmenters": ["unet"]}``.
    folder
        The run folder; by default ``runs/NAME``.
    store
        Where artifacts are kept; by default ``$SYNTHBENCH_HOME/store``.
    engine
        ``"local"``: tasks in processes of their own. ``"serial"``: one task after another, in this process. Or the name
        of an engine that a plugin offers.
    engine_config
        The engine's own options.
    workers
        Tasks at a time; by default as many as the machine has processors or GPUs for.
    threads
        CPU threads for each task. Another number can change the last digits of results.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
    precision
        ``"fp32"``; ``"bf16"``: bfloat16 in part, for which a CPU must have instructions; or ``"auto"``: bf16 on a GPU,
        fp32 on a CPU.
    time_limit
        Seconds that a task may take; by default no limit.
    within
        Seconds that a study that decides (key ``decide``) may take; by default as long as it needs.
    loggers
        Names of loggers that are given losses, pictures and scores, such as ``"tensorboard"``; by default none.
    logger_config
        The loggers' own options.
    progress
        Whether to show progress and messages on standard error. Otherwise nothing is printed.

    Returns
    -------
    StudyRun
        ``run.results`` has the tables in pandas, ``run.table()`` the leaderboard; ``run.write_report()`` writes the
        report, and ``run.failed`` is the number of tasks that failed.

    Raises
    ------
    SynthbenchError
        If the study can't be run at all: one line that says what is wrong. A task that fails doesn't raise.
    KeyboardInterrupt
        On Ctrl-C, when running tasks have stopped; what is finished is stored.
    """
    loaded = load_study(study)
    machine = Machine(engine, workers, threads, device, time_limit, engine_config or {}, precision)
    run_folder = Path(folder) if folder is not None else Path("runs") / loaded.name
    chosen = make_loggers(loggers, logger_config or {})
    return run_study(loaded, _open(store), run_folder, machine, _console(progress), within, chosen)


def plan(
    study: Study | Mapping[str, Any] | str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    pilot: Results | str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> StudyPlan:
    """Plan a study without running it: its tasks, how long they take, and what it can detect.

    Datasets that the study names are generated or downloaded if they aren't there.

    Parameters
    ----------
    study, store, device, precision
        As for `run`.
    pilot
        An earlier run, or its folder: the noise of scores is estimated from it.
    progress
        As for `run`.

    Returns
    -------
    StudyPlan
        Tasks, missing artifacts, expected runtimes and detectable effects.

    Raises
    ------
    SynthbenchError
        If the study can't be run: one line that says what is wrong.
    """
    machine = Machine(device=device, precision=precision)
    machine.check()
    earlier = pilot if pilot is None or isinstance(pilot, Results) else load_results(Path(pilot))
    return plan_study(load_study(study), _open(store), _console(progress), machine.kind(), earlier, precision)


def _open(store: str | os.PathLike[str] | None) -> Store:
    return Store(Path(store) if store is not None else default_store_folder())


def _console(progress: bool) -> Console:
    return Console(stderr=True, markup=False, quiet=not progress)
