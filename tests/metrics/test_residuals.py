"""What masks explain is taken off, what they don't is kept: bright objects, edges and shading, against texture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from synthbench.metrics import residuals as module
from synthbench.metrics.residuals import TEXTURE_SIDE, residuals
from synthbench.metrics.similarity import SIDE


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    rng = np.random.default_rng(0)
    seeds = np.zeros((160, 192), int)
    for number, (y, x) in enumerate((rng.random((25, 2)) * (150, 180) + 5).astype(int), 1):
        seeds[y, x] = number
    away, where = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    return np.where(away < 13, seeds[tuple(where)], 0)


def texture(shape: tuple[int, int], seed: int) -> np.ndarray:
    return 10 * ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.5)


def painted(labels: np.ndarray, seed: int) -> np.ndarray:
    """Objects of any brightness, shaded towards their edges and with a halo; nothing else."""
    rng = np.random.default_rng(seed)
    light = np.append(0, 20 + 100 * rng.random(labels.max()))[labels]
    depth, away = ndimage.distance_transform_edt(labels > 0), ndimage.distance_transform_edt(labels == 0)
    return 30 + light * np.sqrt(np.minimum(depth, 8) / 8) - 8 * np.exp(-away / 4) * (labels == 0)


def test_pictures_painted_to_one_mask_have_nothing_in_common(labels: np.ndarray) -> None:
    noise = [np.random.default_rng(seed).normal(0, 3, labels.shape) for seed in (1, 2)]
    pictures = [painted(labels, 3 + i) + noise[i] for i in (0, 1)]
    left = [residuals(picture, labels) for picture in pictures]
    assert np.corrcoef(pictures[0].ravel(), pictures[1].ravel())[0, 1] > 0.8
    assert abs(left[0].texture @ left[1].texture) < 0.3
    assert abs(left[0].brightness @ left[1].brightness) < 0.5


def test_texture_in_common_remains_whatever_the_light(labels: np.ndarray) -> None:
    grain = texture(labels.shape, 5)
    first = residuals(painted(labels, 6) + grain, labels)
    same = residuals(painted(labels, 6) + grain, labels)
    assert first.texture @ same.texture == pytest.approx(1)
    assert first.brightness @ same.brightness == pytest.approx(1)
    assert first.texture @ residuals(200 - 0.5 * (painted(labels, 7) + grain), labels).texture < -0.9
    other = residuals(painted(labels, 7) + grain, labels)
    assert first.texture @ other.texture > 0.9
    assert abs(first.brightness @ other.brightness) < 0.5
    assert abs(first.texture @ residuals(painted(labels, 6) + texture(labels.shape, 8), labels).texture) < 0.4


def test_light_in_common_remains_under_noise_that_drowns_the_texture(labels: np.ndarray) -> None:
    image = painted(labels, 6) + texture(labels.shape, 5)
    noisy = residuals(image + np.random.default_rng(6).normal(0, 50, image.shape), labels)
    assert noisy.brightness @ residuals(image, labels).brightness > 0.9
    assert noisy.texture @ residuals(image, labels).texture < 0.6


def test_light_that_follows_from_size_is_expected(labels: np.ndarray) -> None:
    area = np.bincount(labels.ravel())
    rng = np.random.default_rng(7)
    drawn = [
        residuals(np.append(0, np.log(area[1:]))[labels] + rng.normal(0, 0.3, labels.shape), labels) for _ in range(2)
    ]
    assert abs(drawn[0].brightness @ drawn[1].brightness) < 0.5
    assert drawn[0].effective_objects == pytest.approx(area[1:].sum() ** 2 / (area[1:] ** 2.0).sum())


@pytest.mark.parametrize("turn", range(4))
def test_they_turn_with_the_image(labels: np.ndarray, turn: int) -> None:
    image = painted(labels, 9) + texture(labels.shape, 10)
    here, there = residuals(np.rot90(image, turn), np.rot90(labels, turn)), residuals(image, labels)
    for part, side in (("texture", TEXTURE_SIDE), ("brightness", SIDE)):
        back = np.rot90(getattr(here, part).reshape(side, side), -turn).ravel()
        assert back @ getattr(there, part) > 0.98


def test_numbers_of_objects_mean_nothing_and_colour_is_averaged(labels: np.ndarray) -> None:
    image = painted(labels, 11) + texture(labels.shape, 12)
    other = np.random.default_rng(13).permutation(np.arange(1, 26))
    plain, renamed = residuals(image, labels), residuals(image, np.append(0, other * 1000)[labels])
    coloured = residuals(np.dstack([image - 3, image, image + 3]), labels)
    for same in (renamed, coloured):
        np.testing.assert_allclose(same.texture, plain.texture, atol=1e-4)
        np.testing.assert_allclose(same.brightness, plain.brightness, atol=1e-4)


@pytest.mark.parametrize("kind", ["flat", "empty", "full", "one", "classes"])
def test_any_mask_will_do(labels: np.ndarray, kind: str) -> None:
    masks = {"flat": labels, "empty": 0 * labels, "full": 0 * labels + 4, "classes": 1 + labels % 2}
    masks["one"] = np.zeros_like(labels)
    masks["one"][40:80, 30:90] = 1
    image = np.full(labels.shape, 7.0) if kind == "flat" else texture(labels.shape, 14)
    left = residuals(image, masks[kind])
    assert left.texture.shape == (TEXTURE_SIDE * TEXTURE_SIDE,)
    assert left.brightness.shape == (SIDE * SIDE,)
    assert np.linalg.norm(left.texture) == pytest.approx(0 if kind == "flat" else 1, abs=1e-5)
    assert np.isfinite(left.brightness).all()


def test_large_images_are_averaged_down(labels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    image = painted(labels, 15) + texture(labels.shape, 16)
    large, wide = np.kron(image, np.ones((3, 3))), np.kron(labels, np.ones((3, 3), int))
    whole = residuals(image, labels)
    monkeypatch.setattr(module, "MAX_SIDE", 192)
    left = residuals(np.pad(large, ((0, 1), (0, 2))), np.pad(wide, ((0, 1), (0, 2))))
    np.testing.assert_allclose(residuals(large, wide).texture, whole.texture, atol=1e-4)
    np.testing.assert_allclose(residuals(large, wide).brightness, whole.brightness, atol=1e-4)
    assert np.isfinite(left.texture).all()


def test_a_mask_of_another_size_is_refused(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^labels: shape \(160, 192\).*\(160, 191\)"):
        residuals(np.zeros((160, 191)), labels)
