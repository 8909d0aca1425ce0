"""Likeness of pictures under the eight symmetries of the square."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.metrics.similarity import SIDE, correlations, near_duplicates, thumbnail, thumbnails


@pytest.mark.parametrize("shape", [(64, 64), (50, 97), (20, 20), (256, 33)])
def test_a_thumbnail_averages_by_area_and_has_length_one(shape):
    image = np.random.default_rng(4).integers(0, 255, shape, dtype=np.uint8)
    thumb = thumbnail(image)
    assert thumb.shape == (SIDE * SIDE,)
    assert np.linalg.norm(thumb) == pytest.approx(1, abs=1e-5)
    assert thumb.sum() == pytest.approx(0, abs=1e-4)


def test_turning_a_picture_turns_its_thumbnail():
    image = np.random.default_rng(4).random((70, 101))
    np.testing.assert_allclose(
        thumbnail(np.rot90(image)).reshape(SIDE, SIDE), np.rot90(thumbnail(image).reshape(SIDE, SIDE)), atol=1e-5
    )


def test_correlation_is_one_under_every_symmetry_and_small_between_strangers():
    rng = np.random.default_rng(9)
    image, stranger = rng.random((64, 64)), rng.random((64, 64))
    turned = [np.rot90(m, k) for m in (image, image[:, ::-1]) for k in range(4)]
    table = correlations(thumbnails([image, stranger]), thumbnails(turned))
    np.testing.assert_allclose(table[0], 1, atol=1e-4)
    assert table[1].max() < 0.5


def test_light_and_depth_do_not_matter_and_blank_pictures_match_nothing():
    image = np.random.default_rng(9).integers(0, 200, (64, 64)).astype(np.uint8)
    slope = np.linspace(0, 2000, 64)
    lit = (image.astype(np.uint16) * 100 + slope).astype(np.uint16)
    rgb = np.stack([image] * 3, axis=-1)
    table = correlations(thumbnails([image]), thumbnails([lit, rgb, np.zeros((64, 64), np.uint8)]))
    assert table[0, :2].min() > 0.98
    assert table[0, 2] == 0


def test_blocks_do_not_change_what_is_found():
    rng = np.random.default_rng(2)
    images = [rng.random((40, 40)) for _ in range(7)]
    thumbs = thumbnails([*images, images[2].T, images[5][::-1]])
    whole = list(near_duplicates(thumbs, thumbs, 0.95))
    assert [(i, j) for i, j, _ in near_duplicates(thumbs, thumbs, 0.95, block=2)] == [(i, j) for i, j, _ in whole]
    assert {(i, j) for i, j, _ in whole if i < j} == {(2, 7), (5, 8)}


@pytest.mark.parametrize(
    "image",
    [np.zeros((0, 4)), np.zeros((4, 4, 5)), np.zeros((2, 4, 4, 3)), np.full((4, 4), np.nan), np.zeros((4, 4), complex)],
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ValueError, match=r"^image: "):
        thumbnail(image)
