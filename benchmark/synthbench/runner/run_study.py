"""A study from end to end: resolve, plan, run what the store lacks, collect, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from synthbench import leaderboard
from synthbench.engine.progress import Display
from synthbench.engine.schedule import Message, run_tasks
from synthbench.errors import ConfigError
from synthbench.loggers.base import Logger
from synthbench.loggers.feeding import LoggerFeed
from synthbench.monitor import RunMonitor
from synthbench.results import FAILURES, PLAN, Results, collect, save_results
from synthbench.runner.decide_study import decide_study
from synthbench.runner.machine import Machine
from synthbench.runner.plan_study import resolve_and_plan
from synthbench.runner.previews import previews
from synthbench.runner.run_folder import OTHER_FOLDER, check_folder, record_failures, record_plan, record_study
from synthbench.runner.step_choice import choose_steps
from synthbench.store import Store, disk_errors, key_of
from synthbench.study.model import Study
from synthbench.study.notes import scale_lines, study_notes
from synthbench.study.plan import Plan
from synthbench.study.runtime_estimates import RuntimeEstimates, format_duration

__all__ = ["StudyRun", "run_study"]


@dataclass(frozen=True)
class StudyRun:
    """A study that was run.

    Attributes
    ----------
    plan : Plan
    results : Results
        Its tables in pandas, as `synthbench.load_results` reads them from `folder`.
    folder : Path
        The run folder.
    failed : int
        Tasks that failed in this run; ``failures.txt`` in the folder says why.
    store : Store
    console : Console
        Where messages go.
    """

    plan: Plan
    results: Results
    folder: Path
    failed: int
    store: Store
    console: Console

    def table(self, columns: Sequence[str] = ()) -> pd.DataFrame:
        """Return the leaderboard, a row per dataset, amount of real data, segmenter and arm.

        Parameters
        ----------
        columns
            Further columns; see `synthbench.leaderboard.table`.
        """
        return leaderboard.table(self.results, columns=columns)

    def write_report(self, columns: Sequence[str] = ()) -> Path:
        """Write ``report.html`` into the run folder, and return its path.

        Parameters
        ----------
        columns
            Further columns; see `synthbench.leaderboard.table`.

        Raises
        ------
        SynthbenchError
            If it can't be written.
        """
        samples = previews(self.plan, self.store, lambda line: self.console.print(line, style="yellow", soft_wrap=True))
        with disk_errors(self.folder, OTHER_FOLDER):
            return leaderboard.report(self.folder, self.results, samples, columns)


def run_study(
    study: Study,
    store: Store,
    folder: Path,
    machine: Machine,
    console: Console,
    within: float | None = None,
    loggers: Sequence[tuple[str, Logger[Any]]] = (),
    known: Collection[str] = (),
) -> StudyRun:
    """Run a study; what the store has isn't computed again.

    A study that decides (`Study.decide`) is run in rounds, until all arms are decided or the time is up.

    Parameters
    ----------
    study, store
    folder
        The run folder; it is created, or holds an earlier run.
    machine
    console
        For progress and messages.
    within
        Seconds that a study that decides may take; None: as long as it needs. Results are then those of the last round
        that was finished.
    loggers
        What is fed with losses, pictures and scores, by name; see `synthbench.loggers.choosing.make_loggers`.
    known
        Keys of evaluations that others have done: trainings on real images alone with one of them are left out, and
        so is the label consistency of these segmenters.

    Raises
    ------
    SynthbenchError
        If the study can't be run at all. A task that fails doesn't raise: see `StudyRun.failed`.
    KeyboardInterrupt
        On Ctrl-C or another signal to stop, when running tasks have stopped; what is finished is stored.
    """
    until = None if within is None else time.monotonic() + within
    if within is not None and study.decide is None:
        raise ConfigError(f"within {within:g} s: only a study that decides has rounds to stop after; add decide: 0.02")
    if known and study.decide is not None:
        raise ConfigError(
            "trainings on real images alone that others have can't be left out: this study decides by its own (decide)"
        )
    machine.check()
    check_folder(folder)
    say = partial(_say, console)
    with (
        RunMonitor(folder, study.name, store, study.iou) as monitor,
        LoggerFeed(loggers, study.name, folder, store, study.iou, say) as feed,
    ):
        return _run_study(study, until, known, say, _Tasks(store, folder, machine, console, monitor, feed))


def _run_study(
    study: Study, until: float | None, known: Collection[str], say: Callable[[str], None], tasks: _Tasks
) -> StudyRun:
    store, folder, machine, console = tasks.store, tasks.folder, tasks.machine, tasks.console

    def planned(part: Study) -> Plan:
        return resolve_and_plan(part, store, console, machine.kind(), machine.precision)

    train = partial(tasks.train, until)
    study = choose_steps(study, planned, store, train, say)
    plan = planned(study)
    if known:
        plan = _without_known(plan, known, say)
    record_plan(plan, folder)
    missing = plan.lacking(store)
    at_most = " at most" if study.decide is not None else ""
    console.print(
        f"{study.name}: {len(plan.tasks)} tasks, {len(plan.tasks) - len(missing)} stored, {len(missing)} to run"
        f"{at_most} · store {store.root} · run folder {folder}",
        highlight=False,
        soft_wrap=True,
    )
    for line in scale_lines(plan.resolved):
        console.print(line, highlight=False, soft_wrap=True)
    for note in study_notes(plan.resolved):
        console.print(f"! {note}", style="yellow", highlight=False, soft_wrap=True)
    outcomes: dict[str, dict[str, Any]] = {}
    if study.decide is not None:
        decided = decide_study(plan, store, train, say)
        plan, results, outcomes = decided.plan, decided.results, decided.ended
    else:
        if missing:
            outcomes, _ = tasks.run_missing(plan)
        results = collect(plan, store, outcomes)
    # others may run the same study, and write what they have gathered into the same folder
    with store.locked("run-folder", key_of(str(folder.resolve()))), disk_errors(folder, OTHER_FOLDER):
        record_study(plan, folder)
        save_results(results, folder)
        record_failures(folder, plan, outcomes)
    tasks.monitor.begin(plan, ())
    failed = sum(row.get("status") in FAILURES for row in outcomes.values())
    return StudyRun(plan, results, folder, failed, store, console)


def _without_known(plan: Plan, known: Collection[str], say: Callable[[str], None]) -> Plan:
    runs = [run for run in plan.training_runs if run.generator or run.evaluate not in known]
    left_out = len(plan.training_runs) - len(runs)
    if not left_out:
        say("no training on real images alone has the keys of the board's, so all of them are run here")
        return plan
    if not runs:
        raise ConfigError("all trainings are the board's; name a generator, or leave --reuse-baseline out")
    say(f"{left_out} trainings on real images alone are the board's, and aren't run again")
    return plan.restricted(runs)


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class _Tasks:
    """Runs what plans lack."""

    store: Store
    folder: Path
    machine: Machine
    console: Console
    monitor: RunMonitor
    feed: LoggerFeed

    def train(self, until: float | None, plan: Plan) -> tuple[dict[str, dict[str, Any]], bool]:
        """Run what a part of a plan lacks while there is time; what was stopped when it was up hasn't failed."""
        if until is not None and time.monotonic() >= until:
            return {}, False
        ended, finished = self.run_missing(plan, until)
        if not finished:
            _say(self.console, "the time is up; the same command continues")
            ended = {key: row for key, row in ended.items() if row.get("status") != "stopped"}
        return ended, finished

    def run_missing(self, plan: Plan, until: float | None = None) -> tuple[dict[str, dict[str, Any]], bool]:
        """Run what a plan lacks; return how each task ended, and whether there was time for all."""
        missing = plan.lacking(self.store)
        engine = self.machine.build(self.store)
        estimates = engine.estimates = RuntimeEstimates(self.store, (task.kind for task in missing))
        seconds, unknown = estimates.total(missing)
        if seconds:
            more = f", and {unknown} tasks not yet timed" if unknown else ""
            self.console.print(f"expected: {format_duration(seconds / engine.slots)}{more}", highlight=False)
        if not (self.folder / PLAN).exists():  # what is noted of a run's progress lies in a folder that is a run's
            record_plan(plan, self.folder)
        self.monitor.begin(plan, missing, estimates, engine.slots)
        self.feed.begin(plan)
        with Display(missing, len(plan.tasks) - len(missing), estimates, engine.slots, self.console) as display:

            def listen(message: Message) -> None:
                display(message)
                self.monitor(message)
                self.feed(message)

            finished = run_tasks(missing, engine, self.store, listen, until)
        return display.ended, finished
