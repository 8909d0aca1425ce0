"""Tiles: an image of any size gives planes of its size, and seams can't be seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synthbench.toolkit.layers.tiles import predict_tiled


def image_of(height: int, width: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng((height, width)).random((channels, height, width), dtype=np.float32)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 50), (50, 1), (16, 16), (15, 33), (64, 64), (65, 64), (200, 31), (150, 170)]
)
def test_what_works_pixel_by_pixel_is_not_changed(size: tuple[int, int]) -> None:
    seen = []

    def predict(planes: np.ndarray) -> np.ndarray:
        seen.append(planes.shape[1:])
        return planes[:1] * 2 + planes[1:]

    image = image_of(*size)
    found = predict_tiled(predict, image, tile=64, overlap=16, multiple=16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, image[:1] * 2 + image[1:], rtol=1e-5)
    assert all(side % 16 == 0 and side <= 64 for shape in seen for side in shape)


def test_tiles_agree_with_the_whole_when_the_overlap_covers_the_reach() -> None:
    image = image_of(150, 170, 1)
    whole = ndimage.uniform_filter(image, (0, 5, 5), mode="reflect")
    tiled = predict_tiled(lambda p: ndimage.uniform_filter(p, (0, 5, 5), mode="reflect"), image, tile=64, overlap=32)
    inside = (slice(None), slice(8, -8), slice(8, -8))
    assert np.abs(tiled - whole)[inside].max() < 0.05
    assert np.median(np.abs(tiled - whole)[inside]) < 1e-6


def test_tiles_are_no_more_than_needed() -> None:
    shapes: list[tuple[int, ...]] = []
    predict_tiled(lambda p: shapes.append(p.shape[1:]) or p, image_of(112, 112), tile=64, overlap=16)
    assert shapes == [(64, 64)] * 4
    shapes.clear()
    predict_tiled(lambda p: shapes.append(p.shape[1:]) or p, image_of(72, 60), tile=64, overlap=16)
    assert shapes == [(48, 64)] * 2


@pytest.mark.parametrize("wrong", [{"tile": 60}, {"overlap": 64, "tile": 64}, {"overlap": -1}])
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="fit together"):
        predict_tiled(lambda p: p, image_of(8, 8), **wrong)
