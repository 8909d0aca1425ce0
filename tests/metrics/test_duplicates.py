"""Copies and paintings, under training masks, new ones and others': what is found, and what isn't called one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from synthbench.metrics.duplicates import find_duplicates
from synthbench.metrics.feature_set import FeatureSet
from synthbench.samples import Sample, read_array
from synthbench.toolkit.training.patches import dihedral

COUNT = 36
Make = Callable[[Sample, np.random.Generator], np.ndarray]


def seen(samples: Sequence[Sample], origin: str = "", labelled: bool = True) -> FeatureSet:
    found = FeatureSet()
    for sample in samples:
        found.add(sample.id, sample.image, sample.labels if labelled else None, origin=origin)
    found.features = np.array([[s.image.mean(), s.image.std(), *np.quantile(s.image, (0.1, 0.9))] for s in samples])
    return found


def nucleus_field(seed: int) -> Sample:
    """Objects of their own brightness and texture on a noisy ground."""
    rng = np.random.default_rng((8, seed))
    points = np.zeros((128, 128), int)
    for number, (y, x) in enumerate((rng.random((18, 2)) * 120 + 4).astype(int), 1):
        points[y, x] = number
    away, where = ndimage.distance_transform_edt(points == 0, return_indices=True)
    labels = np.where(away < 9, points[tuple(where)], 0)
    grain = ndimage.gaussian_filter(rng.standard_normal((2, 128, 128)), (0, 1.5, 1.5))
    grain /= grain.std(axis=(1, 2), keepdims=True)
    light = np.append(0, rng.uniform(60, 160, 18))[labels] * (1 + 0.15 * grain[0])
    image = 30 + ndimage.gaussian_filter(light, 0.8) + 3 * grain[1] + rng.normal(0, 2, labels.shape)
    return Sample(f"{seed:04d}", np.clip(image, 0, 255).astype(np.uint8), labels.astype(np.uint8))


@pytest.fixture(scope="module", params=["drawn", "fluo_nuclei_dsb2018"])
def fields(request: pytest.FixtureRequest) -> list[Sample]:
    if request.param == "drawn":
        return [nucleus_field(seed) for seed in range(COUNT)]
    folder: Path = request.getfixturevalue("real_data") / request.param / "train"
    paths = sorted((folder / "images").iterdir())
    paths = [paths[i] for i in np.random.default_rng(3).permutation(len(paths))]
    pairs = ((path.stem, read_array(path), read_array(folder / "labels" / path.name)) for path in paths)
    small = [Sample(*pair) for pair in pairs if pair[1].shape[0] == 256]
    return small[:COUNT]


@pytest.fixture(scope="module")
def parts(fields: list[Sample]) -> tuple[list[Sample], FeatureSet, FeatureSet]:
    """Training samples; what is seen of them; and of held-out ones."""
    train = fields[: 2 * len(fields) // 3]
    return train, seen(train), seen(fields[len(train) :])


def redrawn(samples: Sequence[Sample], make: Make, masks: Sequence[np.ndarray] | None = None) -> list[Sample]:
    """Return the samples with other images, each flipped or turned with its mask, or with another mask."""
    out = []
    for i, sample in enumerate(samples):
        rng = np.random.default_rng((9, i))
        image, labels = make(sample, rng), sample.labels if masks is None else masks[i]
        grey = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        way = int(rng.choice((0, 2, 4, 6)))
        channels = np.moveaxis(np.atleast_3d(grey), -1, 0)
        turned = np.moveaxis(dihedral(channels, way), 0, -1).reshape(dihedral(labels, way).shape + grey.shape[2:])
        out.append(Sample(f"{i:06d}", np.ascontiguousarray(turned), np.ascontiguousarray(dihedral(labels, way))))
    return out


def flat(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    return (
        40 + 120 * ndimage.gaussian_filter((sample.labels > 0).astype(float), 1) + rng.normal(0, 5, sample.labels.shape)
    )


def shaded(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    depth = ndimage.distance_transform_edt(sample.labels > 0)
    light = np.append(0, rng.uniform(60, 200, int(sample.labels.max())))[sample.labels]
    return (
        20 + ndimage.gaussian_filter(light * np.sqrt(np.minimum(depth, 10) / 10), 1.5) + rng.normal(0, 3, depth.shape)
    )


def noisy(share: float) -> Make:
    def make(sample: Sample, rng: np.random.Generator) -> np.ndarray:
        low, high = np.percentile(sample.image, (0.1, 99.9))
        return sample.image + rng.normal(0, share * (high - low), sample.image.shape)

    return make


def blurred(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    return ndimage.gaussian_filter(sample.image.astype(float), (2.0, 2.0, 0.0)[: sample.image.ndim])


@pytest.mark.parametrize("paint", [flat, shaded])
def test_images_painted_to_training_masks_are_no_copies(
    parts: tuple[list[Sample], FeatureSet, FeatureSet], paint: Make
) -> None:
    train, training, held_out = parts
    found = find_duplicates(seen(redrawn(train, paint)), held_out, training)
    assert (found["train_duplicates"], found["test_duplicates"]) == ([], [])
    assert found["masks"] == {"new": 0, "training": len(train), "recombined": 0}
    assert found["train_duplicates_by_mask"] is None
    assert found["z"] > -3


def test_without_masks_the_same_paintings_are_near_by_their_layout(
    parts: tuple[list[Sample], FeatureSet, FeatureSet],
) -> None:
    train, training, held_out = parts
    painted = redrawn(train, flat)
    found = find_duplicates(seen(painted, labelled=False), held_out, training)
    assert found["masks"] is None
    assert found["z"] < -3


@pytest.mark.parametrize(("spoil", "least"), [(noisy(0.1), 0.95), (noisy(0.3), 0.8), (blurred, 0.9)])
@pytest.mark.parametrize("mask", ["training", "other", "new"])
def test_spoilt_copies_are_found_whatever_their_mask(
    parts: tuple[list[Sample], FeatureSet, FeatureSet], spoil: Make, least: float, mask: str
) -> None:
    train, training, held_out = parts
    masks = None
    if mask != "training":
        alike = {s.labels.shape: [o.labels for o in train if o.labels.shape == s.labels.shape] for s in train}
        masks = [alike[s.labels.shape][i % len(alike[s.labels.shape])] for i, s in enumerate(train, 1)]
    if mask == "new":
        masks = [np.roll(one, (37, 53), axis=(0, 1)) for one in masks]
    found = find_duplicates(seen(redrawn(train, spoil, masks), "" if mask == "other" else mask), held_out, training)
    right = [pair for pair in found["train_duplicates"] if pair["of"] == train[int(pair["image"])].id]
    assert len(right) >= least * len(train)
    counted = found["train_duplicates_by_mask"]
    assert sum(counted.values()) == len(found["train_duplicates"])
    assert counted["new" if mask == "new" else "training"] >= least * len(train) - 1


def test_what_masks_show_outweighs_what_a_generator_says(parts: tuple[list[Sample], FeatureSet, FeatureSet]) -> None:
    train, training, held_out = parts
    drawn = redrawn(train[:8], flat) + redrawn(train[8:12], flat, [np.roll(s.labels, 50, 1) for s in train[8:12]])
    looked = seen(drawn)
    for said, others in (("new", "new"), ("recombined", "recombined"), ("", "new"), ("training", "training")):
        looked.mask_origins = [said] * len(drawn)
        expected = {"new": 0, "training": 8, "recombined": 0}
        expected[others] += 4
        assert find_duplicates(looked, held_out, training)["masks"] == expected


def test_real_images_in_place_of_synthetic_ones_are_no_copies(fields: list[Sample]) -> None:
    every = seen(fields)
    for split in range(5):
        order = np.random.default_rng((4, split)).permutation(len(fields))
        innocent, real, train = (every.take(part) for part in np.split(order, [len(order) // 4, len(order) // 2]))
        assert find_duplicates(innocent, real, train)["train_duplicates"] == []
