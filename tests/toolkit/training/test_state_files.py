"""Files of fitted plugins: a missing or damaged one is an error that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.errors import StoreError
from synthbench.toolkit.training.state_files import read_state, write_state


def test_what_was_written_is_parsed(tmp_path: Path) -> None:
    write_state(tmp_path / "state.json", {"side": "64", "half": 0.5})
    assert read_state(tmp_path / "state.json", lambda state: (int(state["side"]), state["half"])) == (64, 0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_numbers_that_json_has_not_are_no_part_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_state(tmp_path / "state.json", {"side": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, "", "{", '{"width": 1}', '{"side": "wide"}', '{"side": null}', "[1]"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "state.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StoreError, match=r"state\.json"):
        read_state(path, lambda state: int(state["side"]))
