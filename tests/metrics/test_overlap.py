"""The overlap table holds every pair, every area and nothing else."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import synthbench.metrics.overlap as overlaps
from synthbench.metrics.overlap import label_runs, overlap

LABELS = st.sampled_from([0, 1, 2, 7, 300, 2**31 - 2, 2**31 - 1])


@settings(max_examples=150, deadline=None)
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))
def test_table_is_what_counting_pair_by_pair_gives(data: st.DataObject, shape: tuple[int, ...]) -> None:
    truth = data.draw(hnp.arrays(np.int64, shape, elements=LABELS))
    predicted = data.draw(hnp.arrays(np.uint32, shape, elements=LABELS))
    table = overlap(truth, predicted)
    assert table.true_ids.tolist() == sorted(set(truth.ravel().tolist()) - {0})
    assert table.predicted_ids.tolist() == sorted(set(predicted.ravel().tolist()) - {0})
    assert table.true_areas.tolist() == [(truth == i).sum() for i in table.true_ids]
    assert table.predicted_areas.tolist() == [(predicted == i).sum() for i in table.predicted_ids]
    found = {
        (int(table.true_ids[t]), int(table.predicted_ids[p])): int(n)
        for t, p, n in zip(table.true, table.predicted, table.shared, strict=True)
    }
    expected = {}
    for pair in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if all(pair):
            expected[pair] = expected.get(pair, 0) + 1
    assert found == expected
    for (i, j), value in zip(found, table.iou, strict=True):
        assert value == ((truth == i) & (predicted == j)).sum() / ((truth == i) | (predicted == j)).sum()


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint16, (2, 9, 9), elements=st.sampled_from([0, 1, 2, 3, 7, 300])))
def test_a_table_of_possible_pairs_and_sorted_runs_give_the_same(maps: np.ndarray) -> None:
    quick = overlap(*maps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "MAX_TABLE_SIZE", 0)
        slow = overlap(*maps)
    for part in fields(quick):
        one, other = getattr(quick, part.name), getattr(slow, part.name)
        assert one.dtype == other.dtype == np.int64
        assert one.tolist() == other.tolist()


def test_long_runs_of_the_highest_labels_are_counted_all_the_same() -> None:
    truth = np.full((1500, 1500), 2**31 - 1, np.int64)
    truth[:, ::750] = 2**31 - 2
    table = overlap(truth, truth)
    assert table.true_ids.tolist() == [2**31 - 2, 2**31 - 1]
    assert table.shared.tolist() == table.true_areas.tolist() == [3000, 1500 * 1498]


def test_runs_cover_every_pixel_once() -> None:
    starts, lengths = label_runs(np.array([0, 0, 1, 1, 1]), np.array([5, 5, 5, 5, 6]))
    assert starts.tolist() == [0, 2, 4]
    assert lengths.tolist() == [2, 2, 1]
    assert label_runs(np.zeros(0))[0].size == 0


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.zeros((2, 2), complex), np.array([["a", "b"], ["c", "d"]])])
def test_what_is_no_label_map_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="truth: a label map holds whole numbers"):
        overlap(bad, np.zeros((2, 2), int))
