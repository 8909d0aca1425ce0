"""synthbench check: a line per promise, and an exit code."""

from __future__ import annotations

import json

import pytest

from synthbench.cli import main
from synthbench.plugin.registry import Registered, registry
from synthbench.plugin.specs import GeneratorSpec
from synthbench.testing import Finding


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


def test_a_configuration_is_tried(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def examine(kind: str, name: str, config: dict[str, str]) -> list[Finding]:
        tried.append((kind, name, config))
        return []

    monkeypatch.setattr("synthbench.testing.contract.examine_plugin", examine)
    assert main(["check", "classic", "--config", "scale=2", "--config", "blur=0"]) == 0
    assert tried == [("generator", "classic", {"scale": "2", "blur": "0"})]
    for pair, told in (
        ("scale", "--config scale: give KEY=VALUE"),
        ("scale=0", "generator 'classic': config: scale: Input should be greater than or equal to 1 (given: '0')"),
        ("scal=2", "generator 'classic': config: scal: no such key (did you mean 'scale'?)"),
    ):
        assert main(["check", "classic", "--config", pair]) == 2
        assert told in capsys.readouterr().err
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("statuses", "code", "words"),
    [
        (["kept", "skipped"], 0, ""),
        (["kept", "skipped", "skipped"], 3, "! hardly tried: 2 promises were skipped and 1 kept"),
        (["kept", "skipped", "skipped", "violated"], 1, "! hardly tried: 2 promises were skipped and 1 kept"),
    ],
)
def test_more_skipped_than_kept_is_not_green(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, statuses: list[str], code: int, words: str
) -> None:
    findings = [Finding(f"check_{i}", f"promise {i}", status, "") for i, status in enumerate(statuses)]
    monkeypatch.setattr("synthbench.testing.contract.examine_plugin", lambda *_: iter(findings))
    assert main(["check", "duplicate"]) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(words)
    assert main(["check", "duplicate", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["hardly_tried"] == bool(words)
