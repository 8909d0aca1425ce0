"""Pixel noise: measured past shapes, and laid over what lacks it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synthbench.toolkit.intensity.pixel_noise import match_noise, measure_noise


@pytest.fixture
def classes() -> np.ndarray:
    down, right = np.mgrid[:128, :128]
    return (np.hypot(down - 64, right - 64) < 40).astype(int)


@pytest.mark.parametrize("own", [0.0, 0.02, 0.05])
def test_what_is_lacking_is_added_by_class_and_no_more(classes: np.ndarray, own: float) -> None:
    rng = np.random.default_rng(0)
    shapes = ndimage.gaussian_filter(classes.astype(float), 3)
    planes = np.stack([0.5 * shapes - 0.2, 0.3 * shapes]).astype(np.float32)
    planes += rng.normal(0, own, planes.shape).astype(np.float32) if own else 0
    wanted = np.array([[0.02, 0.01], [0.05, 0.03]], np.float32)
    found = match_noise(planes, classes, wanted, rng)
    assert found.dtype == np.float32
    assert measure_noise(found, classes, 2) == pytest.approx(np.maximum(wanted, own), rel=0.1)


def test_planes_stay_within_their_range_and_follow_the_generator(classes: np.ndarray) -> None:
    planes, wanted = np.full((1, 128, 128), -0.99, np.float32), np.full((2, 1), 0.1, np.float32)
    one, again = (match_noise(planes, classes, wanted, np.random.default_rng(3)) for _ in range(2))
    assert one.min() == -1.0
    assert np.array_equal(one, again)
    assert not np.array_equal(one, match_noise(planes, classes, wanted, np.random.default_rng(4)))


def test_noise_is_measured_per_class_whatever_the_shading():
    square = np.zeros((128, 128), int)
    square[32:96, 32:96] = 1
    white, slope = np.random.default_rng(0).standard_normal((1, 128, 128)), np.linspace(0, 0.2, 128)
    planes = (np.where(square, 0.4 + 0.04 * white, -0.6 + 0.01 * white) + slope).astype(np.float32)
    assert measure_noise(planes, square, 2)[:, 0].tolist() == pytest.approx([0.01, 0.04], rel=0.1)
    assert measure_noise(planes, square, 3)[2, 0] == pytest.approx(
        measure_noise(planes, np.zeros_like(square), 1)[0, 0]
    )
    assert measure_noise(np.zeros((3, 2, 9), np.float32), np.zeros((2, 9)), 2).tolist() == [[0, 0, 0], [0, 0, 0]]
