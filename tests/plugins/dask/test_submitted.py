"""What Dask has put aside, and what it is asked to run first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from synthbench.study.plan import Task
from synthbench_dask.resources import UNLIMITED, asked, offered
from synthbench_dask.submitted import FORGOTTEN, Submitted, priority, put_aside


@dataclass
class Known:
    """What is asked of a future here: Dask's own need a scheduler."""

    key: str
    status: str = "pending"


def submitted(name: str, *needs: str, status: str = "pending", on_gpu: bool = False, ago: float = 60.0) -> Any:
    task = Task("draw", name, {}, needs, {}, name)
    return Submitted(task, Known(name, status), on_gpu, time.monotonic() - ago)


def names(*given: Any, processing: tuple[str, ...] = (), gpus: bool = False) -> list[str]:
    return list(put_aside({each.task.key: each for each in given}, processing, gpus))


def test_what_no_worker_has_is_put_aside_and_so_is_what_waits_for_it() -> None:
    chain = [submitted("a"), submitted("b", "a"), submitted("c", "b"), submitted("d")]
    assert names(*chain, processing=("d",)) == ["a", "b", "c"]


def test_what_waits_for_a_running_task_is_not_put_aside_nor_at_once_when_that_has_ended() -> None:
    waiting = submitted("b", "a")
    assert names(submitted("a"), waiting, processing=("a",)) == []
    assert names(waiting) == []
    waiting.waited -= 2 * FORGOTTEN
    assert names(waiting) == ["b"]


@pytest.mark.parametrize("facts", [{"ago": 0.0}, {"status": "finished"}, {"on_gpu": True}])
def test_what_is_new_or_has_ended_or_wants_what_nobody_offers_stays(facts: dict[str, Any]) -> None:
    assert names(submitted("a", **facts)) == []


def test_a_task_that_takes_a_gpu_is_put_aside_where_there_is_one() -> None:
    assert names(submitted("a", on_gpu=True), gpus=True) == ["a"]


def test_short_tasks_come_before_trainings_and_long_trainings_before_short_ones() -> None:
    def fit(kind: str, steps: int) -> Task:
        budget = {"steps": steps, "batch_size": 8, "patch_size": 64}
        return Task(kind, "k", {"plugin": {"budget": budget}}, (), {}, "")

    draw = Task("draw", "k", {"plugin": {}}, (), {}, "")
    ordered = [draw, fit("fit-generator", 10**6), fit("fit-generator", 100), fit("fit-segmenter", 100)]
    ordered.append(Task("fit-segmenter", "k", {"plugin": {"budget": None}}, (), {}, ""))
    priorities = [priority(task) for task in ordered]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == len(priorities)


@pytest.mark.parametrize(
    ("expected", "limits", "memory"),
    [
        (299.5, [1000, 400], 300),
        (500.0, [1000, 400], 400),
        (500.0, [UNLIMITED], 500),
        (500.0, [], None),
        (None, [1000], None),
    ],
)
def test_a_task_asks_for_the_memory_that_is_expected_and_that_each_worker_has(
    expected: float | None, limits: list[int], memory: float | None
) -> None:
    wanted = asked("run", False, expected, limits)
    (of_memory,) = offered("run", 2, 400).keys() - {"run"}
    assert wanted.pop(of_memory, None) == memory
    assert wanted == {"run": 1}
    assert asked("run", True, expected, limits)["GPU"] == 1
