"""Label maps as they come (gaps, ids to 2³¹ − 1, any memory, no side, lone pixels): StarDist, Cellpose, loops."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.label_maps import label_pairs, renumbered
from synthbench.metrics.matching import IOU_THRESHOLDS, PANOPTIC_IOU, count, per_image, pooled, quality, touching

Pair = tuple[np.ndarray, np.ndarray]


def masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == i for i in np.unique(labels) if i]


def divided(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


@settings(max_examples=150)
@given(label_pairs(), st.sampled_from([0.5, PANOPTIC_IOU, 0.55, 0.75, 0.95, 1.0]))
def test_every_figure_of_an_image_is_what_loops_over_masks_give(pair: Pair, threshold: float) -> None:
    true, found = map(masks, pair)
    ious = np.array([[(a & b).sum() / (a | b).sum() for b in found] for a in true]).reshape(len(true), len(found))
    order = sorted(itertools.product(range(len(true)), range(len(found))), key=lambda ij: -ious[ij])
    free_true, free_found, scores = set(range(len(true))), set(range(len(found))), []
    for i, j in order:
        if ious[i, j] >= threshold and i in free_true and j in free_found:
            free_true.remove(i)
            free_found.remove(j)
            scores.append(ious[i, j])
    tp, fp, fn = len(scores), len(free_found), len(free_true)
    counts = count(*pair, [threshold])
    assert (counts.tp[0], counts.fp[0], counts.fn[0]) == (tp, fp, fn)
    assert counts.empty == (tp + fp + fn == 0)
    assert counts.dice == pytest.approx(
        divided(2 * ((pair[0] > 0) & (pair[1] > 0)).sum(), (pair[0] > 0).sum() + (pair[1] > 0).sum())
    )
    figures = {**pooled([counts]), **quality([counts])}
    expected = {
        "precision": divided(tp, tp + fp),
        "recall": divided(tp, tp + fn),
        "f1": divided(2 * tp, 2 * tp + fp + fn),
        "jaccard_ap": divided(tp, tp + fp + fn),
        "sq": divided(sum(scores), tp),
        "rq": divided(tp, tp + fp / 2 + fn / 2),
        "pq": divided(sum(scores), tp + fp / 2 + fn / 2),
    }
    assert {name: values[0] for name, values in figures.items()} == pytest.approx(expected)
    for name, values in {**per_image([counts]), **quality([counts], by_image=True)}.items():
        assert values[0] == pytest.approx(expected[name])


@settings(max_examples=100)
@given(label_pairs(most=9))
def test_stardist_counts_the_same_and_names_sq_and_pq_otherwise(pair: Pair) -> None:
    matching = pytest.importorskip("stardist.matching").matching
    counts = count(*pair)
    if not pair[0].size:
        assert counts.empty
        return
    expected = matching(renumbered(pair[0]), renumbered(pair[1]), thresh=IOU_THRESHOLDS)
    scores = {**pooled([counts]), **quality([counts])}
    for i, one in enumerate(expected):
        assert (counts.tp[i], counts.fp[i], counts.fn[i]) == (one.tp, one.fp, one.fn)
        assert scores["jaccard_ap"][i] == pytest.approx(one.accuracy)
        assert scores["sq"][i] == pytest.approx(one.mean_matched_score, abs=1e-6)
        assert scores["pq"][i] == pytest.approx(one.panoptic_quality, abs=1e-6)


@settings(max_examples=60)
@given(label_pairs(most=9))
def test_cellpose_counts_the_same(pair: Pair) -> None:
    average_precision = pytest.importorskip("cellpose.metrics").average_precision
    counts = count(*pair)
    if not pair[0].any() or not pair[1].any():
        assert not counts.tp.any()  # Cellpose divides 0 by 0
        return
    ap, tp, fp, fn = average_precision(renumbered(pair[0]), renumbered(pair[1]), list(IOU_THRESHOLDS))
    assert (counts.tp.tolist(), counts.fp.tolist(), counts.fn.tolist()) == (tp.tolist(), fp.tolist(), fn.tolist())
    np.testing.assert_allclose(pooled([counts])["jaccard_ap"], ap, atol=1e-6)


@settings(max_examples=100)
@given(label_pairs())
def test_touching_is_what_a_walk_from_pixel_to_pixel_finds(pair: Pair) -> None:
    for labels in pair:
        height, width = labels.shape
        near = [
            (labels[y, x], labels[v, u])
            for y, x in np.ndindex(height, width)
            for v, u in itertools.product(range(y - 1, y + 2), range(x - 1, x + 2))
            if 0 <= v < height and 0 <= u < width
        ]
        assert touching(labels) == any(a != b and a and b for a, b in near)


def test_every_pixel_an_instance() -> None:
    truth = np.arange(1, 10_001).reshape(100, 100)
    predicted = (2**31 - truth).astype(np.uint32)
    predicted[0] = 0
    counts = count(truth, predicted)
    assert counts.tp.tolist() == [9900] * 10
    assert (counts.fp[0], counts.fn[0]) == (0, 100)


@pytest.mark.parametrize("shape", [(0, 0), (0, 9), (9, 0)])
def test_no_pixels_no_instances_no_nan(shape: tuple[int, int]) -> None:
    counts = count(np.zeros(shape, np.uint16), np.zeros(shape, np.int64))
    assert counts.empty
    for scores in (pooled([counts]), per_image([counts]), quality([counts]), quality([counts], by_image=True)):
        assert all((values == 0).all() for values in scores.values())


@pytest.mark.parametrize(
    ("before", "thresholds"),
    [("numpy, numpy.typing", "[0.5]"), ("numpy, numpy.typing, scipy.optimize, scipy.sparse.csgraph", "[0.2, 0.5]")],
)
def test_scoring_label_maps_loads_numpy_and_for_rivals_scipy_and_nothing_else(before: str, thresholds: str) -> None:
    code = f"""
import sys, {before}
before = set(sys.modules)
from synthbench.metrics import coco, matching, overlap, semantic
from synthbench.metrics import aggregated_jaccard
cells = numpy.kron([[1, 2], [3, 0]], numpy.ones((4, 4), int))
table = overlap.overlap(cells, numpy.roll(cells, 2))
matching.quality([matching.count_overlap(table, {thresholds})])
aggregated_jaccard.aji(table)
if "scipy" in sys.modules:
    aggregated_jaccard.aji_plus(table)
print(*{{name.partition(".")[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"synthbench"}
