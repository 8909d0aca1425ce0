"""Files of fitted plugins: a missing or damaged one is an error that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.errors import StoreError
from synthbench.toolkit.training.state_files import read_state


def test_what_was_written_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"side": "64"}')
    assert read_state(tmp_path / "state.json", lambda state: int(state["side"])) == 64


@pytest.mark.parametrize("content", [None, "", "{", '{"width": 1}', '{"side": "wide"}', '{"side": null}', "[1]"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "state.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StoreError, match=r"state\.json"):
        read_state(path, lambda state: int(state["side"]))
