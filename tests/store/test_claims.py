"""Who computes what: claims end with their process, by a lock, or by a lease that nobody renews."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synthbench.errors import ConfigError
from synthbench.store import Store, has_working_locks, key_of

KEY = key_of("what is claimed")

HOLD = """
import sys, time
from synthbench.store import Store
store = Store(sys.argv[1])
claim = store.claim("draw", sys.argv[2])
print("held" if claim else "refused", flush=True)
time.sleep(float(sys.argv[3]))
print("lost" if claim.lost else "kept", flush=True)
claim.release()
"""


@pytest.fixture(params=["system", "lease"])
def locks(request, monkeypatch) -> str:
    monkeypatch.setenv("SYNTHBENCH_LOCKS", request.param)
    monkeypatch.setenv("SYNTHBENCH_LEASE", "1")
    return request.param


@pytest.fixture
def lease(monkeypatch) -> None:
    monkeypatch.setenv("SYNTHBENCH_LOCKS", "lease")
    monkeypatch.setenv("SYNTHBENCH_LEASE", "1")


def holding(store: Store, seconds: float, prefix: list[str] | None = None) -> subprocess.Popen[str]:
    """Start a process that claims `KEY`, and wait until it does."""
    command = [*(prefix or []), sys.executable, "-c", HOLD, str(store.root), KEY, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def until(wanted: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.05)


def test_one_claim_keeps_others_out_until_it_is_given_back(tmp_path: Path, locks: str) -> None:
    store, other = Store(tmp_path), Store(tmp_path)
    assert store.holder("draw", KEY) is None
    claim = store.claim("draw", KEY)
    assert claim is not None
    assert other.claim("draw", KEY) is None
    holder = other.holder("draw", KEY)
    assert holder is not None
    assert holder.pid == os.getpid()
    claim.release()
    assert other.holder("draw", KEY) is None
    again = other.claim("draw", KEY)
    assert again is not None
    again.release()


def test_a_holder_that_lives_keeps_its_claim_beyond_the_lease(tmp_path: Path, locks: str) -> None:
    store = Store(tmp_path)
    with holding(store, 3) as process:
        while process.poll() is None:
            assert store.claim("draw", KEY) is None or process.wait() == 0
            time.sleep(0.1)
        assert process.stdout is not None
        assert process.stdout.read() == "kept\n"


def test_a_claim_ends_at_once_when_its_process_is_killed(tmp_path: Path, locks: str) -> None:
    store = Store(tmp_path)
    with holding(store, 60) as process:
        assert store.holder("draw", KEY) is not None
        process.kill()
    assert store.holder("draw", KEY) is None
    with store.locked("draw", KEY):
        pass


def test_on_another_machine_a_dead_holder_is_found_out_when_its_lease_has_ended(tmp_path: Path, lease) -> None:
    store = Store(tmp_path)
    with holding(store, 60) as process:
        claim = tmp_path / ".locks" / f"draw-{KEY}.claim"
        process.kill()
    claim.write_text(claim.read_text().replace('"boot": "', '"boot": "of another machine '))
    assert store.holder("draw", KEY) is not None
    began = time.monotonic()
    until(lambda: store.holder("draw", KEY) is None)
    assert 0.9 < time.monotonic() - began < 5


def test_a_lease_is_as_long_as_its_holder_says(tmp_path: Path, monkeypatch, lease) -> None:
    """Commands that share a store may have been given different leases."""
    monkeypatch.setenv("SYNTHBENCH_LEASE", "60")
    slow = Store(tmp_path)
    claim = slow.claim("draw", KEY)
    assert claim is not None
    monkeypatch.setenv("SYNTHBENCH_LEASE", "0.3")
    hasty = Store(tmp_path)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert hasty.holder("draw", KEY) is not None
        time.sleep(0.1)
    claim.release()


def test_a_holder_that_was_asleep_learns_that_it_lost_its_claim(tmp_path: Path, lease) -> None:
    store = Store(tmp_path)
    claim = store.claim("draw", KEY)
    assert claim is not None
    (tmp_path / ".locks" / f"draw-{KEY}.claim").unlink()
    other = Store(tmp_path).claim("draw", KEY)
    assert other is not None
    until(lambda: claim.lost)
    claim.release()
    assert Store(tmp_path).holder("draw", KEY) is not None, "what another holds now isn't given back"
    other.release()


def test_many_processes_that_want_one_claim_get_it_one_after_another(tmp_path: Path, locks: str) -> None:
    script = """
import sys, time
from pathlib import Path
from synthbench.store import Store
with Store(sys.argv[1]).locked("draw", sys.argv[2]):
    alone = Path(sys.argv[1]) / "alone"
    alone.mkdir()
    time.sleep(0.05)
    alone.rmdir()
"""
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), KEY]) for _ in range(6)]
    assert [process.wait() for process in processes] == [0] * 6


def test_where_locks_are_refused_or_keep_nobody_out_there_are_leases(tmp_path: Path, monkeypatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    assert has_working_locks(tmp_path)
    for behaviour in (refused, lambda *_: None):
        has_working_locks.cache_clear()
        monkeypatch.setattr(fcntl, "flock", behaviour)
        assert not has_working_locks(tmp_path)
    has_working_locks.cache_clear()


@pytest.mark.parametrize(
    ("line", "working"),
    [
        ("36 35 98:0 / {here} rw,relatime shared:1 - lustre 10.0.0.1@tcp:/fs rw,flock", True),
        ("36 35 98:0 / {here} rw,relatime shared:1 - lustre 10.0.0.1@tcp:/fs rw,localflock", False),
        ("36 35 98:0 / {here} rw,relatime - nfs4 server:/home rw,vers=4.2,local_lock=none", True),
        ("36 35 98:0 / {here} rw,relatime - nfs server:/home rw,vers=3,nolock,local_lock=all", False),
        ("36 35 98:0 / {here} rw,relatime - fuse.sshfs host:/home rw", False),
        ("36 35 98:0 / / rw,relatime - ext4 /dev/sda rw,nolock", False),
        ("damaged", True),
    ],
)
def test_mounts_whose_locks_hold_on_one_machine_alone_are_known(tmp_path: Path, line: str, working: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"20 1 8:1 / / rw - ext4 /dev/root rw\n{line.format(here=tmp_path)}\n")
    assert has_working_locks(tmp_path, mounts) == working


@pytest.mark.parametrize(("name", "value"), [("LOCKS", "maybe"), ("LEASE", "soon"), ("LEASE", "0"), ("LEASE", "inf")])
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, monkeypatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SYNTHBENCH_{name}", value)
    with pytest.raises(ConfigError, match=f"SYNTHBENCH_{name}={value}"):
        Store(tmp_path)
