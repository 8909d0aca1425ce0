"""What `plan` says of the smallest differences that it can detect."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from helpers.designs import planned
from synthbench.cli._detectable_effects_text import detectable_effects_lines
from synthbench.results.power import detectable_effects


@pytest.fixture(autouse=True)
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthbench.results.power.collect", lambda *_: SimpleNamespace(images=pd.DataFrame()))


def text(plan: SimpleNamespace) -> str:
    return "\n".join(detectable_effects_lines(detectable_effects(plan, None)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (planned(3, 2, 1), "3 folds × 2 generator seeds × 1 seed each; noise: assumed"),
        (planned(seeds=1), "1 seed each); use two seeds or more"),
        (planned(1, 3, 1), "1 arm, 3 generator seeds × 1 seed each); use two seeds or more"),
        (planned(test=1), "one test image can show no difference"),
        (planned(wells=1, group="well"), "one group of 20 test images can show no"),
        (planned(wells=5, group="well"), "20 test images in 5 groups, 1 arm"),
        (planned(3, wells=5, group="well"), "60 test images in 15 groups, 1 arm"),
    ],
)
def test_the_design_and_what_it_lacks_are_shown(plan: SimpleNamespace, words: str) -> None:
    assert words in text(plan)


def test_groups_that_the_split_does_not_keep_together_are_reported() -> None:
    assert "(well: 5)" in text(planned(wells=5))
    assert "“split: {group: well}”" in text(planned(wells=5))
