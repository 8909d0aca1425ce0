"""Predictions in tiles are those of the whole image: no seams, nothing twice, nothing lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from synthbench.inference.tiling import predict_in_tiles, spans
from synthbench.plugin.api import Instances
from synthbench.toolkit.intensity.images import normalise


def scene(count: int, radius: tuple[float, float], size: tuple[int, int] = (700, 900), seed: int = 0) -> np.ndarray:
    """Discs of different brightness on a dark ground, none of which touch."""
    rng = np.random.default_rng(seed)
    image, taken = rng.normal(20, 2, size), np.zeros(size, bool)
    for _ in range(count):
        r = rng.uniform(*radius)
        centre = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        around = disk(centre, r + 3, shape=size)
        if not taken[around].any():
            taken[around] = True
            image[disk(centre, r, shape=size)] += rng.uniform(80, 150)
    return image.clip(0, 255).astype(np.uint8)


def by_level(image: np.ndarray) -> Instances:
    """Connected pixels that are brighter than a third of the range between the image's percentiles."""
    labels, count = ndimage.label(normalise(image)[0] > 0.33)
    means = ndimage.mean(np.asarray(image), labels, range(1, count + 1))
    return Instances(labels.astype(np.int32), np.asarray(means))


def same_up_to_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(one)) == len(np.unique(other))


@pytest.mark.parametrize("radius", [(4, 12), (40, 70)], ids=["smaller than the overlap", "larger than the overlap"])
@pytest.mark.parametrize(("tile", "overlap"), [(256, 64), (200, 40)])
def test_objects_are_those_of_the_whole_image(radius: tuple[float, float], tile: int, overlap: int) -> None:
    image = scene(250, radius)
    whole = by_level(image)
    tiled = predict_in_tiles(by_level, image, "instances", tile=tile, overlap=overlap)
    assert whole.labels.max() > 15
    assert same_up_to_numbers(whole.labels, tiled.labels)
    assert np.array_equal(np.unique(tiled.labels), np.arange(whole.labels.max() + 1))
    assert tiled.scores is not None
    assert len(tiled.scores) == tiled.labels.max()


def test_scores_stay_with_their_objects() -> None:
    image = scene(120, (4, 12))
    tiled = predict_in_tiles(by_level, image, "instances", tile=256, overlap=64)
    means = ndimage.mean(image, tiled.labels, range(1, tiled.labels.max() + 1))
    np.testing.assert_allclose(tiled.scores, means)


def test_an_empty_part_of_an_image_stays_empty() -> None:
    image = scene(150, (5, 10), (600, 600))
    image[300:] = np.random.default_rng(1).normal(20, 2, (300, 600)).astype(np.uint8)
    tiled = predict_in_tiles(by_level, image, "instances", tile=200, overlap=40)
    assert tiled.labels[:300].max() > 20
    assert not tiled.labels[310:].any()


def test_objects_that_tiles_see_differently_at_their_borders_are_found_once() -> None:
    """Like a network without context, this sees objects near the border of a tile a pixel wider."""

    def unsteady(part: np.ndarray) -> Instances:
        labels = by_level(part).labels
        wider = ndimage.grey_dilation(labels, size=3)
        inner = np.zeros(labels.shape, bool)
        inner[20:-20, 20:-20] = True
        return Instances(np.where(inner | (labels > 0), labels, wider).astype(np.int32))

    image = scene(250, (4, 12))
    tiled = predict_in_tiles(unsteady, image, "instances", tile=256, overlap=64)
    assert tiled.labels.max() == by_level(image).labels.max()


def test_touching_objects_stay_apart() -> None:
    image = np.zeros((300, 500), np.uint8)
    truth = np.zeros(image.shape, np.int32)
    for number in range(50):
        truth[100:130, number * 10 : number * 10 + 10] = number + 1

    def cutting(part: np.ndarray) -> Instances:
        start = cutting.starts.pop(0)
        shown = truth[start[0] : start[0] + part.shape[0], start[1] : start[1] + part.shape[1]]
        present, labels = np.unique(shown, return_inverse=True)
        return Instances(labels.reshape(shown.shape).astype(np.int32) + (0 if present[0] == 0 else 1))

    rows, columns = spans(300, 150, 40), spans(500, 150, 40)
    cutting.starts = [(row, column) for row, _ in rows for column, _ in columns]
    tiled = predict_in_tiles(cutting, image, "instances", tile=150, overlap=40)
    assert same_up_to_numbers(truth, tiled.labels)


def test_classes_are_taken_from_the_middle_of_tiles() -> None:
    image = scene(100, (5, 15))

    def classes(part: np.ndarray) -> Instances:
        return Instances((normalise(part)[0] > 0.33).astype(np.uint8))

    tiled = predict_in_tiles(classes, image, "semantic", tile=256, overlap=64)
    assert np.array_equal(tiled.labels, classes(image).labels)


@pytest.mark.parametrize("side", [100, 101, 257, 900, 3001])
def test_tiles_cover_a_side_with_the_overlap(side: int) -> None:
    found = spans(side, 128, 32)
    assert (found[0][0], found[-1][1]) == (0, side)
    assert all(stop - start <= 128 for start, stop in found)
    assert all(before[1] - after[0] >= 32 for before, after in pairwise(found))
