"""A study from end to end: resolve, plan, run what the store lacks, collect, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from synthbench import leaderboard
from synthbench.engine.progress import Display
from synthbench.engine.schedule import run_tasks
from synthbench.results import FAILURES, Results, collect, save_results
from synthbench.runner.machine import Machine
from synthbench.runner.plan_study import resolve_and_plan
from synthbench.runner.previews import previews
from synthbench.runner.run_folder import OTHER_FOLDER, check_folder, record_failures, record_plan, record_study
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


def run_study(study: Study, store: Store, folder: Path, machine: Machine, console: Console) -> StudyRun:
    """Run a study; what the store has isn't computed again.

    Parameters
    ----------
    study, store
    folder
        The run folder; it is created, or holds an earlier run.
    machine
    console
        For progress and messages.

    Raises
    ------
    SynthbenchError
        If the study can't be run at all. A task that fails doesn't raise: see `StudyRun.failed`.
    KeyboardInterrupt
        On Ctrl-C or another signal to stop, when running tasks have stopped; what is finished is stored.
    """
    machine.check()
    check_folder(folder)
    plan = resolve_and_plan(study, store, console, machine.kind(), machine.precision)
    record_plan(plan, folder)
    missing = plan.lacking(store)
    console.print(
        f"{study.name}: {len(plan.tasks)} tasks, {len(plan.tasks) - len(missing)} stored, {len(missing)} to run"
        f" · store {store.root} · run folder {folder}",
        highlight=False,
        soft_wrap=True,
    )
    for line in scale_lines(plan.resolved):
        console.print(line, highlight=False, soft_wrap=True)
    for note in study_notes(plan.resolved):
        console.print(f"! {note}", style="yellow", highlight=False, soft_wrap=True)
    outcomes: dict[str, dict[str, Any]] = {}
    if missing:
        outcomes = _run_missing(plan, store, machine, console)
    results = collect(plan, store, outcomes)
    # others may run the same study, and write what they have gathered into the same folder
    with store.locked("run-folder", key_of(str(folder.resolve()))), disk_errors(folder, OTHER_FOLDER):
        record_study(plan, folder)
        save_results(results, folder)
        record_failures(folder, plan, outcomes)
    failed = sum(row.get("status") in FAILURES for row in outcomes.values())
    return StudyRun(plan, results, folder, failed, store, console)


def _run_missing(plan: Plan, store: Store, machine: Machine, console: Console) -> dict[str, dict[str, Any]]:
    missing = plan.lacking(store)
    engine = machine.build(store)
    estimates = engine.estimates = RuntimeEstimates(store, (task.kind for task in missing))
    seconds, unknown = estimates.total(missing)
    if seconds:
        more = f", and {unknown} tasks not yet timed" if unknown else ""
        console.print(f"expected: {format_duration(seconds / engine.slots)}{more}", highlight=False)
    with Display(missing, len(plan.tasks) - len(missing), estimates, engine.slots, console) as display:
        run_tasks(missing, engine, store, display)
    return display.ended
