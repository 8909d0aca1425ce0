"""Families of processes are found and ended whole, by whatever the system shows of them."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from synthbench.processes import family
from synthbench.processes.child import spawn
from synthbench.processes.guard import Guard

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A mark, and the end of those who bear it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    mark = family.new_mark()
    yield mark
    family.end_family([], mark, grace=0)


def spawned(name: str, *words: object, mark: str) -> tuple[Any, Any]:
    """Spawn a function of heads.py, and return the process and what it says first."""
    ours, theirs = multiprocessing.Pipe()
    process = spawn(getattr(importlib.import_module("helpers.heads"), name), (theirs, *words), mark)
    theirs.close()
    assert ours.poll(60)
    return process, ours.recv()


def start(mark: str, orphaned: bool = False) -> tuple[int, list[int]]:
    process, pids = spawned("head", orphaned, mark=mark)
    if orphaned:
        process.join()
    return process.pid, pids


def alive(pids: list[int]) -> list[int]:
    """Return those that run; a zombie only waits to be looked at."""
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def ended(pids: list[int], patience: float = 20) -> bool:
    """Whether processes end within some seconds."""
    deadline = time.monotonic() + patience
    while (left := alive(pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left == []


def guarded(mark: str, leader: int) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """Start a process that has a guard watch a family, and return it and its guard."""
    code = "import sys, time; from synthbench.processes.guard import Guard; guard = Guard(sys.argv[1])"
    code += "; guard.watch(int(sys.argv[2])); print(flush=True); time.sleep(600)"
    owner = subprocess.Popen([sys.executable, "-c", code, mark, str(leader)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    owner.stdout.readline()
    (guard,) = psutil.Process(owner.pid).children()
    return owner, guard


@pytest.mark.parametrize("orphaned", [False, True])
def test_a_family_is_ended_whole_also_when_its_head_has_died(mark: str, orphaned: bool) -> None:
    leader, pids = start(mark, orphaned)
    assert alive(pids) == pids
    family.end_family([leader], mark)
    assert alive([leader, *pids]) == []


def test_where_environments_are_hidden_the_tree_and_the_sessions_are_left(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS hides those of its own programs."""

    def hidden(self: psutil.Process) -> dict[str, str]:
        raise psutil.AccessDenied(self.pid)

    leader, pids = start(mark)
    with monkeypatch.context() as patch:
        patch.setattr(psutil.Process, "environ", hidden)
        family.end_family([leader], mark)
    assert alive([leader, *pids[:2]]) == []


def test_others_are_left_alone(mark: str) -> None:
    other = subprocess.Popen([sys.executable, "-c", SLEEP])
    leader, _ = start(mark)
    family.end_family([leader], mark)
    assert alive([other.pid]) == [other.pid]
    other.kill()
    other.wait()


def test_who_ignores_sigterm_gets_sigkill(mark: str) -> None:
    with family.marked(mark):
        process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    family.end_family([], mark, grace=0.2)
    assert process.wait(5) == -signal.SIGKILL


def test_who_heeds_sigterm_may_clean_up(mark: str) -> None:
    clean = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print(flush=True); time.sleep(600)"
    with family.marked(mark):
        process = subprocess.Popen([sys.executable, "-c", clean], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    family.end_family([], mark, grace=5)
    assert process.wait(5) == 7


def test_a_guard_ends_families_when_its_owner_is_killed(mark: str) -> None:
    leader, pids = start(mark)
    owner, _ = guarded(mark, leader)
    owner.kill()
    assert ended([leader, *pids])


def test_a_guard_that_is_dismissed_ends_nothing(mark: str) -> None:
    leader, pids = start(mark)
    guard = Guard(mark)
    guard.watch(leader)
    guard.dismiss()
    assert alive([leader, *pids]) == [leader, *pids]


def test_a_guard_is_not_told_off_by_signals_to_all(mark: str) -> None:
    leader, pids = start(mark)
    owner, guard = guarded(mark, leader)
    time.sleep(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        guard.send_signal(number)
    owner.kill()
    assert ended([leader, *pids])


def test_without_a_guard_a_head_ends_itself_and_its_session_with_its_parent(mark: str) -> None:
    parent, (leader, plain, *_) = spawned("parent", mark, mark="of another")
    parent.kill()
    parent.join()
    assert ended([leader, plain])


def test_a_forked_child_of_a_head_heeds_sigterm(mark: str) -> None:
    """Or a pool that a plugin terminates would hang."""
    process, code = spawned("terminates_a_child", mark=mark)
    assert code == -signal.SIGTERM
    process.join()
