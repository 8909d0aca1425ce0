"""synthbench check: a line per promise, and an exit code."""

from __future__ import annotations

import json

import pytest

from synthbench.cli import main
from synthbench.plugin.registry import Registered, registry
from synthbench.plugin.specs import GeneratorSpec


def test_a_line_per_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "duplicate"]) == 0
    first, *promises, last = capsys.readouterr().out.splitlines()
    assert first == "generator duplicate"
    assert {line.split()[0] for line in promises} <= {"✓", "–"}
    assert sum(line.startswith("  ✓ ") for line in promises) >= 10
    assert last.split(", ")[0] == f"{sum(line.startswith('  ✓ ') for line in promises)} kept"


def test_a_violation_is_marked_and_exits_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = registry().load("generator", "duplicate")

    class Broken(cls):  # type: ignore[misc, valid-type]
        def draw(self, index, seed):
            return super().draw(index, seed + (0 if isinstance(index, range) else 1))

    spec = GeneratorSpec("broken-copy", "synthbench_controls:Broken")
    monkeypatch.setitem(registry().entries, ("generator", "broken-copy"), Registered(spec, "nowhere", "1"))
    monkeypatch.setattr(type(registry()), "load", lambda self, kind, name: Broken)
    assert main(["check", "broken-copy", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["violated"] == 1
    (bad,) = [f for f in answer["findings"] if f["status"] == "violated"]
    assert bad["check"] == "draws_stand_alone"
    assert "sample 3 of draw(3) differs from sample 3 of draw(range(6))" in bad["sentence"]
    assert main(["check", "broken-copy"]) == 1
    assert f"✗ {bad['promise']}: {bad['sentence']}" in capsys.readouterr().out


def test_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "duplicat"]) == 2
    assert "unknown plugin 'duplicat' (did you mean 'duplicate'?)" in capsys.readouterr().err
    assert main(["check", "duplicate", "--kind", "segmenter"]) == 2
    assert "unknown segmenter 'duplicate'" in capsys.readouterr().err
