"""Images go into a network's range and come back with their own range, dtype and channels."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.toolkit.intensity.normalisation import IntensityNormalisation, fit_exponent


@pytest.mark.parametrize("exponent", [0.5, 1.0])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_scaling_there_and_back_keeps_what_is_within_the_range(exponent, dtype, channels):
    rng = np.random.default_rng(0)
    image = rng.integers(3, 250, (32, 33) if channels == 1 else (32, 33, channels)).astype(dtype) * (
        1 if dtype == "uint8" else 200
    )
    light = IntensityNormalisation.from_image(image)
    planes = light.normalise(image, exponent)
    back = light.denormalise(planes, exponent)
    assert planes.shape == (channels, 32, 33)
    assert planes.min() == -1
    assert planes.max() == 1
    assert back.dtype == image.dtype
    assert np.mean(np.abs(back.astype(int) - image.astype(int)) <= (1 if dtype == "uint8" else 200)) > 0.99


def test_a_constant_image_comes_back():
    image = np.full((8, 8), 7, np.uint8)
    normalisation = IntensityNormalisation.from_image(image)
    assert np.array_equal(normalisation.denormalise(normalisation.normalise(image, 0.5), 0.5), image)


def test_dark_images_are_evened_out_and_balanced_ones_stay_linear():
    rng = np.random.default_rng(0)
    dark = np.where(rng.random((64, 64)) < 0.05, 200, rng.integers(3, 9, (64, 64))).astype(np.uint8)
    balanced = rng.integers(0, 255, (64, 64)).astype(np.uint8)
    assert fit_exponent([dark]) == 0.5
    assert fit_exponent([balanced]) == pytest.approx(1.0, abs=0.05)
    assert fit_exponent([255 - dark]) == 1.0


@pytest.mark.parametrize("level", [200, 20])
def test_the_few_objects_of_a_large_image_keep_their_light(level):
    rng = np.random.default_rng(0)
    image = rng.normal(100, 2, (512, 512)).astype(np.uint8)
    labels = np.zeros(image.shape, int)
    labels[40:52, 60:72] = 1
    image[labels > 0] = rng.normal(level, 2, 144)
    for objects, error in ((labels, 2), (None, 50)):
        light = IntensityNormalisation.from_image(image, objects)
        back = light.denormalise(light.normalise(image, 0.5), 0.5)
        assert (abs(float(np.median(back[labels > 0])) - level) < error) == (objects is labels)


def test_objects_that_are_not_few_change_no_range():
    rng = np.random.default_rng(0)
    labels = rng.random((64, 64)) < 0.1
    image = np.where(labels, rng.integers(50, 250, labels.shape), rng.integers(3, 60, labels.shape)).astype(np.uint8)
    assert IntensityNormalisation.from_image(image, labels) == IntensityNormalisation.from_image(image)
