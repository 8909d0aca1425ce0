"""How far a run is, from its folder and its store alone. Nothing is changed, and no process is asked."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synthbench.errors import DataError
from synthbench.monitor._files import CLAIM_KIND, NOW, TASKS, read_file
from synthbench.monitor.first_scores import FirstScore, first_scores
from synthbench.plugin.api import LOG
from synthbench.results import PLAN
from synthbench.store import RECORD, Sighting, Store, default_store_folder
from synthbench.study.runtime_estimates import seconds_left

__all__ = ["LONG", "Failure", "KindCount", "RunStatus", "RunningTask", "read_status"]

LONG = ("fit", "draw", "predict", "encode")
"""Stages whose progress tells how far a task is."""

_FAILURE = ("kind", "label", "status", "stage", "error")
_LAST_BYTES = 2**16
_CURVE_POINTS = 100


@dataclass
class KindCount:
    """How many tasks of a kind are done, running, failed, or left; these are all of them."""

    kind: str
    done: int = 0
    running: int = 0
    failed: int = 0
    left: int = 0


@dataclass(frozen=True)
class RunningTask:
    """A task that somebody is computing.

    Attributes
    ----------
    kind, label, key : str
    host : str
    pid : int
        Who computes it.
    seconds : float
        Since it began.
    stage : str
        What it is doing, where the run has noted it.
    done, total : int
        Steps, samples or images; both 0 where they aren't known.
    note : str
        What the task itself says of that.
    losses : dict
        The last ones in its training log.
    curve : list of tuple
        Steps and the first of the losses, from the training log.
    """

    kind: str
    label: str
    key: str
    host: str
    pid: int
    seconds: float
    stage: str = ""
    done: int = 0
    total: int = 0
    note: str = ""
    losses: dict[str, float] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """A task that failed in this run."""

    kind: str
    label: str
    status: str
    stage: str
    error: str


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes
    ----------
    name : str
    folder, store : str
    state : str
        ``running``; ``finished``; ``stopped`` by a signal; ``ended`` by an error; ``died`` without a word; or
        ``not running``, where an earlier version left no note of its end and tasks are missing.
    error : str
        What ended it, in one line.
    host : str
    pid : int
        Who runs it, or an empty string and 0.
    began, updated : float or None
        Seconds since the epoch.
    kinds : list of KindCount
    running : list of RunningTask
    failures : list of Failure
    seconds_left : float or None
        For what is left with the run's own number of workers; None where nothing is known.
    not_timed : int
        Tasks for which there is no estimate.
    scores : list of FirstScore
    read_at : float
    """

    name: str
    folder: str
    store: str
    state: str
    error: str
    host: str
    pid: int
    began: float | None
    updated: float | None
    kinds: list[KindCount]
    running: list[RunningTask]
    failures: list[Failure]
    seconds_left: float | None
    not_timed: int
    scores: list[FirstScore]
    read_at: float

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state != "running"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON knows it; without the curves of losses."""
        content = asdict(self)
        for task in content["running"]:
            del task["curve"]
        return content


def read_status(folder: Path, store: Path | None = None) -> RunStatus:
    """Read how far a run is.

    Parameters
    ----------
    folder
        The run folder.
    store
        Where its artifacts are; None: where the run says, or the default.

    Raises
    ------
    DataError
        If the folder isn't that of a run, or its files can't be read.
    StoreError
        If there is no store.
    """
    head, now = read_file(folder, TASKS), read_file(folder, NOW) or {}
    tasks = head["tasks"] if head else _planned(folder)
    found = Store(store or (head["store"] if head else default_store_folder()), create=False)
    try:
        return _status(folder, head or {}, now, tasks, found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{folder / TASKS}: damaged ({error!r}); the same 'synthbench run' command writes it again"
        ) from None


def _planned(folder: Path) -> list[dict[str, Any]]:
    """Return the tasks of a run that has written its plan and nothing about its progress."""
    path = folder / PLAN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            {"key": str(key), "kind": task["kind"], "label": task["label"], "runs": True, "seconds": None}
            for key, task in content.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(f"{folder}: isn't the folder of a run; give one that 'synthbench run' writes") from None


def _status(
    folder: Path, head: Mapping[str, Any], now: Mapping[str, Any], tasks: list[dict[str, Any]], store: Store
) -> RunStatus:
    at = time.time()
    own = store.look(CLAIM_KIND, head["claim"]) if head else None
    own = own if own is not None and own.alive else None
    if own is not None and own.holder.since > now.get("updated", 0.0):
        now = {}  # a run that begins has found what an earlier one noted
    noted = now.get("running", {}) if own else {}
    kinds: dict[str, KindCount] = {}
    running: list[RunningTask] = []
    open_tasks: list[tuple[float | None, float, float]] = []
    for task in tasks:
        count = kinds.setdefault(str(task["kind"]), KindCount(str(task["kind"])))
        if not task["runs"] or (store.folder(task["kind"], task["key"]) / RECORD).is_file():
            count.done += 1
            continue
        sighting = store.look(task["kind"], task["key"])
        if sighting is not None and sighting.alive:
            count.running += 1
            each = _running(task, sighting, noted.get(task["key"], {}), store, at)
            running.append(each)
            done = each.done / each.total if each.total and each.stage in ("", *LONG) else 0.0
            open_tasks.append((task["seconds"], each.seconds, done))
        elif task["key"] in now.get("failed", {}) or task["key"] in now.get("left_out", []):
            count.failed += 1
        else:
            count.left += 1
            open_tasks.append((task["seconds"], 0.0, 0.0))
    seconds, unknown = seconds_left(open_tasks, int(head.get("workers", 1)))
    return RunStatus(
        str(head.get("name", folder.resolve().name)),
        str(folder),
        str(store.root),
        _state(now.get("state", ""), own, running, len(open_tasks)),
        str(now.get("error", "")),
        own.holder.host if own else "",
        own.holder.pid if own else 0,
        head.get("began"),
        now.get("updated"),
        list(kinds.values()),
        running,
        [
            Failure(**{name: str(row[name]) for name in Failure.__annotations__})
            for row in now.get("failed", {}).values()
        ],
        seconds if unknown < len(open_tasks) or not open_tasks else None,
        unknown,
        first_scores(head.get("trainings", []), store, head.get("iou", 0.5)),
        at,
    )


def _state(noted: str, own: Sighting | None, running: list[RunningTask], left: int) -> str:
    if own is not None or (running and not noted):
        return "running" if noted in ("", "running") else noted
    if noted == "running":
        return "died"
    return noted or ("not running" if left else "finished")


def _running(
    task: Mapping[str, Any], sighting: Sighting, noted: Mapping[str, Any], store: Store, at: float
) -> RunningTask:
    losses = list(_losses(store.root / ".work" / f"{task['kind']}-{task['key']}" / LOG))
    last = losses[-1] if losses else {}
    done, total = int(noted.get("done", 0)), int(noted.get("total", 0))
    if not noted and last:
        done = int(last["step"]) + 1
    names = [name for name in last if name != "step"]
    curve = [(int(row["step"]), float(row[names[0]])) for row in losses if names and names[0] in row]
    return RunningTask(
        str(task["kind"]),
        str(task["label"]),
        str(task["key"]),
        sighting.holder.host,
        sighting.holder.pid,
        max(0.0, at - sighting.holder.since),
        str(noted.get("stage", "")),
        done,
        total,
        str(noted.get("note", "")),
        {name: float(last[name]) for name in names},
        curve[:: max(1, -(-len(curve) // _CURVE_POINTS))],
    )


def _losses(folder: Path) -> Iterator[dict[str, float]]:
    """Yield the rows of the training log that was written last; a line that is being written is left out."""
    try:
        files = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        lines = files[-1].read_bytes()[-_LAST_BYTES:].split(b"\n")[:-1] if files else []
    except OSError:
        return
    for line in lines:
        try:
            row = json.loads(line)
            numbers = {str(name): float(value) for name, value in row.items()}
        except (ValueError, AttributeError, TypeError):
            continue
        if "step" in numbers and all(math.isfinite(value) for value in numbers.values()):
            yield numbers
