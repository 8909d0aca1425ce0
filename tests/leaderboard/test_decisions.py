"""Leaderboards of studies that give seeds to arms until they are decided."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from helpers import frames
from helpers.crossed import images
from synthbench import leaderboard
from synthbench.leaderboard.decisions import decided_text, decisions, sequential_verdict
from synthbench.statistics import ArmDecision


def test_p_and_interval_are_sequential_and_wider_than_those_of_fixed_seeds() -> None:
    table = images(0.15, seeds=3, arms=4, only_first=True, count=40, seed_spread=0.004)
    table = pd.concat([table.assign(iou=iou, dice=0.5) for iou in (0.5, 0.75, 0.9)], ignore_index=True)
    made = frames.results()
    runs = table.drop_duplicates(["arm", "seed"])[["dataset", "fraction", "segmenter", "fold", "arm", "seed"]]
    runs = runs.assign(generator_seed=np.nan, status="ok", error="", most_seeds=6)
    runs = runs.assign(generator=runs["arm"].str.extract(r"\+ (\w+)")[0].fillna(""), synthetic=1)
    runs = runs.assign(generator_seed=np.where(runs["generator"] == "", np.nan, 0.0))
    common = {"images": table, "runs": runs, "fidelity": made.fidelity[:0], "label_consistency": table[:0]}
    fixed = SimpleNamespace(**{**vars(made), **common})
    deciding = SimpleNamespace(**{**vars(fixed), "study": SimpleNamespace(**{**vars(made.study), "decide": 0.05})})
    (block, found), *others = decisions(deciding)
    assert not others
    assert block.most_seeds == 6
    board, plain = (leaderboard.table(each, draws=500).set_index("arm") for each in (deciding, fixed))
    arm = board.loc["real + g × 1"]
    assert arm["verdict"] == "better"
    assert arm["decision"] == "decided after 2 seeds"
    assert found.arms["real + g × 1"].p < 0.05
    before = plain.loc["real + g × 1"]
    assert arm["delta_high"] - arm["delta_low"] > before["delta_high"] - before["delta_low"]
    assert "decision" not in plain


def test_verdicts_and_reasons_in_words() -> None:
    arm = ArmDecision("decided", 3, direction=1, within=True)
    assert sequential_verdict(arm, 0.02) == "better, within ±.02"
    assert sequential_verdict(replace(arm, direction=-1, within=False), 0.02) == "worse"
    assert decided_text(arm, 0.02) == "decided after 3 seeds"
    assert decided_text(replace(arm, state="open"), 0.02) == "stopped by time; undecided after 3 seeds"
    assert decided_text(replace(arm, state="open"), 0.02, joined=True) == "undecided after 3 seeds"
    assert "±0.031" in decided_text(replace(arm, state="stopped", limit=0.031), 0.02)
    assert "±" not in decided_text(replace(arm, state="stopped", limit=0.01), 0.02)
