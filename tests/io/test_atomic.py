"""A file that a person names is written whole or not at all, and never put in place of something else."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from synthbench.errors import DataError
from synthbench.io.atomic import atomic_write


def test_text_is_utf8_and_bytes_are_bytes(tmp_path: Path) -> None:
    assert atomic_write(tmp_path / "a.txt", "Δ") == tmp_path / "a.txt"
    assert (tmp_path / "a.txt").read_bytes() == "Δ".encode()
    atomic_write(tmp_path / "a.txt", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == b"\x00\xff"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    atomic_write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_link_to_nothing_makes_the_file_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "later.txt")
    atomic_write(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "later.txt").read_text() == "new"


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    atomic_write(pipe, "through")
    reader.join(10)
    assert heard == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_into_and_stays_one() -> None:
    atomic_write(Path(os.devnull), "gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_what_cannot_be_written_is_told_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"nowhere.*can't be written: No such file.*another --out"):
        atomic_write(tmp_path / "nowhere" / "a.txt", "x")
    with pytest.raises(DataError, match="can't be written"):
        atomic_write(tmp_path, "x")
    file = tmp_path / "a.txt"
    file.write_text("old")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left on device"):
        atomic_write(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
