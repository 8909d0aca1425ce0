"""The list of plugins: everything that is installed, readable at any width."""

from __future__ import annotations

import json

import pytest

from synthbench.cli import main
from synthbench.cli.list import lines
from synthbench.plugin.registry import Problem, registry
from synthbench.plugin.specs import KINDS

ROW = {
    "kind": "generator",
    "name": "gan",
    "tasks": ["instances"],
    "from": "x 1.0",
    "environment": "",
    "needs": "",
    "summary": "",
    "disabled_reason": "",
}


def test_every_registered_plugin_is_listed_under_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    kind = ""
    seen = set()
    for line in out.splitlines():
        if line and line.split()[0].isupper() and line.split()[0].lower()[:-1] in KINDS:
            kind = line.split()[0].lower()[:-1]
        elif line and not line.startswith(" "):
            seen.add((kind, line.split()[0]))
    assert set(registry().entries) <= seen


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_can_be_asked_for(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", f"{kind}s", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["plugins"]
    assert [row["name"] for row in rows] == registry().names(kind)
    assert {row["kind"] for row in rows} <= {kind}
    assert all(set(row) == set(ROW) for row in rows)


def test_nothing_built_in_is_broken() -> None:
    assert [p for p in registry().problems if p.distribution == "synthbench"] == []


def test_long_summaries_are_wrapped_in_their_column() -> None:
    row = {**ROW, "summary": "one two three four five six seven eight nine ten eleven twelve " * 2}
    text = lines([row], [], 80)
    column = text[0].index("summary")
    assert len(text) > 3
    assert all(len(line) <= 80 for line in text)
    assert all(line[:column].strip() == "" for line in text[2:])
    assert " ".join(" ".join(line[column:] for line in text[1:]).split()) == row["summary"].strip()


def test_what_is_off_says_why_below_its_row() -> None:
    row = {**ROW, "disabled_reason": "needs torch: pip install torch"}
    text = lines([row], [("", Problem("bad", "dist", "ImportError: x"))], 80)
    assert "DISABLED: needs torch: pip install torch" in " ".join(" ".join(text).split())
    assert text[-1] == "plugin 'bad' of dist is disabled: ImportError: x"
    assert "BROKEN" in text
