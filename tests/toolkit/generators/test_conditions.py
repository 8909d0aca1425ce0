"""Conditions: what a network is told of the groups of the samples, and how often each is drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthbench import Config, Sample, SampleSet
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.toolkit.generators.conditions import UNKNOWN, ConditionConfig, Conditions, apportion

BOTH = ["cell_type", "stage"]


@pytest.fixture(scope="module")
def cultures() -> SampleSet:
    """Three lines: A and B are imaged early and late, C only early; B early is twice as frequent as the others."""
    kinds = [("A", "early"), ("A", "late"), ("B", "early"), ("B", "early"), ("B", "late"), ("C", "early")]
    flat = np.zeros((8, 8), np.uint8)
    return SampleSet.of(
        Sample(f"s{k}", flat + k, flat + 1, {"cell_type": line, "stage": stage, "well": "w"})
        for k, (line, stage) in enumerate(kinds)
    )


def conditions(train: SampleSet, default: str = "cell_type", **config: Any) -> Conditions:
    return Conditions.of(train, ConditionConfig(**config), default)


def test_one_group_gives_as_many_classes_as_it_has_values(cultures: SampleSet) -> None:
    found = conditions(cultures)
    assert (found.groups, found.values) == (("cell_type",), (("A", "B", "C"),))
    assert found.classes == (0, 0, 1, 1, 1, 2)
    assert found.fractions == pytest.approx([2 / 6, 3 / 6, 1 / 6])
    assert found.groups_of(4) == {"cell_type": "B"}
    assert found.one_hot.tolist() == np.eye(3)[[0, 0, 1, 1, 1, 2]].tolist()


def test_two_groups_give_the_combinations_that_training_samples_have(cultures: SampleSet) -> None:
    found = conditions(cultures, condition_on=BOTH)
    assert found.members == ((0, 0), (0, 1), (1, 0), (1, 0), (1, 1), (2, 0))
    assert found.combinations == ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))
    assert found.classes == (0, 1, 2, 2, 3, 4)
    assert found.class_count == 5
    assert found.one_hot[1].tolist() == [1, 0, 0, 0, 1]
    assert found.groups_of(1) == {"cell_type": "A", "stage": "late"}


def test_of_any_other_sample_what_is_known_is_told(cultures: SampleSet) -> None:
    found = conditions(cultures, condition_on=BOTH)
    assert found.indices({"cell_type": "B"}) == (1, UNKNOWN)
    assert found.indices({"cell_type": "Z", "stage": "late"}) == (UNKNOWN, 1)
    assert found.encode({"cell_type": "Z", "stage": "late"}).tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("default", "config"),
    [
        ("cell_type", {"condition_on": []}),
        ("cell_type", {"condition_on": ""}),
        ("cell_type", {"condition_on": "well"}),  # the same everywhere
        ("", {}),
        ("plate", {}),
    ],
)
def test_without_groups_there_is_a_single_class(cultures: SampleSet, default: str, config: dict[str, Any]) -> None:
    found = conditions(cultures, default, **config)
    assert (found.groups, found.class_count, set(found.classes), found.fractions) == ((), 0, {0}, [1.0])
    assert found.one_hot.shape == (6, 0)
    assert found.groups_of(3) == {}
    assert found.choose(5, 0) is None


def test_another_configuration_has_no_conditions(cultures: SampleSet) -> None:
    assert Conditions.of(cultures, Config(), "cell_type") == Conditions.none(6)


@pytest.mark.parametrize("seed", range(3))
def test_conditions_are_drawn_exactly_as_often_as_asked(cultures: SampleSet, seed: int) -> None:
    asked = {"A": 0.5, "B": 0.3, "C": 0.2}
    found = conditions(cultures, draw={"cell_type": asked})
    drawn = [found.choose(index, seed) for index in range(200)]
    lines = [found.groups_of(position)["cell_type"] for position in drawn]
    for n in range(1, 201):
        counts = Counter(lines[:n])
        assert all(abs(counts[line] - n * p) < 1 for line, p in asked.items())
    assert Counter(lines) == {"A": 100, "B": 60, "C": 40}
    assert set(drawn) == set(range(6))
    assert drawn[150] == found.choose(150, seed)
    assert drawn != [found.choose(index, seed + 1) for index in range(200)]


def test_a_group_that_isnt_asked_for_follows_the_training_samples(cultures: SampleSet) -> None:
    found = conditions(cultures, condition_on=BOTH, draw={"cell_type": {"B": 1}})
    drawn = Counter(found.groups_of(found.choose(index, 0))["stage"] for index in range(300))
    assert drawn["early"] == pytest.approx(200, abs=30)


def test_several_groups_are_asked_for_independently(cultures: SampleSet) -> None:
    draw = {"cell_type": {"A": 0.5, "B": 0.5}, "stage": {"early": 0.2, "late": 0.8}}
    found = conditions(cultures, draw=draw)
    assert found.groups == ("cell_type", "stage")
    drawn = Counter(tuple(found.groups_of(found.choose(index, 0)).values()) for index in range(100))
    assert drawn == {("A", "early"): 10, ("A", "late"): 40, ("B", "early"): 10, ("B", "late"): 40}


@pytest.mark.parametrize(
    ("error", "config", "named"),
    [
        (DataError, {"condition_on": ["cell-type"]}, "did you mean 'cell_type'"),
        (DataError, {"draw": {"plate": {"1": 1}}}, "plate"),
        (ConfigError, {"draw": {"cell_type": {"A": 0.5, "D": 0.5}}}, "there are: A, B, C"),
        (ConfigError, {"draw": {"stage": {"erly": 1}}}, "did you mean 'early'"),
        (ConfigError, {"draw": {"cell_type": {"C": 1}, "stage": {"late": 1}}}, "'C' and stage 'late'"),
        (ValueError, {"draw": {"cell_type": {"A": 0.5, "B": 0.4}}}, "sum to 0.9"),
        (ValueError, {"draw": {"cell_type": {"A": 1.5, "B": -0.5}}}, "cell_type must be numbers of 0 or more"),
        (ValueError, {"draw": {"cell_type": {}}}, "sum to 0"),
        (ValueError, {"condition_on": ["stage"], "draw": {"cell_type": {"A": 1}}}, "isn't in condition_on"),
        (ValueError, {"draw": "validation"}, "draw"),
    ],
)
def test_what_cant_be_drawn_is_refused(
    cultures: SampleSet, error: type[Exception], config: dict[str, Any], named: str
) -> None:
    with pytest.raises(error, match=named):
        conditions(cultures, **config)


def test_what_was_saved_is_the_same(cultures: SampleSet, tmp_path: Path) -> None:
    found = conditions(cultures, condition_on=BOTH, draw={"cell_type": {"A": 0.4, "C": 0.6}})
    found.save(tmp_path / "conditions.json")
    assert Conditions.load(tmp_path / "conditions.json") == found
    (tmp_path / "conditions.json").write_text("{}")
    with pytest.raises(StoreError, match=r"conditions\.json"):
        Conditions.load(tmp_path / "conditions.json")


@pytest.mark.parametrize("proportions", [(1.0,), (0.5, 0.5), (1 / 3, 2 / 3), (0.7, 0.2, 0.1), (0.02,) * 50])
def test_a_sequence_keeps_its_proportions_from_the_beginning(proportions: tuple[float, ...]) -> None:
    order = apportion(proportions, 400, np.random.default_rng(0))
    counts = np.cumsum(np.eye(len(proportions))[order], axis=0)
    expected = np.arange(1, 401)[:, None] * np.array(proportions)
    assert np.abs(counts - expected).max() <= 1 - 1 / max(2, 2 * len(proportions) - 2) + 1e-6
    assert apportion(proportions, 100, np.random.default_rng(0)).tolist() == order[:100].tolist()


@pytest.mark.parametrize(
    ("config", "groups"),
    [
        ({}, ()),
        ({"condition_on": ["stage"]}, ("stage",)),
        ({"condition_on": []}, ()),
        ({"draw": {"cell_type": {"A": 1}}}, ("cell_type",)),
    ],
)
def test_groups_that_are_named_are_required(config: dict[str, Any], groups: tuple[str, ...]) -> None:
    assert ConditionConfig(**config).required_groups() == groups
