"""Environments that can't be made leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from synthbench.environments.making import create_environment
from synthbench.environments.registered import registered_environments
from synthbench.errors import ConfigError


def visible(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def test_what_is_half_made_is_removed_and_the_reason_is_one_line(home: Path) -> None:
    printed: list[str] = []
    with pytest.raises(ConfigError, match=r"'new'.*pip.*exit code") as caught:
        create_environment("new", ["no-such-package"], pip_arguments=["--no-index"], share=True, report=printed.append)
    assert "\n" not in str(caught.value)
    assert printed
    assert visible(home / "envs") == []
    assert registered_environments() == {}


def test_an_interpreter_that_cannot_make_environments_says_so(home: Path, tmp_path: Path) -> None:
    odd = tmp_path / "python"
    odd.write_text("#!/bin/sh\necho no venv here\nexit 3\n")
    odd.chmod(0o755)
    with pytest.raises(ConfigError, match="exit code 3: no venv here"):
        create_environment("new", python=str(odd), share=True)
    assert visible(home / "envs") == []
    with pytest.raises(ConfigError, match="no such interpreter"):
        create_environment("new", python="/no/such/python")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_leaves_neither_folder_nor_process(home: Path, tmp_path: Path, number: int) -> None:
    slow = tmp_path / "python"
    slow.write_text(f'#!/bin/sh\nmkdir -p "$3"\necho $$ > {tmp_path}/pid\nsleep 600\n')
    slow.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "synthbench", "env", "create", "new", "--share", "--python", str(slow)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (home / "envs" / "new").is_dir()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert visible(home / "envs") == []
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_two_commands_do_not_make_the_same_environment(home: Path) -> None:
    from filelock import FileLock

    (home / "envs").mkdir(parents=True)
    with FileLock(home / "envs" / ".new.lock"), pytest.raises(ConfigError, match="another command"):
        create_environment("new")
