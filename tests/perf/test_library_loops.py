"""Loops that take turns, and what `library_loops.py` makes of their times."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

from helpers.turns import Turn, alternate

HERE = Path(__file__).parent
LOOP = """
import sys, time
sys.path.insert(0, {tests!r})
from helpers.turns import Turns
before_step = Turns.of_process()
print("what a library prints")
for number in range(100):
    before_step()
    with open({log!r}, "a") as log:
        print({name!r}, number, file=log)
    until = time.process_time() + {seconds}
    while time.process_time() < until:
        pass
    if {name!r} == "broken" and number == 2:
        raise ValueError("no more patches")
"""


def loop(log: Path, name: str, seconds: float) -> tuple[list[str], dict[str, str]]:
    text = LOOP.format(tests=str(HERE.parent), log=str(log), name=name, seconds=seconds)
    return [sys.executable, "-c", text], dict(os.environ)


def test_loops_take_turns_and_each_turn_is_measured_by_the_step(tmp_path: Path) -> None:
    log = tmp_path / "steps"
    commands = {"a": loop(log, "a", 0.01), "b": loop(log, "b", 0.04)}
    turns = alternate(commands, warm=1, steps=2, rounds=2)
    steps = log.read_text().splitlines()
    assert steps == ["a 0", "b 0", "a 1", "a 2", "b 1", "b 2", "a 3", "a 4", "b 3", "b 4"]
    for name, seconds in (("a", 0.01), ("b", 0.04)):
        assert [turn.processor for turn in turns[name]] == pytest.approx([seconds] * 2, abs=0.01)
        assert all(turn.wall >= seconds for turn in turns[name])


def test_a_loop_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no more patches"):
        alternate({"broken": loop(tmp_path / "steps", "broken", 0)}, warm=1, steps=5, rounds=1)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.syspath_prepend(str(HERE))
    return runpy.run_path(str(HERE / "library_loops.py"))


def test_ratios_compare_turns_of_the_same_round(script: dict) -> None:
    method = script["METHODS"][0]
    turns = {"library": [Turn(1.0, 2.0), Turn(4.0, 8.0)], "fp32": [Turn(0.5, 1.0), Turn(1.0, 4.0)]}
    (line,) = script["lines"](method, turns, 10)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2:] == ["2 × 10", "fp32", "1.33", "0.40", "3.00 (2.00–4.00)", "2,500", "5,000", "2.00 (2.00–2.00)"]


def test_a_turn_has_whole_periods(script: dict) -> None:
    method = next(each for each in script["METHODS"] if each.period > 1)
    assert [method.steps(steps) for steps in (1, 10, 40)] == [16, 16, 32]


def test_published_networks_get_other_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    from reference_training import cganseg_widths, changed, stylegan2_channels

    table = "        self.channels = {\n            4: 512,\n            64: 256 * channel_multiplier,\n        }"
    assert stylegan2_channels(table, 64, 1024).splitlines()[1:3] == ["            4: 64,", "            64: 16,"]
    text = "ndf=64\n        self.d1 = decoder_block(1024, 512)\n        self.b = nn.Conv2d(64, n_classes, 1)"
    assert cganseg_widths(text, 16).splitlines() == [
        "ndf=16",
        "        self.d1 = decoder_block(256, 128)",
        "        self.b = nn.Conv2d(16, n_classes, 1)",
    ]
    with pytest.raises(ValueError, match="num_workers"):
        changed("workers=8", {"num_workers=8": ""})
