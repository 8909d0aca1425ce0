"""A study from end to end: resolve, plan, run what the store lacks, collect, report."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from synthbench.datasets import splits
from synthbench.engine import resource_monitor
from synthbench.engine.base import Engine, Options
from synthbench.engine.devices import choose, share_cores
from synthbench.engine.local import LocalEngine
from synthbench.engine.progress import Display
from synthbench.engine.schedule import run_tasks
from synthbench.engine.serial import SerialEngine
from synthbench.errors import ConfigError, SynthbenchError
from synthbench.processes.count import usable_processors
from synthbench.results import FAILURES, Results, collect, save_results
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store, disk_errors
from synthbench.study.inputs import open_set
from synthbench.study.model import Study
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve
from synthbench.study.runtime_estimates import RuntimeEstimates, format_duration

ENGINES = ("local", "serial")
PICTURES = 6
WAY_OUT = "give another folder with --out"
PLAN = "plan.json"
"""What a run writes first into its folder, and what tells that it is one."""


@dataclass(frozen=True)
class Machine:
    """How a study is run: what ``--engine``, ``--workers``, ``--threads``, ``--device`` and ``--time-limit`` say."""

    engine: str = "local"
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    time_limit: float | None = None

    def check(self) -> None:
        """Raise `ConfigError` if it can't be had, before anything is opened or written."""
        choose(self.device)
        if self.engine not in ENGINES:
            raise ConfigError(f"--engine {self.engine}: there are {', '.join(ENGINES)}")
        for option in ("workers", "threads", "time_limit"):
            value = getattr(self, option)
            if value is not None and value <= 0:
                raise ConfigError(f"--{option.replace('_', '-')} {value}: give a number above 0")
        if self.engine == "serial" and self.time_limit is not None:
            raise ConfigError("--time-limit: the serial engine can't stop a task; use --engine local")
        if self.engine == "serial" and (self.workers or 1) > 1:
            raise ConfigError(
                f"--workers {self.workers}: the serial engine runs one task at a time; use --engine local"
            )

    def kind(self) -> str:
        """Return the kind of device that tasks will compute on: ``"cpu"``, or ``"cuda"`` where a GPU is used."""
        return "cuda" if choose(self.device) else "cpu"

    def build(self, store: Store) -> tuple[Engine, int]:
        """Return the engine, and how many tasks it runs at a time."""
        gpus = choose(self.device)
        workers, threads = share_cores(usable_processors(), len(gpus))
        options = Options(
            store=str(store.root),
            device=self.device if gpus else "cpu",
            threads=self.threads or threads,
            time_limit=self.time_limit,
            facts=resource_monitor.facts(),
        )
        if self.engine == "serial":
            return SerialEngine(options, gpus), 1
        count = self.workers or workers
        return LocalEngine(options, count, gpus), min(count, len(gpus)) if gpus else count


@dataclass(frozen=True)
class Ran:
    """What `run_study` leaves.

    Attributes
    ----------
    plan : Plan
    results : Results
    failed : int
        Tasks that failed in this run.
    """

    plan: Plan
    results: Results
    failed: int


def prepare(study: Study, store: Store, console: Console, device: str = "cpu") -> Plan:
    """Resolve and plan a study for a kind of device; datasets are drawn or downloaded on the way."""
    with console.status("reading the study's datasets and plugins") as status:

        def progress(done: int, total: int, note: str = "") -> None:
            status.update(f"dataset: {note or 'preparing'} {done}/{total}")

        def tell(words: str) -> None:
            if words:
                console.print(words, highlight=False, soft_wrap=True)

        return make_plan(resolve(study, store, progress, tell), device)


def run_study(study: Study, store: Store, folder: Path, machine: Machine, console: Console) -> Ran:
    """Run a study; what the store has isn't computed again.

    Raises
    ------
    SynthbenchError
        If the study can't be run at all. A task that fails doesn't raise: see `Ran.failed`.
    KeyboardInterrupt
        On Ctrl-C or another signal to stop, when running tasks have stopped; what is finished is stored.
    """
    machine.check()
    check_folder(folder)
    plan = prepare(study, store, console, machine.kind())
    record_plan(plan, folder)
    lacking = plan.lacking(store)
    stored = len(plan.tasks) - len(lacking)
    console.print(
        f"{study.name}: {len(plan.tasks)} tasks, {stored} stored, {len(lacking)} to run"
        f" · store {store.root} · run folder {folder}",
        highlight=False,
        soft_wrap=True,
    )
    ended: dict[str, dict[str, Any]] = {}
    if lacking:
        ended = _run(plan, store, machine, console)
    results = collect(plan, store, ended)
    record_study(plan, folder)
    with disk_errors(folder, WAY_OUT):
        save_results(results, folder)
        _write_failures(folder, plan, ended)
    failed = sum(row.get("status") in FAILURES for row in ended.values())
    return Ran(plan, results, failed)


def check_folder(folder: Path) -> None:
    """Raise `ConfigError` if a folder holds something else than a run: a run would write over it.

    Hidden files don't count.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, not a run folder; {WAY_OUT}")
    if not folder.is_dir() or all(path.name.startswith(".") for path in folder.iterdir()):
        return
    try:
        tasks = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        if all({"kind", "label", "content"} <= set(task) for task in tasks.values()):
            return
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        pass
    raise ConfigError(f"{folder}: holds files that no run wrote; {WAY_OUT}")


def _run(plan: Plan, store: Store, machine: Machine, console: Console) -> dict[str, dict[str, Any]]:
    lacking = plan.lacking(store)
    engine, workers = machine.build(store)
    estimates = RuntimeEstimates(store, (task.kind for task in lacking))
    seconds, unknown = estimates.total(lacking)
    if seconds:
        more = f", and {unknown} tasks of unknown cost" if unknown else ""
        console.print(f"expected: {format_duration(seconds / workers)}{more}", highlight=False)
    with Display(lacking, len(plan.tasks) - len(lacking), estimates, workers, console) as display:
        run_tasks(lacking, engine, display)
    return display.ended


def record_plan(plan: Plan, folder: Path) -> None:
    """Write what each key is made of, and the machine and versions, into the run folder."""
    with disk_errors(folder, WAY_OUT):
        folder.mkdir(parents=True, exist_ok=True)
        tasks = {key: {"kind": t.kind, "label": t.label, "content": t.content} for key, t in plan.tasks.items()}
        _write(folder / PLAN, json.dumps(tasks, indent=1))
        _write(
            folder / "environment.json",
            json.dumps({**resource_monitor.facts(), "versions": resource_monitor.versions()}, indent=1),
        )


def record_study(plan: Plan, folder: Path) -> None:
    """Write the study with its defaults, and its splits: at the end, so that they fit the results beside them."""
    with disk_errors(folder, WAY_OUT):
        (folder / "splits").mkdir(parents=True, exist_ok=True)
        _write(folder / "study.yaml", plan.resolved.study.to_yaml())
    found: dict[str, dict[int, splits.Split]] = {}
    for condition in plan.resolved.conditions:
        found.setdefault(condition.dataset, {})[condition.fold] = condition.split
    for name, folds in found.items():
        splits.write_splits(folder / "splits" / f"{name}.json", [folds[i] for i in sorted(folds)])


def _write_failures(folder: Path, plan: Plan, ended: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the tracebacks of this run, or remove those of the last."""
    parts = [
        f"{plan.tasks[key].kind}: {plan.tasks[key].label}\n"
        f"{row['status']} in {row['stage']}\n{row['traceback'] or row['error']}\n"
        for key, row in ended.items()
        if row["status"] in FAILURES
    ]
    path = folder / "failures.txt"
    if parts:
        _write(path, "\n".join(parts))
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def pictures(plan: Plan, store: Store, tell: Callable[[str], None]) -> dict[str, list[Sample]]:
    """Return a few real training samples, and the first of each synthetic set of seed 0, for a page.

    What can't be read is left out, and `tell` hears of it; a synthetic set is then drawn again by the next run.
    """
    condition = plan.resolved.conditions[0]
    sets: dict[str, Callable[[], SampleSet]] = {
        "real": lambda: open_set(store, condition.folder).subset(condition.train.ids)
    }
    for cell in plan.training_runs:
        if cell.condition == 0 and cell.draw and cell.generator_seed == 0 and cell.generator not in sets:
            drawn = store.find("draw", cell.draw)
            if drawn:
                sets[cell.generator] = partial(open_set, store, drawn.folder / "samples")
    return {title: shown for title, get in sets.items() if (shown := _first(title, get, tell))}


def _first(title: str, get: Callable[[], SampleSet], tell: Callable[[str], None]) -> list[Sample]:
    try:
        samples = get()
        return [samples[i] for i in range(min(PICTURES, len(samples)))]
    except (SynthbenchError, OSError) as error:
        tell(f"no pictures of {title} in the report: {error}")
        return []
