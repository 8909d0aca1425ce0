"""The steps of `on_gpu.py`: each is taken once, an interrupted one again, and a failed one costs no other."""

from __future__ import annotations

import json
import runpy
import sys
import zipfile
from pathlib import Path
from typing import Any

import psutil
import pytest

SCRIPT = Path(__file__).with_name("on_gpu.py")


@pytest.fixture
def names() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_what_is_done_is_not_done_again(names: dict[str, Any], tmp_path: Path) -> None:
    for _ in range(2):
        steps = names["Steps"](tmp_path, 100)
        assert steps.run("one", python("print('taken')"), "out.txt")
    assert (tmp_path / "out.txt").read_text().split() == ["taken"]
    assert list(json.loads((tmp_path / "steps.json").read_text())) == ["one"]


def test_the_end_of_the_time_interrupts_and_the_step_is_taken_again(names: dict[str, Any], tmp_path: Path) -> None:
    steps = names["Steps"](tmp_path, names["GRACE"] + 2)
    code = "import signal, sys, time; signal.signal(15, lambda *a: (print('kept'), sys.exit(0))); time.sleep(60)"
    assert not steps.run("long", python(code), "out.txt")
    assert not steps.run("later", python("print('late')"), "out.txt"), "no time is left"
    assert (tmp_path / "out.txt").read_text().split() == ["kept"]
    again = names["Steps"](tmp_path, 100)
    assert again.run("long", python("print('ended')"), "out.txt")


def test_what_a_command_began_ends_with_it(names: dict[str, Any], tmp_path: Path) -> None:
    steps = names["Steps"](tmp_path, names["GRACE"] + 3)
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    assert not steps.run("outer", python(code), "out.txt")
    assert not psutil.pid_exists(int((tmp_path / "out.txt").read_text()))


def test_a_failed_step_is_named_and_the_next_begins(names: dict[str, Any], tmp_path: Path) -> None:
    steps = names["Steps"](tmp_path, 100)
    assert not steps.run("bad", python("raise SystemExit(3)"), "out.txt")
    assert steps.run("good", python("pass"), "out.txt")
    assert (steps.failed, list(steps.done)) == (["bad"], ["good"])


def test_a_set_is_packed_under_its_name(names: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "images" / "0.png").write_bytes(b"pixels")
    names["_pack"](tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip") as packed:
        assert packed.read("set/images/0.png") == b"pixels"
