"""Tuning: finds the values that score best, and stays put where there is nothing to choose by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from synthbench.plugin.api import Stopped
from synthbench.samples import Sample, SampleSet
from synthbench.toolkit.training.threshold_tuning import subsample, tune

GRID = {"level": (0.2, 0.4, 0.6, 0.8), "grow": (0, 1, 2)}
START = {"level": 0.2, "grow": 0}


def truth() -> np.ndarray:
    labels = np.zeros((20, 40), np.uint8)
    labels[4:16, 4:16] = 1
    labels[4:16, 24:36] = 2
    return labels


def decode(index: int, values: Mapping[str, Any]) -> np.ndarray:
    """The truth, cut back by `grow`; with the wrong level, noise is found beside it."""
    labels = truth()
    cut = values["grow"] * 2
    labels[: 4 + cut] = 0
    if values["level"] != 0.6:
        labels[18:, :3] = 3
    return labels


def test_the_best_values_are_found() -> None:
    assert tune(decode, [truth()], GRID, {"level": 0.2, "grow": 2}) == {"level": 0.6, "grow": 0}


def test_no_value_is_tried_twice() -> None:
    tried = []

    def watched(index: int, values: Mapping[str, Any]) -> np.ndarray:
        tried.append(tuple(values.values()))
        return decode(index, values)

    tune(watched, [truth()], GRID, START)
    assert len(tried) == len(set(tried)) <= 12


def test_without_objects_nothing_is_chosen() -> None:
    blank = np.zeros((8, 8), np.uint8)
    assert tune(decode, [blank, blank], GRID, START) == START
    assert tune(decode, [], GRID, START) == START


def test_a_tie_leaves_the_start() -> None:
    assert tune(lambda index, values: truth(), [truth()], GRID, START) == START


def test_the_search_can_be_stopped() -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        tune(decode, [truth()], GRID, START, before_trial=stop)


def test_a_portion_is_spread_over_the_set() -> None:
    blank = np.zeros((10, 10), np.uint8)
    samples = SampleSet.of([Sample(f"s{i}", blank, blank) for i in range(10)])
    assert subsample(samples, 1000) == list(range(10))
    assert subsample(samples, 500) == [0, 2, 4, 6, 8]
    assert subsample(samples, 1) == [0]
    assert subsample(SampleSet.of([]), 1) == []


def test_what_is_found_in_the_ignore_region_doesnt_decide():
    """Without the region "few" is better; what only "many" finds beside the object lies in it."""
    truth, found = np.zeros((2, 12, 12), np.uint8)
    truth[2:6, 2:6] = found[2:5, 2:6] = 1
    many = truth.copy()
    many[2:6, 8:12], many[8:12, 8:12] = 2, 3
    region = np.zeros(truth.shape, bool)
    region[:, 7:] = True
    answers = {"few": found, "many": many}
    how = {"decode": lambda _, values: answers[values["how"]], "truths": [truth], "grid": {"how": ["few", "many"]}}
    assert tune(**how, start={"how": "few"}) == {"how": "few"}
    assert tune(**how, start={"how": "few"}, ignores=[region]) == {"how": "many"}
