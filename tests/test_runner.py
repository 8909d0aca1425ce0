"""Where a run may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.errors import ConfigError
from synthbench.runner import check_folder


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".DS_Store": ""},
        {"plan.json": '{"ab12": {"kind": "draw", "label": "x", "content": {}}}', "study.yaml": "name: x"},
        {"plan.json": "{}"},
    ],
    ids=["empty", "hidden", "run", "run of nothing"],
)
def test_a_run_goes_into_a_new_an_empty_or_a_runs_folder(tmp_path: Path, files: dict[str, str]) -> None:
    check_folder(tmp_path / "new")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    check_folder(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"study.yaml": "# mine"},
        {"plan.json": '{"monday": "sow"}'},
        {"plan.json": "[1]"},
        {"plan.json": "for the summer"},
        {"a.png": "", "environment.json": "{}"},
    ],
)
def test_what_no_run_wrote_is_not_written_over(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=r"holds files that no run wrote; .*--out"):
        check_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"is a file, not a run folder; .*--out"):
        check_folder(tmp_path / next(iter(files)))
