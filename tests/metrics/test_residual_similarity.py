"""Alike by pair and position, against a loop over all; masks that are alike hand over to what they don't explain."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.metrics.residual_similarity import MIN_BRIGHTNESS_Z, SIMILAR_MASKS, MaskResiduals, ThumbnailSet, nearest
from synthbench.metrics.similarity import oriented


def unit(pictures: np.ndarray) -> np.ndarray:
    pictures = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    return (pictures / np.sqrt((pictures**2).sum(axis=(1, 2), keepdims=True))).astype(np.float32)


@pytest.fixture(scope="module")
def sets() -> tuple[ThumbnailSet, ThumbnailSet]:
    """Seven and nine images; some masks of the first are turned or disturbed masks of the second."""
    rng = np.random.default_rng(0)
    sides = {"images": 8, "masks": 8, "brightness": 8, "textures": 12}
    theirs = {name: unit(rng.normal(size=(9, side, side))) for name, side in sides.items()}
    ours = {name: unit(rng.normal(size=(7, side, side))) for name, side in sides.items()}
    for i, (j, turn, noise) in enumerate([(3, 0, 0.0), (5, 6, 0.05), (3, 3, 0.1), (0, 1, 0.4)]):
        for name, spoilt in (("masks", noise / 8), ("brightness", 0.02), ("textures", 0.02)):
            drawn = oriented(theirs[name][j : j + 1], turn) + spoilt * rng.normal(size=(1, sides[name], sides[name]))
            ours[name][i] = unit(drawn)[0]
    return thumbnail_set(ours, np.array([30, 30, 5, 30, 30, 30, 30])), thumbnail_set(theirs, np.full(9, 40))


def thumbnail_set(parts: dict[str, np.ndarray], objects: np.ndarray) -> ThumbnailSet:
    return ThumbnailSet(parts["images"], MaskResiduals(parts["masks"], parts["brightness"], parts["textures"], objects))


def one_by_one(first: ThumbnailSet, second: ThumbnailSet) -> list[dict[str, tuple[float, int]]]:
    def correlation(part: str, i: int, j: int, turn: int) -> float:
        ours, theirs = (getattr(s if part == "images" else s.of_masks, part) for s in (first, second))
        return float((oriented(ours[i : i + 1], turn)[0] * theirs[j]).sum())

    rows = []
    for i in range(len(first.images)):
        best = dict.fromkeys(("image", "texture", "brightness", "mask"), (-1.0, 0))

        def meet(kind: str, value: float, j: int, best: dict[str, tuple[float, int]] = best) -> None:
            if value > best[kind][0]:
                best[kind] = (value, j)

        for j in range(len(second.images)):
            for turn in range(8):
                image, mask, brightness, texture = (
                    correlation(part, i, j, turn) for part in ("images", "masks", "brightness", "textures")
                )
                meet("mask", mask, j)
                if mask < SIMILAR_MASKS:
                    meet("image", image, j)
                    continue
                meet("texture", texture, j)
                few = min(first.of_masks.effective_objects[i], second.of_masks.effective_objects[j])
                if np.arctanh(brightness) * np.sqrt(few - 3) >= MIN_BRIGHTNESS_Z:
                    meet("brightness", brightness, j)
        rows.append(best)
    return rows


def test_it_is_the_best_over_all_pairs_and_positions(sets: tuple[ThumbnailSet, ThumbnailSet]) -> None:
    for size in (512, 2):
        found = nearest(*sets, block=size, pairs=size)
        for i, row in enumerate(one_by_one(*sets)):
            for kind, (value, at) in row.items():
                assert getattr(found, kind)[i] == pytest.approx(value, abs=1e-5)
                assert getattr(found, f"{kind}_at")[i] == at
    assert found.texture_at[:4].tolist() == [3, 5, 3, 0]
    assert found.brightness[[0, 1, 3]].min() > 0.9
    assert (found.brightness[[2, 4, 5, 6]] == -1).all(), "of five objects, or of masks that lie otherwise"


def test_without_masks_all_are_compared_as_images(sets: tuple[ThumbnailSet, ThumbnailSet]) -> None:
    first, second = sets
    found = nearest(ThumbnailSet(first.images), second)
    assert (found.texture == -1).all()
    assert (found.mask == -1).all()
    assert (found.image >= nearest(first, second).image - 1e-6).all()
