"""Runs that can't begin: no scheduler where one is said to be, and jobs that aren't taken."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.dask.conftest import until
from synthbench_dask.cluster_file import ClusterFile
from synthbench_dask.config import DaskConfig

WORDS = ("--engine", "dask", "--engine-option")


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def address(server: socket.socket) -> str:
    return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def test_a_scheduler_that_says_nothing_is_one_line_in_time(trial, mute: socket.socket) -> None:
    began = time.monotonic()
    refused = trial.run("run", trial.study(), *WORDS, "timeout=1", "--scheduler", address(mute), code=2)
    assert time.monotonic() - began < 30
    (line,) = [line for line in refused.stderr.splitlines() if "doesn't answer" in line]
    assert address(mute) in line
    assert refused.stderr.strip().endswith(line)
    assert "Traceback" not in refused.stderr


def test_an_interrupt_ends_the_wait_for_a_scheduler(trial, mute: socket.socket) -> None:
    process = trial.begin("run", trial.study(), *WORDS, "timeout=100", "--scheduler", address(mute))
    connection, _ = mute.accept()
    with connection:
        connection.recv(1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "Exception" not in output


def test_where_nobody_listens_is_one_line(trial, mute: socket.socket) -> None:
    away = address(mute)
    mute.close()
    refused = trial.run("run", trial.study(), *WORDS, "timeout=0.5", "--scheduler", away, code=2)
    assert f"{away}: doesn't answer" in refused.stderr.strip().splitlines()[-1]
    assert "Exception ignored" not in refused.stderr


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "foo", "nonsense://x:1", "tcp://", "tcp://x", "tcp://:1", "tcp://x:", "127.0.0.1", "http://x:8786"),
        *("tcp://x:0", "tcp://x:65536", "tcp://x:y", "tcp://::1:8786", "tcp://x:8786/", "tcp://x y:8786"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a host and a port, such as tcp://host:8786") as refused:
        DaskConfig(scheduler=text)
    assert repr(text) in str(refused.value)


def test_what_is_no_address_is_one_line_at_once(trial) -> None:
    refused = trial.run("run", trial.study(), *WORDS, "timeout=100", "--scheduler", "nonsense://x", code=2)
    assert "'nonsense://x': expected" in refused.stderr.strip().splitlines()[-1]
    assert "Traceback" not in refused.stderr


def test_what_listens_there_and_is_no_scheduler_is_one_line(trial, mute: socket.socket) -> None:
    def greet() -> None:
        connection, _ = mute.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.settimeout(10)
            while connection.recv(1024):
                pass

    server = threading.Thread(target=greet)
    server.start()
    refused = trial.run("run", trial.study(), *WORDS, "timeout=2", "--scheduler", address(mute), code=2)
    server.join()
    assert f"{address(mute)}: doesn't answer" in refused.stderr.strip().splitlines()[-1]
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("text", ["tcp://x:1", "tls://10.0.0.1:8786", "ws://a.b:80", "wss://x:443", "ucx://x:8786"])
def test_addresses_of_dask_are_taken(text: str) -> None:
    assert DaskConfig(scheduler=text).scheduler == text


@pytest.mark.parametrize("text", ["tcp://[::1]:8786", "tcp://[fe80::1%eth0]:8786", "host:8786"])
def test_so_are_those_of_ipv6_and_those_without_a_protocol(text: str) -> None:
    assert DaskConfig(scheduler=text).scheduler == text


@pytest.fixture
def refusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SLURM that takes no job."""
    command = tmp_path / "sbatch"
    command.write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.usefixtures("refusing")
def test_jobs_that_are_not_taken_are_one_line(trial) -> None:
    file = trial.folder / "cluster.yaml"
    file.write_text("slurm: {cores: 8, memory: 2GB, interface: lo}\njobs: 2\n")
    refused = trial.run("run", trial.study(), "--engine", "dask", "--cluster", file, code=2)
    assert "invalid partition" in refused.stderr.strip().splitlines()[-1]
    assert "Traceback" not in refused.stderr


@pytest.mark.usefixtures("refusing")
def test_jobs_that_nobody_waits_for_are_refused_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when jobs come and go with the tasks: Dask then looks after them in tasks that it forgets."""
    refusals: list[str] = []
    keys = {"cores": 8, "memory": "2GB", "interface": "lo"}
    cluster = ClusterFile(Path("cluster.yaml"), "slurm", keys, 0, 4).start(False, refusals)
    complaints: list[dict[str, Any]] = []
    monkeypatch.setattr(cluster.loop.asyncio_loop, "default_exception_handler", complaints.append)

    async def look_after() -> None:
        await cluster

    try:
        cluster.scale(jobs=2)
        until(lambda: len(refusals) == 2, 20)
        cluster.sync(look_after)
        until(lambda: len(refusals) == 4, 20)
        gc.collect()
    finally:
        with contextlib.suppress(AssertionError):  # of Dask, about jobs that never began
            cluster.close(timeout=10)
    assert refusals == ["invalid partition"] * 4
    assert not complaints
