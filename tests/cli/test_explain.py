"""`why` reads, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.cli import main


def test_a_store_that_is_not_there_is_told_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    for words in (["explain", "ab12", "--store", str(tmp_path / "typo")], ["explain", "ab12"]):
        assert main(words) == 2
        assert "there is no store; name one with --store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
