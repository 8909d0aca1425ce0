"""Alike by pair and position, against a loop over all; masks that are alike hand over to what they don't explain."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.metrics import residual_similarity
from synthbench.metrics.residual_similarity import ALIKE, SURE, Looks, Masked, nearest, turned


def unit(pictures: np.ndarray) -> np.ndarray:
    pictures = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    return (pictures / np.sqrt((pictures**2).sum(axis=(1, 2), keepdims=True))).astype(np.float32)


@pytest.fixture(scope="module")
def sets() -> tuple[Looks, Looks]:
    """Seven and nine images; some masks of the first are turned or disturbed masks of the second."""
    rng = np.random.default_rng(0)
    sides = {"images": 8, "layouts": 8, "lights": 8, "textures": 12}
    theirs = {name: unit(rng.normal(size=(9, side, side))) for name, side in sides.items()}
    ours = {name: unit(rng.normal(size=(7, side, side))) for name, side in sides.items()}
    for i, (j, turn, noise) in enumerate([(3, 0, 0.0), (5, 6, 0.05), (3, 3, 0.1), (0, 1, 0.4)]):
        for name, spoilt in (("layouts", noise / 8), ("lights", 0.02), ("textures", 0.02)):
            drawn = turned(theirs[name][j : j + 1], turn) + spoilt * rng.normal(size=(1, sides[name], sides[name]))
            ours[name][i] = unit(drawn)[0]
    return looks(ours, np.array([30, 30, 5, 30, 30, 30, 30])), looks(theirs, np.full(9, 40))


def looks(parts: dict[str, np.ndarray], objects: np.ndarray) -> Looks:
    return Looks(parts["images"], Masked(parts["layouts"], parts["lights"], parts["textures"], objects))


def one_by_one(first: Looks, second: Looks) -> list[dict[str, tuple[float, int]]]:
    def correlation(part: str, i: int, j: int, turn: int) -> float:
        ours, theirs = (getattr(looks if part == "images" else looks.masked, part) for looks in (first, second))
        return float((turned(ours[i : i + 1], turn)[0] * theirs[j]).sum())

    rows = []
    for i in range(len(first.images)):
        best = dict.fromkeys(("image", "texture", "light", "layout"), (-1.0, 0))

        def meet(kind: str, value: float, j: int, best: dict[str, tuple[float, int]] = best) -> None:
            if value > best[kind][0]:
                best[kind] = (value, j)

        for j in range(len(second.images)):
            for turn in range(8):
                image, layout, light, texture = (
                    correlation(part, i, j, turn) for part in ("images", "layouts", "lights", "textures")
                )
                meet("layout", layout, j)
                if layout < ALIKE:
                    meet("image", image, j)
                    continue
                meet("texture", texture, j)
                few = min(first.masked.objects[i], second.masked.objects[j])
                if np.arctanh(light) * np.sqrt(few - 3) >= SURE:
                    meet("light", light, j)
        rows.append(best)
    return rows


def test_it_is_the_best_over_all_pairs_and_positions(
    sets: tuple[Looks, Looks], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (512, 2):
        monkeypatch.setattr(residual_similarity, "_BLOCK", size)
        monkeypatch.setattr(residual_similarity, "_PAIRS", size)
        found = nearest(*sets)
        for i, row in enumerate(one_by_one(*sets)):
            for kind, (value, at) in row.items():
                assert getattr(found, kind)[i] == pytest.approx(value, abs=1e-5)
                assert getattr(found, f"{kind}_at")[i] == at
    assert found.texture_at[:4].tolist() == [3, 5, 3, 0]
    assert found.light[[0, 1, 3]].min() > 0.9
    assert (found.light[[2, 4, 5, 6]] == -1).all(), "of five objects, or of masks that lie otherwise"


def test_without_masks_all_are_compared_as_images(sets: tuple[Looks, Looks]) -> None:
    first, second = sets
    found = nearest(Looks(first.images), second)
    assert (found.texture == -1).all()
    assert (found.layout == -1).all()
    assert (found.image >= nearest(first, second).image - 1e-6).all()
