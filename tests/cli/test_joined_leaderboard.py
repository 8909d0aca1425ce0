"""`synthbench leaderboard` with several results: one line for what doesn't fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.cli import main


def test_what_can_not_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(b"no bundle")
    for paths in ([str(file)], [str(tmp_path), str(file)], [str(tmp_path / "none"), str(file)]):
        assert main(["leaderboard", *paths]) == 2
        assert capsys.readouterr().err.count("\n") == 1
