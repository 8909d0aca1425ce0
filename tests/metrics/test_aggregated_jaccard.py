"""The three aggregated Jaccard indices: against loops over masks, against Cellpose, and by hand."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings

from helpers.label_maps import label_pairs, renumbered
from synthbench.metrics import aggregated_jaccard
from synthbench.metrics.aggregated_jaccard import (
    AggregatedJaccard,
    aji,
    aji_cellpose,
    aji_plus,
    per_image_aji,
    pooled_aji,
)
from synthbench.metrics.overlap import overlap

Pair = tuple[np.ndarray, np.ndarray]


def masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == i for i in np.unique(labels) if i]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def kumar(truth: np.ndarray, predicted: np.ndarray) -> AggregatedJaccard:
    """Algorithm 1 of the paper, line by line."""
    shared = union = 0
    found, used = masks(predicted), set()
    for true in masks(truth):
        scores = [iou(true, one) for one in found]
        if not any(scores):
            union += true.sum()
            continue
        best = int(np.argmax(scores))
        shared += (true & found[best]).sum()
        union += (true | found[best]).sum()
        used.add(best)
    union += sum(one.sum() for i, one in enumerate(found) if i not in used)
    return AggregatedJaccard(int(shared), int(union))


def best_matchings(truth: np.ndarray, predicted: np.ndarray, bonus: float) -> Iterator[list[tuple[int, int]]]:
    """Every one-to-one matching with the largest sum of IoUs, where a pair of IoU ≥ 0.5 counts `bonus` more."""
    true, found = masks(truth), masks(predicted)
    turned = len(true) > len(found)
    rows, columns = (found, true) if turned else (true, found)
    gains = np.array([[(s := iou(a, b)) + bonus * (s >= 0.5) for b in columns] for a in rows])
    choices = [list(enumerate(choice)) for choice in itertools.permutations(range(len(columns)), len(rows))]
    sums = [sum(gains[i, j] for i, j in choice) for choice in choices]
    for choice, total in zip(choices, sums, strict=True):
        if total > max(sums) - 1e-9:
            yield [(j, i) if turned else (i, j) for i, j in choice if gains[i, j] > 0]


def plus(truth: np.ndarray, predicted: np.ndarray) -> set[AggregatedJaccard]:
    true, found = masks(truth), masks(predicted)
    values = set()
    for matching in best_matchings(truth, predicted, 0.0):
        shared = sum((true[i] & found[j]).sum() for i, j in matching)
        union = sum((true[i] | found[j]).sum() for i, j in matching)
        union += sum(m.sum() for i, m in enumerate(true) if i not in {i for i, _ in matching})
        union += sum(m.sum() for j, m in enumerate(found) if j not in {j for _, j in matching})
        values.add(AggregatedJaccard(int(shared), int(union)))
    return values


def one_union(truth: np.ndarray, predicted: np.ndarray) -> set[AggregatedJaccard]:
    true, found = masks(truth), masks(predicted)
    union = int(((truth > 0) | (predicted > 0)).sum())
    matchings = best_matchings(truth, predicted, 2.0 * (1 + len(true)))
    return {AggregatedJaccard(int(sum((true[i] & found[j]).sum() for i, j in m)), union) for m in matchings}


@settings(max_examples=200)
@given(label_pairs(most=6))
def test_aji_is_the_papers_algorithm(pair: Pair) -> None:
    assert aji(overlap(*pair)) == kumar(*pair)


@settings(max_examples=150)
@given(label_pairs(most=5))
def test_aji_plus_is_that_of_a_matching_with_the_largest_sum(pair: Pair) -> None:
    assert aji_plus(overlap(*pair)) in plus(*pair)


@settings(max_examples=150)
@given(label_pairs(most=5))
def test_the_cellpose_variant_is_that_of_a_matching_it_may_choose(pair: Pair) -> None:
    assert aji_cellpose(overlap(*pair)) in one_union(*pair)


@settings(max_examples=100)
@given(label_pairs(most=5))
def test_the_cellpose_variant_is_cellposes(pair: Pair) -> None:
    theirs = pytest.importorskip("cellpose.metrics").aggregated_jaccard_index
    truth, predicted = map(renumbered, pair)
    possible = {value.value for value in one_union(truth, predicted)}
    if not truth.any() or not predicted.any():
        assert aji_cellpose(overlap(*pair)).value == 0  # Cellpose answers NaN, or not at all
        return
    (expected,) = theirs([truth], [predicted])
    if len(possible) == 1:
        assert aji_cellpose(overlap(*pair)).value == pytest.approx(expected, abs=1e-12)
    assert min(abs(expected - value) for value in possible) < 1e-12


@pytest.mark.parametrize("size", [40, 160])
@pytest.mark.parametrize("seed", range(5))
def test_crowds_of_touching_cells_match_as_one_dense_assignment_does(seed: int, size: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng((4, seed))
    coarse = rng.integers(0, 60, (2, size // 5, size // 5))
    truth, predicted = (np.kron(part, np.ones((5, 5), int)) for part in coarse)
    noise = rng.uniform(size=truth.shape) < rng.uniform(0.2, 0.6)
    predicted = np.where(noise, predicted, truth)
    table = overlap(truth, predicted)
    dense, shared = (np.zeros((len(table.true_ids), len(table.predicted_ids))) for _ in range(2))
    dense[table.true, table.predicted], shared[table.true, table.predicted] = table.iou, table.shared
    chosen = optimize.linear_sum_assignment(dense, maximize=True)
    areas = table.true_areas.sum() + table.predicted_areas.sum()
    matched = int(shared[chosen].sum())
    assert aji_plus(table) == AggregatedJaccard(matched, int(areas) - matched)


def test_one_input_has_three_indices_under_one_name() -> None:
    truth = np.array([[1, 1, 2, 2, 0, 4, 4, 4, 4]])
    predicted = np.array([[3, 3, 3, 3, 3, 5, 5, 6, 6]])
    table = overlap(truth, predicted)
    assert aji(table) == AggregatedJaccard(2 + 2 + 2, 5 + 5 + 4 + 2)
    assert aji_plus(table) == AggregatedJaccard(2 + 2, 5 + 2 + 4 + 2)
    assert aji_cellpose(table) == AggregatedJaccard(2 + 2, 9)


@pytest.mark.parametrize("index", [aji, aji_plus, aji_cellpose])
def test_the_ends_of_the_scale(index: Callable) -> None:
    cells, nothing = np.array([[1, 1, 0], [0, 0, 2]]), np.zeros((2, 3), int)
    assert index(overlap(cells, cells)).value == 1
    assert index(overlap(cells, cells[::-1])).value == 0
    assert index(overlap(cells, nothing)) == index(overlap(nothing, cells)) == AggregatedJaccard(0, 3)
    assert index(overlap(nothing, nothing)) == AggregatedJaccard(0, 0)
    assert index(overlap(nothing, nothing)).value == 0
    assert index(overlap(np.zeros((0, 4), int), np.zeros((0, 4), int))).value == 0


def test_images_without_instances_are_in_no_mean() -> None:
    images = [AggregatedJaccard(1, 2), AggregatedJaccard(0, 0), AggregatedJaccard(0, 8)]
    assert pooled_aji(images) == pytest.approx(1 / 10)
    assert per_image_aji(images) == pytest.approx(1 / 4)
    assert pooled_aji(images[1:2]) == per_image_aji(images[1:2]) == 0
    for mean in (pooled_aji, per_image_aji):
        with pytest.raises(ValueError, match=r"^images: "):
            mean([])


def test_the_example_is_true() -> None:
    assert doctest.testmod(aggregated_jaccard) == (0, 4)
