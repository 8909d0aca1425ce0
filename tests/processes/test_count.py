"""The number of processors: by affinity, by the quota of a container, and where a system has neither."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from synthbench.processes import count


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 64 processors without affinity or control groups, as macOS is."""
    monkeypatch.setattr(count, "MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(count, "CONTROL_GROUPS", tmp_path / "groups")
    for name in ("sched_getaffinity", "process_cpu_count"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    return tmp_path


def group(machine: Path, member: str, **files: str) -> None:
    (machine / "cgroup").write_text(member)
    for path, text in files.items():
        file = machine / "groups" / path.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_without_affinity_and_control_groups_it_is_the_machines(machine: Path) -> None:
    assert count.usable_processors() == 64


def test_a_machine_that_does_not_know_has_one(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count.usable_processors() == 1


def test_affinity_counts(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert count.usable_processors() == 3


def test_pythons_own_count_goes_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 2, raising=False)
    assert count.usable_processors() == 2


@pytest.mark.parametrize(
    ("text", "wanted"), [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("max 100000", 64), ("?", 64)]
)
def test_a_containers_quota_counts(machine: Path, text: str, wanted: int) -> None:
    group(machine, "0::/\n", cpu_dot_max=text)
    assert count.usable_processors() == wanted


def test_the_quota_of_a_group_above_counts_too(machine: Path) -> None:
    group(machine, "0::/batch/job\n", batch__job__cpu_dot_max="max 100000", batch__cpu_dot_max="300000 100000")
    assert count.usable_processors() == 3


def test_a_quota_of_the_first_version_counts(machine: Path) -> None:
    group(
        machine,
        "4:memory:/job\n3:cpu,cpuacct:/job\n",
        **{"cpu,cpuacct__job__cpu_dot_cfs_quota_us": "400000", "cpu,cpuacct__job__cpu_dot_cfs_period_us": "100000"},
    )
    assert count.usable_processors() == 4


def test_no_quota_of_the_first_version_is_minus_one(machine: Path) -> None:
    files = {"cpu__cpu_dot_cfs_quota_us": "-1", "cpu__cpu_dot_cfs_period_us": "100000"}
    group(machine, "3:cpu:/\n", **files)
    assert count.usable_processors() == 64


def test_here_it_is_what_the_scheduler_says_or_less() -> None:
    assert 1 <= count.usable_processors() <= (os.cpu_count() or 1)
