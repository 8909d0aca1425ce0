"""Arms decided from tables: looks, what comes next, and that only the trainings matter, not how they came about."""

from __future__ import annotations

import pandas as pd
import pytest

from helpers.crossed import images
from synthbench.statistics import decide_arms

GOOD, SAME, *REST = NAMES = [f"real + {name} × 1" for name in ("g", "g1", "g2", "g3")]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Six seeds of an arm that is much better, and of three without effect."""
    return images(
        0.15, seeds=6, arms=4, only_first=True, count=80, image_spread=0.02, effect_spread=0.01, seed_spread=0.004
    )


def decided(table: pd.DataFrame, seeds: int | dict[str, int], margin: float = 0.05, **choices):
    done = dict.fromkeys(["real", *NAMES], seeds) if isinstance(seeds, int) else seeds
    return decide_arms(table, NAMES, 6, margin, done=done, **choices)


def test_an_arm_that_is_decided_keeps_its_seeds_and_the_others_get_more(table: pd.DataFrame) -> None:
    before = decided(table, 0)
    assert before.is_open
    assert set(before.wanted.values()) == {2}
    first = decided(table, 2)
    good = first.arms[GOOD]
    assert (good.state, good.direction, good.seeds, good.within) == ("decided", 1, 2, False)
    assert good.low > 0
    assert good.p < 0.05
    strict = decided(table, 2, margin=0.004)
    assert strict.arms[GOOD].state == "decided"
    assert all(strict.arms[name].direction == 0 for name in NAMES[1:])


def test_arms_without_effect_are_within_the_margin_and_nothing_more_is_wanted(table: pd.DataFrame) -> None:
    found = decided(table, 6)
    assert all(found.arms[name].within for name in NAMES[1:])
    assert not found.is_open
    assert found.wanted == {"real": found.wanted["real"], **{name: arm.seeds for name, arm in found.arms.items()}}


def test_seeds_beyond_a_decision_change_nothing(table: pd.DataFrame) -> None:
    """A study of six fixed seeds comes to what a study that was trained in rounds comes to."""
    every = decided(table, 6)
    used = every.used()
    rounds = table[table["seed"].astype(int) < table["arm"].map(used)]
    assert len(rounds) < len(table)
    again = decided(rounds, used)
    assert again.arms == every.arms


def test_a_look_waits_for_all_open_arms(table: pd.DataFrame) -> None:
    found = decided(table, {"real": 3, GOOD: 3, SAME: 1, REST[0]: 3, REST[1]: 3})
    assert all(arm.seeds == 0 and arm.state == "open" for arm in found.arms.values())
    assert found.wanted[SAME] == 2


def test_an_arm_whose_training_failed_is_set_aside_and_counts_in_the_correction(table: pd.DataFrame) -> None:
    found = decided(table, {"real": 3, GOOD: 3, SAME: 1, REST[0]: 3, REST[1]: 3}, failed=frozenset([SAME]))
    assert found.arms[SAME].state == "failed"
    good = found.arms[GOOD]
    assert good.state == "decided"
    assert good.p == pytest.approx(min(4 * good.p_single, 1))
    lost = decided(table, {"real": 1, **dict.fromkeys(NAMES, 3)}, failed=frozenset(["real"]))
    assert {arm.state for arm in lost.arms.values()} == {"failed"}
    assert not lost.is_open


def test_without_stopping_all_seeds_of_an_arm_are_looked_at(table: pd.DataFrame) -> None:
    found = decided(table, {"real": 6, GOOD: 2, SAME: 5, REST[0]: 6, REST[1]: 6}, stop=False)
    assert [found.arms[name].seeds for name in NAMES] == [2, 5, 6, 6]


def test_where_all_have_ended_no_arm_waits_for_another(table: pd.DataFrame) -> None:
    """As of joined results: GOOD has one seed of the two of the first look, and the others go on without it."""
    found = decided(table, {"real": 6, GOOD: 1, SAME: 3, REST[0]: 2, REST[1]: 6}, margin=0.004, ended=True)
    assert [found.arms[name].seeds for name in NAMES] == [0, 3, 2, 6]
    assert found.arms[GOOD].state == "open"
    assert pd.isna(found.arms[GOOD].value)
    alone = decided(table, {"real": 3, GOOD: 1, SAME: 3, REST[0]: 2, REST[1]: 3}, margin=0.004, ended=True)
    assert alone.arms[SAME] == found.arms[SAME]


def test_test_images_alone_can_leave_more_than_the_margin(table: pd.DataFrame) -> None:
    few = images(0.0, seeds=4, arms=4, count=6, image_spread=0.1, effect_spread=0.1, seed_spread=0.001)
    found = decided(few, 4, margin=0.005)
    stopped = [arm for arm in found.arms.values() if arm.state == "stopped"]
    assert stopped
    assert all(arm.limit > 0.005 for arm in stopped)


def test_intervals_are_wider_than_those_of_fixed_seeds(table: pd.DataFrame) -> None:
    from synthbench.statistics import compare

    arm = decided(table[table["seed"].astype(int) < 2], 2).arms[GOOD]
    fixed = compare(table[table["seed"].astype(int) < 2]).differences[GOOD]
    assert arm.value == pytest.approx(fixed.value)
    assert arm.high - arm.low > fixed.high - fixed.low
    assert (arm.high - arm.low) / arm.widening == pytest.approx(fixed.high - fixed.low, rel=0.1)


def test_one_test_image_stops_everything() -> None:
    found = decided(images(0.1, seeds=6, arms=4, count=1), 6)
    assert {arm.state for arm in found.arms.values()} == {"stopped"}
    assert not found.is_open
