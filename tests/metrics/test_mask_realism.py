"""Measures of masks: scikit-image and SciPy as oracles, shapes whose answer is plain, and speed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull
from scipy.stats import wasserstein_distance
from skimage.measure import regionprops_table

from synthbench.metrics.mask_realism import MEASURES, compare_masks, label_consistency, measure_masks
from synthbench.metrics.matching import touching
from synthbench.samples import read_array


def hull_area(mask: np.ndarray) -> float:
    corners = [(y + i, x + j) for y, x in np.argwhere(mask) for i in (0, 1) for j in (0, 1)]
    return float(ConvexHull(np.array(corners)).volume)


label_maps = arrays(
    np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 0, 0, 1, 1, 1, 2, 70_000])
)


@settings(max_examples=150, deadline=None)
@given(label_maps)
def test_every_object_is_measured_as_the_slow_ones_do(labels: np.ndarray) -> None:
    found = measure_masks([labels])
    ids = [i for i in np.unique(labels) if i]
    assert found["count"].tolist() == [len(ids)]
    assert found["covered"][0] == pytest.approx((labels > 0).mean())
    np.testing.assert_array_equal(found["area"], [(labels == i).sum() for i in ids])
    np.testing.assert_allclose(
        found["solidity"], [(labels == i).sum() / hull_area(labels == i) for i in ids], rtol=1e-9
    )
    expected = regionprops_table(labels, properties=("eccentricity",))["eccentricity"] if ids else []
    np.testing.assert_allclose(found["eccentricity"], expected, atol=1e-6)
    centres = np.array([np.argwhere(labels == i).mean(axis=0) for i in ids])
    if len(ids) > 1:
        apart = np.linalg.norm(centres[:, None] - centres, axis=2) + np.diag(np.full(len(ids), np.inf))
        np.testing.assert_allclose(found["spacing"], apart.min(axis=1), atol=1e-9)
    else:
        assert len(found["spacing"]) == 0
    assert len(found["touching"]) == bool(ids)
    assert bool(found["touching"].sum()) == touching(labels)


def test_real_cells_are_measured_as_scikit_image_does(real_data: Path) -> None:
    for folder in ("fluo_nuclei_dsb2018/test/labels", "phase_usiigaci/test/labels"):
        masks = [read_array(path) for path in sorted((real_data / folder).glob("*.*"))[:6]]
        found = measure_masks(masks)
        tables = [regionprops_table(mask, properties=("area", "eccentricity", "solidity")) for mask in masks]
        for name, atol in (("area", 0), ("eccentricity", 1e-6)):
            np.testing.assert_allclose(found[name], np.concatenate([t[name] for t in tables]), atol=atol)
        large = found["area"] >= 200
        theirs = np.concatenate([t["solidity"] for t in tables])[large]
        assert np.abs(found["solidity"][large] - theirs).max() < 0.05
        assert np.corrcoef(found["solidity"][large], theirs)[0, 1] > 0.95


def test_plain_shapes() -> None:
    labels = np.zeros((20, 40), np.uint8)
    labels[2:6, 2:12] = 3  # a rectangle
    labels[10:16, 2:4] = labels[14:16, 2:8] = 5  # an L: 20 pixels in a hull of 36 − 8
    labels[6, 12] = 9  # a pixel that touches the rectangle's corner
    labels[18, 20:30] = 11  # a line
    found = measure_masks([labels])
    assert found["area"].tolist() == [40, 20, 1, 10]
    np.testing.assert_allclose(found["solidity"], [1, 20 / 28, 1, 1])
    np.testing.assert_allclose(found["eccentricity"][[0, 2, 3]], [np.sqrt(1 - 15 / 99), 0, 1])
    assert found["touching"].tolist() == [0.5]
    assert found["covered"][0] == pytest.approx(71 / 800)


def test_the_distance_is_scipys_and_the_floor_that_of_other_real_masks() -> None:
    rng = np.random.default_rng(1)
    sets = [measure_masks(_discs(rng, radius) for _ in range(8)) for radius in (5, 4, 4)]
    gaps = compare_masks(*sets)
    assert list(gaps) == list(MEASURES)
    for name, gap in gaps.items():
        assert gap["distance"] == wasserstein_distance(sets[0][name], sets[1][name])
        assert gap["real_vs_real"] == wasserstein_distance(sets[2][name], sets[1][name])
        assert gap["real"] == sets[1][name].mean()
    assert gaps["area"]["distance"] > 20 > 2 * gaps["area"]["real_vs_real"]
    assert compare_masks(*sets[:2])["area"]["real_vs_real"] is None


def test_nothing_to_measure_is_none_and_never_nan() -> None:
    empty, full = measure_masks([np.zeros((5, 5), np.uint8)]), measure_masks([np.ones((5, 5), np.uint8)])
    gaps = compare_masks(empty, full)
    assert gaps["area"] == {"distance": None, "real_vs_real": None, "synthetic": None, "real": 25.0}
    assert gaps["count"] == {"distance": 1.0, "real_vs_real": None, "synthetic": 0.0, "real": 1.0}
    assert gaps["spacing"]["real"] is None
    assert measure_masks([])["area"].shape == (0,)


def test_agreement_is_the_score_of_the_predictions() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[2:8, 2:8], mask[12:18, 12:18] = 1, 2
    found = label_consistency([mask, np.where(mask == 1, 7, 0)], [mask, mask])
    assert found["pooled"]["recall"][0] == 0.75
    assert found["pooled"]["precision"][0] == 1
    assert found["per_image"]["f1"][0] == pytest.approx((1 + 2 / 3) / 2)
    with pytest.raises(ValueError, match=r"^predicted: 1 label maps, .*2 masks"):
        label_consistency([mask], [mask, mask])
    with pytest.raises(ValueError, match=r"^predicted: there are no"):
        label_consistency([], [])


@pytest.mark.parametrize(
    ("mask", "named"),
    [
        (np.zeros((2, 3, 3), int), "number 0 is int64 of shape"),
        (np.zeros((3, 3)), "number 0 is float64"),
        (np.zeros((0, 3), int), "number 0 is int64 of shape"),
        (np.full((3, 3), -1), "number 0 holds -1"),
    ],
)
def test_bad_masks_are_named(mask: np.ndarray, named: str) -> None:
    with pytest.raises(ValueError, match=f"^masks: {named}"):
        measure_masks([mask])


def test_bad_measures_are_named() -> None:
    good = measure_masks([np.eye(4, dtype=int)])
    with pytest.raises(ValueError, match=r"^real: count is missing"):
        compare_masks(good, {k: v for k, v in good.items() if k != "count"})
    with pytest.raises(ValueError, match=r"^others: area is missing, or isn't finite"):
        compare_masks(good, good, {**good, "area": np.array([np.nan])})


def test_a_crowded_image_takes_a_fraction_of_scikit_images_time() -> None:
    mask = _discs(np.random.default_rng(2), 8, size=1000, count=400)
    began = time.process_time()
    found = measure_masks([mask])
    ours = time.process_time() - began
    began = time.process_time()
    regionprops_table(mask, properties=("area", "eccentricity", "solidity"))
    theirs = time.process_time() - began
    print(f"\n{found['count'][0]:.0f} objects in 1000²: {ours * 1e3:.0f} ms, scikit-image {theirs * 1e3:.0f} ms")
    assert ours < theirs / 5


def _discs(rng: np.random.Generator, radius: float, size: int = 100, count: int = 12) -> np.ndarray:
    labels = np.zeros((size, size), np.int32)
    reach = np.arange(-int(radius) - 1, int(radius) + 2)
    disc = reach[:, None] ** 2 + reach**2 <= radius**2
    for label, (y, x) in enumerate(rng.integers(0, size - len(reach), (count, 2)), 1):
        labels[y : y + len(reach), x : x + len(reach)][disc] = label
    return labels


def test_what_is_covered_is_a_share_of_the_known_pixels() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[:2, :5], labels[6:8, :5] = 1, 2
    region = np.zeros((10, 10), bool)
    region[5:] = True
    found = measure_masks([labels], [region])
    assert (found["count"].tolist(), found["area"].tolist(), found["covered"].tolist()) == ([1.0], [10.0], [0.2])
    nothing = measure_masks([labels], [np.ones((10, 10), bool)])
    assert all(len(values) == 0 for values in nothing.values())
    for name, values in measure_masks([labels, labels], [None, region]).items():
        np.testing.assert_array_equal(values, np.concatenate([measure_masks([labels])[name], found[name]]))
