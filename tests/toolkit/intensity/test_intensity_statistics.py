"""The light of images and of their objects: measured, brought to one scale, paint_objects, and lent to new objects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synthbench.toolkit.intensity.intensity_statistics import (
    edge_sharpness,
    intensity_statistics,
    object_statistics,
    paint_objects,
    sample_similar_objects,
    standardise,
)


def two_levels(strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy planes, objects four times as noisy as the ground, and where the objects are."""
    classes = np.zeros((128, 128), int)
    classes[32:96, 32:96] = 1
    white = np.random.default_rng(0).standard_normal((1, 128, 128))
    slope = np.linspace(0, 0.2, 128)
    return (np.where(classes, 0.4 + 4 * strength * white, -0.6 + strength * white) + slope).astype(np.float32), classes


def test_appearance_measures_levels_and_spreads():
    planes, classes = two_levels(0.01)
    low, low_spread, high, high_spread = intensity_statistics(planes, classes, 2)
    assert (low, high) == pytest.approx((-0.5, 0.5), abs=0.02)
    assert (low_spread, high_spread) == pytest.approx((0.17, 0.13), abs=0.02)
    assert np.isnan(intensity_statistics(planes, classes, 3)[4:]).all()


def test_unknown_numbers_of_an_image_are_the_usual_ones():
    rows = [np.array([1.0, np.nan]), np.array([3.0, 5.0]), np.array([2.0, 7.0])]
    table = standardise(rows)
    assert np.allclose(table[:, 0], [-1.2247, 1.2247, 0], atol=1e-4)
    assert np.allclose(table[:, 1], [0, -1, 1], atol=1e-4)


def test_objects_are_measured_and_painted():
    labels = np.zeros((6, 8), int)
    labels[1:3, 1:4], labels[4:6, 5:8] = 4, 9
    planes = np.stack([labels / 10.0, labels / 20.0])
    planes[0, 1, 1] = 0.7
    table = object_statistics(planes, labels)
    assert table[:, 0].tolist() == pytest.approx([np.log(6), np.log(6)])
    assert table[:, 1:3].tolist() == [pytest.approx([0.4, 0.2]), pytest.approx([0.9, 0.45])]
    assert table[1, 3] == pytest.approx(0, abs=1e-6)
    assert table[0, 3] > 0.05
    light = paint_objects(labels, table[:, 1:])
    assert light.shape == (3, 6, 8)
    assert np.allclose(light[0], np.where(labels == 4, 0.4, np.where(labels == 9, 0.9, 0)))


def test_crispness_falls_with_blur_whatever_the_contrast():
    rows, columns = np.mgrid[:64, :64]
    disks = [(rows - at) ** 2 + (columns - at) ** 2 < radius**2 for at, radius in ((20, 10), (44, 8))]
    labels = 3 * disks[0] + 5 * disks[1]
    light = np.where(labels > 0, 0.6, -0.8)
    for sigma, steep in ((0.5, 0.42), (1, 0.31), (2, 0.22)):
        blurred = ndimage.gaussian_filter(light, sigma)[None]
        assert edge_sharpness(blurred, labels).tolist() == pytest.approx([steep, steep], abs=0.015)
        assert np.allclose(edge_sharpness(0.3 * blurred, labels), edge_sharpness(blurred, labels), atol=1e-5)
        assert np.allclose(edge_sharpness(-blurred, labels), edge_sharpness(blurred, labels), atol=1e-5)


def test_crispness_is_unknown_without_contrast_or_background():
    labels = np.zeros((32, 32), int)
    labels[4:12, 4:12], labels[20:28, 20:28] = 1, 2
    light = np.where(labels == 1, 0.5, 0.0)[None]
    first, second = edge_sharpness(light, labels)
    assert first > 0.3
    assert np.isnan(second)
    everywhere = np.where(labels == 0, 3, labels)
    assert np.isnan(edge_sharpness(light, everywhere)).all()
    assert edge_sharpness(light, np.zeros_like(labels)).shape == (0,)


def test_new_objects_borrow_the_light_of_donors_of_their_size():
    labels = np.zeros((40, 40), int)
    labels[0:3, 0:3], labels[10:30, 10:30] = 1, 2
    small, large = [np.log(9.0), -0.5, 0.1], [np.log(400.0), 0.5, 0.2]
    donors = np.array([small] * 5 + [large] * 5, np.float32)
    light = sample_similar_objects(labels, donors, np.random.default_rng(0))
    assert light.tolist() == [pytest.approx(small[1:]), pytest.approx(large[1:])]
    assert sample_similar_objects(np.zeros((4, 4), int), donors, np.random.default_rng(0)).shape == (0, 2)


def test_large_ids_cost_nothing():
    rows, columns = np.mgrid[:64, :64]
    labels = np.where((rows - 30) ** 2 + (columns - 30) ** 2 < 100, 7, 0)
    planes = ndimage.gaussian_filter(np.where(labels, 0.6, -0.8), 1)[None]
    assert np.array_equal(edge_sharpness(planes, np.where(labels, 2_000_000_000, 0)), edge_sharpness(planes, labels))
