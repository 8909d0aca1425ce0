"""synthbench check: a line per check, and an exit code."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

import pytest

from synthbench.cli import main
from synthbench.testing import CheckResult
from synthbench.testing.check_results import DEPENDS


def test_a_line_per_check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        CheckResult("one", "It learns", "passed", ""),
        CheckResult("two", "It stops", "skipped", "it doesn't train"),
        CheckResult("three", "It saves", "failed", "nothing was written"),
    ]
    monkeypatch.setattr("synthbench.testing.subprocess.iter_contract_in_subprocess", lambda *_: iter(results))
    assert main(["check", "duplicate"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "generator duplicate",
        "  ✓ It learns",
        "  – It stops: it doesn't train",
        "  ✗ It saves: nothing was written",
        "1 passed, 1 failed, 1 skipped",
    ]


def test_what_depends_on_a_failed_check_is_one_line_and_warnings_stand_below_their_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [
        CheckResult("one", "It learns", "passed", "", ("RuntimeWarning: overflow (plugin/a.py:3)",)),
        CheckResult("two", "It stops", "failed", "it doesn't"),
        CheckResult("three", "It saves", "skipped", DEPENDS),
        CheckResult("four", "It loads", "skipped", DEPENDS),
    ]
    monkeypatch.setattr("synthbench.testing.subprocess.iter_contract_in_subprocess", lambda *_: iter(results))
    assert main(["check", "duplicate"]) == 1
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "generator duplicate",
        "  ✓ It learns",
        "      warning: RuntimeWarning: overflow (plugin/a.py:3)",
        "  ✗ It stops: it doesn't",
        "  – 2 more: they depend on the check that failed",
        "1 passed, 1 failed, 2 skipped",
    ]
    assert main(["check", "duplicate", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["check"] for row in rows] == ["one", "two", "three", "four"]
    assert len(rows[0]["warnings"]) == 1


def test_a_violation_is_found_and_exits_with_1(trial) -> None:
    answer = json.loads(trial.run("check", "blind", "--json", code=1).stdout)
    failed = [f for f in answer["results"] if f["status"] == "failed"]
    assert answer["failed"] == len(failed)
    assert [f["check"] for f in failed] == ["listing_stays_light", "mix_is_learned_from", "synthetic_ratio_is_kept"]
    assert "other synthetic samples" in failed[1]["message"]
    assert len([f for f in answer["results"] if f["status"] == "passed"]) >= 10


def test_a_plugin_that_ends_its_process_is_told(trial) -> None:
    done = trial.run("check", "troubled", "--config", "trouble=die", code=1)
    assert "killed by signal 9" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_warning_of_a_plugin_is_told_with_its_check(trial) -> None:
    answer = json.loads(trial.run("check", "troubled", "--config", "trouble=warn", "--json", code=None).stdout)
    warned = {result["check"]: result["warnings"] for result in answer["results"] if result["warnings"]}
    assert "methods_are_implemented" not in warned
    assert any("RuntimeWarning: the light is odd" in line for lines in warned.values() for line in lines)


def test_what_a_plugin_left_running_is_ended(trial) -> None:
    trial.run("check", "troubled", "--config", "trouble=litter", code=None)
    assert trial.remaining() == []


def until(wanted: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_check_that_is_ended_leaves_nothing_behind(trial, number: int) -> None:
    process = trial.begin("check", "troubled", "--config", "trouble=family")
    until(lambda: len(trial.left()) > 5)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in output
    until(lambda: not trial.left(), 20)


def test_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "duplicat"]) == 2
    assert "unknown plugin 'duplicat' (did you mean 'duplicate'?)" in capsys.readouterr().err
    assert main(["check", "duplicate", "--kind", "segmenter"]) == 2
    assert "unknown segmenter 'duplicate'" in capsys.readouterr().err


def test_a_configuration_is_tried(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def examine(kind: str, name: str, config: dict[str, str], _: object) -> list[CheckResult]:
        tried.append((kind, name, config))
        return []

    monkeypatch.setattr("synthbench.testing.subprocess.iter_contract_in_subprocess", examine)
    assert main(["check", "classic", "--config", "scale=2", "--config", "blur=0"]) == 0
    assert tried == [("generator", "classic", {"scale": "2", "blur": "0"})]
    for pair, told in (
        ("scale", "--config scale: expected KEY=VALUE"),
        ("scale=0", "generator 'classic': config: scale: Input should be greater than or equal to 1 (given: '0')"),
        ("scal=2", "generator 'classic': config: scal: no such key (did you mean 'scale'?)"),
    ):
        assert main(["check", "classic", "--config", pair]) == 2
        assert told in capsys.readouterr().err
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("statuses", "code", "words"),
    [
        (["passed", "skipped"], 0, ""),
        (["passed", "skipped", "skipped"], 3, "! 2 checks were skipped"),
        (["passed", "skipped", "skipped", "failed"], 1, "! 2 checks were skipped"),
    ],
)
def test_more_skipped_than_passed_is_not_green(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, statuses: list[str], code: int, words: str
) -> None:
    results = [CheckResult(f"check_{i}", f"description {i}", status, "") for i, status in enumerate(statuses)]
    monkeypatch.setattr("synthbench.testing.subprocess.iter_contract_in_subprocess", lambda *_: iter(results))
    assert main(["check", "duplicate"]) == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(words)
    assert main(["check", "duplicate", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["mostly_skipped"] == bool(words)
