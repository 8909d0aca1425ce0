"""The texture of objects: measured within each, and laid over objects that lack it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from synthbench.toolkit.intensity.texture import (
    BANDS,
    contrast_ratio,
    match_texture,
    measure_texture,
    random_texture,
    texture_strengths,
)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Return 36 discs of 5 to 18 pixels' radius; some touch, ids have gaps."""
    rng = np.random.default_rng(0)
    down, right = np.mgrid[:192, :192]
    found = np.zeros((192, 192), np.int32)
    for number in range(36):
        y, x = 16 + 32 * (number // 6), 16 + 32 * (number % 6)
        found[np.hypot(down - y, right - x) < rng.uniform(5, 18)] = 2 * number + 1
    return found


@pytest.fixture(scope="module")
def spotted(labels: np.ndarray) -> np.ndarray:
    """Return two channels, the second half as rough: spots of all sizes on dark ground."""
    rng = np.random.default_rng(1)
    spots = sum(s * ndimage.gaussian_filter(rng.standard_normal(labels.shape), s) for s in (1.0, 2.0, 4.0))
    levels = rng.uniform(-0.3, 0.3, labels.max() + 1)
    plane = np.where(labels, levels[labels] + 0.08 * spots, -1)
    return np.stack([plane, np.where(labels, levels[labels] + 0.04 * spots, -1)]).astype(np.float32)


def strength(texture: np.ndarray) -> np.ndarray:
    """Root of the mean square over the objects."""
    return np.sqrt((texture**2).mean(axis=0))


def test_smooth_objects_get_the_texture_that_is_wanted(labels, spotted):
    wanted = measure_texture(spotted, labels)
    assert wanted.shape == (len(np.unique(labels)) - 1, 2 * BANDS)
    smooth = np.where(labels, 0, -1)[None].repeat(2, axis=0).astype(np.float32)
    found = match_texture(smooth, labels, wanted, np.random.default_rng(2))
    assert strength(measure_texture(found, labels)) == pytest.approx(strength(wanted), rel=0.15)
    assert np.array_equal(found[:, labels == 0], smooth[:, labels == 0])
    strengths = torch.from_numpy(texture_strengths(labels, wanted))[None]
    laid = random_texture(strengths, torch.Generator().manual_seed(3))[0].numpy()
    assert strength(measure_texture(laid, labels)) == pytest.approx(strength(wanted), rel=0.15)
    assert not laid[:, labels == 0].any()


def test_only_what_lacks_is_added(labels, spotted):
    wanted = measure_texture(spotted, labels)
    assert np.array_equal(match_texture(spotted, labels, 0.99 * wanted, np.random.default_rng(2)), spotted)
    levels = np.array([spotted[0][labels == k].mean() if k in labels else 0 for k in range(labels.max() + 1)])
    plain = np.where(labels, levels[labels], -1)
    half = (plain + 0.5 * (spotted[:1] - plain)).astype(np.float32)
    found = match_texture(half, labels, wanted[:, :BANDS], np.random.default_rng(2))
    assert strength(measure_texture(found, labels)) == pytest.approx(strength(wanted[:, :BANDS]), rel=0.15)


def test_levels_of_neighbours_and_ground_are_no_texture(labels):
    levels = np.random.default_rng(0).uniform(-0.5, 0.9, labels.max() + 1)
    plain = np.where(labels, levels[labels], -1)[None].astype(np.float32)
    assert measure_texture(plain, labels).max() < 1e-5
    assert measure_texture(plain, np.zeros_like(labels)).shape == (0, BANDS)
    assert np.array_equal(
        match_texture(plain, np.zeros_like(labels), np.zeros((0, BANDS)), np.random.default_rng(0)), plain
    )


def test_the_dome_of_a_blurred_object_is_no_texture(labels):
    depth = sum(ndimage.distance_transform_edt(labels == k) for k in np.unique(labels[labels > 0]))
    dome = np.sqrt(depth) / 5 - 0.5
    spots = 0.2 * ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(labels.shape), 1.0)
    domed, spotted, flat = (np.where(labels, p, -1)[None].astype(np.float32) for p in (dome, dome + spots, spots))
    assert strength(measure_texture(domed, labels)).max() < 0.15 * domed[0, labels > 0].std()
    assert strength(measure_texture(spotted, labels))[:2] == pytest.approx(
        strength(measure_texture(flat, labels))[:2], rel=0.15
    )


def test_channels_share_the_spots(labels, spotted):
    """Tissue is darker or lighter in all colours at once; independent spots would be coloured ones."""
    smooth = np.zeros((2, *labels.shape), np.float32)
    found = match_texture(
        smooth,
        labels,
        np.repeat(measure_texture(spotted[:1], labels), 2, axis=0).reshape(-1, 2 * BANDS),
        np.random.default_rng(2),
    )
    assert np.allclose(found[0], found[1], atol=1e-6)


def test_planes_stay_within_their_range_and_follow_the_generator(labels, spotted):
    bright = np.full((1, *labels.shape), 0.99, np.float32)
    wanted = measure_texture(spotted[:1], labels)
    one, again, other = (match_texture(bright, labels, wanted, np.random.default_rng(k)) for k in (3, 3, 4))
    assert one.max() == 1.0
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_texture_is_compared_with_the_contrast_of_its_object():
    """Deviations of 5 in all, against distances of 10 and 2.5; nothing is told without a background."""
    textures = np.array([[3.0, 0, 0, 4.0, 0, 0], [0, 5.0, 0, 0, 0, 0]])
    light, ground = np.array([[7.0, 9.0], [1.0, 3.5]]), np.array([[1.0, 0, 2], [1, 1, 9]])
    assert contrast_ratio(textures, light, ground).tolist() == pytest.approx([0.5, 2.0])
    assert contrast_ratio(textures, light, ground[:, :0]).shape == (0,)


def test_where_no_texture_is_wanted_none_is_laid_over(labels, spotted):
    assert np.array_equal(match_texture(spotted, labels, np.zeros((36, 0)), np.random.default_rng(0)), spotted)


def test_large_ids_cost_nothing(labels, spotted):
    large = np.where(labels, labels + 2_000_000_000, 0)
    assert np.array_equal(measure_texture(spotted, large), measure_texture(spotted, labels))
