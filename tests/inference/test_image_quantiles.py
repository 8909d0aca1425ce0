"""A tile answers for the quantiles of its image, and for nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.inference.image_quantiles import ImageQuantiles
from synthbench.toolkit.intensity.images import normalise

WINDOW = (slice(20, 60), slice(30, 90))


@pytest.fixture(params=[((90, 120), "uint16"), ((90, 120, 3), "uint8"), ((90, 120, 2), "uint16")], ids=str)
def image(request: pytest.FixtureRequest) -> np.ndarray:
    shape, dtype = request.param
    drawn = np.random.default_rng(3).gamma(2, 20, shape).astype(dtype)
    drawn[:30] //= 4
    return drawn


def test_a_tile_is_normalised_as_the_whole_image_is(image: np.ndarray) -> None:
    tile = ImageQuantiles(image).tile(WINDOW)
    np.testing.assert_allclose(normalise(tile), normalise(image)[:, WINDOW[0], WINDOW[1]], rtol=1e-6)
    assert type(normalise(tile)) is np.ndarray


@pytest.mark.parametrize("wanted", [50, (1, 99.8), [[0, 25], [75, 100]]], ids=str)
def test_quantiles_are_those_of_numpy(image: np.ndarray, wanted: object) -> None:
    tile = ImageQuantiles(image).tile(WINDOW)
    for options in ({}, {"axis": (0, 1)}, {"axis": (0, 1), "keepdims": True}):
        expected = np.percentile(image, wanted, **options)
        found = np.percentile(tile, wanted, **options)
        assert np.shape(found) == expected.shape or options.get("keepdims")
        np.testing.assert_allclose(np.ravel(found), np.ravel(expected))
    np.testing.assert_allclose(np.quantile(tile, 0.3), np.quantile(image, 0.3))


def test_what_is_computed_from_a_tile_is_an_ordinary_array(image: np.ndarray) -> None:
    tile = ImageQuantiles(image).tile(WINDOW)
    plain = image[WINDOW]
    for made in (tile * 2, tile[5:], tile[:, ::-1], np.zeros_like(tile), np.sort(tile, axis=0), tile.astype(float) - 3):
        expected = np.percentile(np.asarray(made), 40)
        assert np.percentile(made, 40) == expected
    changed = tile.copy()
    changed[0] = 7
    assert np.percentile(changed, 40) == np.percentile(np.asarray(changed), 40)
    changed = tile.copy()
    changed += 1
    assert np.percentile(changed, 40) == np.percentile(np.asarray(changed), 40)
    assert tile.mean() == plain.mean()
    assert np.array_equal(tile, plain)
