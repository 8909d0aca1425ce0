"""The search for duplicates of training images and of test images in a synthetic set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthbench.metrics.comparison import MIN_IMAGES
from synthbench.metrics.feature_copying import authenticity, data_copying
from synthbench.metrics.feature_set import FeatureSet
from synthbench.metrics.memorisation import (
    MARGIN,
    NeighbourDistances,
    compare_distances,
    held_out_quantile,
    nearest_training,
)
from synthbench.metrics.residual_similarity import ThumbnailSet, nearest
from synthbench.metrics.similarity import SIDE
from synthbench.samples import ORIGINS
from synthbench.types import AnyArray

__all__ = ["TooFewHeldOut", "find_duplicates"]

SAME_IMAGE = 0.15
"""Distance of thumbnails, √(2 − 2r), below which two real images count as the same: a correlation of .99."""

SAME_MASK = 0.95
"""Correlation of two masks' thumbnails from which they count as the same; small objects may be missing."""

TEXTURE_MARGIN = 0.8
"""Images with similar masks are duplicates if their textures are nearer than this times the held-out quantile."""

BRIGHTNESS = 0.8
"""Images with similar masks are duplicates if their objects' brightness correlates by at least this."""


class TooFewHeldOut(ValueError):
    """Too few real images that aren't training images to compare with."""


def find_duplicates(synthetic: FeatureSet, real: FeatureSet, train: FeatureSet) -> dict[str, Any]:
    """Search for duplicates of training images and of real test images.

    Distances to training images are compared with those of held-out real images; distances to real images with those
    of training images. Images with similar masks look similar whether they were drawn for the mask or copied, so these
    are compared by what the masks don't explain. A real image that is also a training image was not held out: it is
    left out, and counted.

    Parameters
    ----------
    synthetic, real, train
        All images of each set.

    Returns
    -------
    dict
        Numbers of images (``synthetic_images``, ``training_images``, ``held_out_images``, ``real_in_train``); what
        `synthbench.metrics.memorisation.compare_distances` returns, but ``duplicates``; ``masks``: synthetic images by
        origin of their mask; ``train_duplicates`` and ``test_duplicates``: lists of ``image``, ``of`` (name of the
        original), ``distance`` and ``mask`` (origin); ``train_duplicates_by_mask``; ``test_duplicate_threshold``;
        ``authenticity``, ``authenticity_held_out`` and ``c_t``, see `synthbench.metrics.feature_copying`.

    Raises
    ------
    TooFewHeldOut
        If fewer than `MIN_IMAGES` real images, or training images, aren't in the other set too.
    """
    held_out = nearest_training(real.thumbnails, train.thumbnails)[0] >= SAME_IMAGE
    train_only = nearest_training(train.thumbnails, real.thumbnails)[0] >= SAME_IMAGE
    if min(held_out.sum(), train_only.sum()) < MIN_IMAGES:
        raise TooFewHeldOut(f"{(~held_out).sum()} of the {len(held_out)} real images are training images too")
    in_train = _search(synthetic, train, real.take(np.flatnonzero(held_out)))
    in_test = _search(synthetic, real, train.take(np.flatnonzero(train_only)))
    origins = _origins(synthetic, in_train.mask_correlation)

    def pairs(search: _Search, originals: FeatureSet) -> list[dict[str, Any]]:
        return [
            {
                "image": synthetic.names[i],
                "of": originals.names[search.of[i]],
                "distance": float(search.distance[i]),
                "mask": origins[i],
            }
            for i in search.comparison["duplicates"]
        ]

    train_duplicates = pairs(in_train, train)
    return {
        "synthetic_images": len(synthetic.names),
        "training_images": len(train.names),
        "held_out_images": int(held_out.sum()),
        "real_in_train": int((~held_out).sum()),
        "side": SIDE,
        **{name: value for name, value in in_train.comparison.items() if name != "duplicates"},
        "masks": _count_origins(origins),
        "train_duplicates": train_duplicates,
        "train_duplicates_by_mask": _count_origins([pair["mask"] for pair in train_duplicates]),
        "test_duplicate_threshold": in_test.comparison["duplicate_threshold"],
        "test_duplicates": pairs(in_test, real),
        "authenticity": authenticity(train.features, synthetic.features),
        "authenticity_held_out": authenticity(train.features, real.features[held_out]),
        "c_t": data_copying(train.features, real.features[held_out], synthetic.features),
    }


@dataclass(frozen=True, eq=False)
class _Search:
    """Of each synthetic image: distance and position of the nearest original, and the correlation of its mask."""

    distance: AnyArray
    of: AnyArray
    comparison: NeighbourDistances
    mask_correlation: AnyArray


def _search(synthetic: FeatureSet, originals: FeatureSet, held_out: FeatureSet) -> _Search:
    """Find the nearest original of each synthetic image: by images, or by residuals where masks are similar.

    Among images with similar masks, texture and brightness either show a duplicate or nothing, since hardly any
    held-out image has such a mask to compare with. Their distances are scaled so that one threshold serves all.
    """
    of_synthetic, of_held_out = (
        nearest(images.thumbnail_set, originals.thumbnail_set) for images in (synthetic, held_out)
    )
    distance, of = _distance(of_synthetic.image), of_synthetic.image_at.copy()
    held_out_distance = _distance(of_held_out.image)
    if (of_synthetic.texture > -1).any():
        threshold = MARGIN * held_out_quantile(held_out_distance)
        texture_threshold = TEXTURE_MARGIN * held_out_quantile(_texture_distance(held_out, originals))
        brightness_threshold = min(
            float(_distance(BRIGHTNESS)), MARGIN * held_out_quantile(_distance(of_held_out.brightness))
        )
        for correlation, at, own_threshold in (
            (of_synthetic.texture, of_synthetic.texture_at, texture_threshold),
            (of_synthetic.brightness, of_synthetic.brightness_at, brightness_threshold),
        ):
            scaled = _distance(correlation) / own_threshold * threshold
            duplicate = (scaled < threshold) & (scaled < distance)
            distance[duplicate], of[duplicate] = scaled[duplicate], at[duplicate]
    return _Search(distance, of, compare_distances(distance, held_out_distance), of_synthetic.mask)


def _texture_distance(images: FeatureSet, originals: FeatureSet) -> AnyArray:
    """Return the distance of each image's texture from the nearest one, whatever the masks."""
    here, there = images.thumbnail_set.of_masks, originals.thumbnail_set.of_masks
    assert here
    assert there
    return _distance(nearest(ThumbnailSet(here.textures), ThumbnailSet(there.textures)).image)


def _distance(correlation: AnyArray | float) -> AnyArray:
    distance: AnyArray = np.sqrt(np.maximum(0.0, 2 - 2 * np.asarray(correlation, np.float64)))
    return distance


def _origins(synthetic: FeatureSet, mask_correlation: AnyArray) -> list[str]:
    """Return the origin of each mask: as the masks show, else as the generator says; as it says without masks.

    A mask that is a training mask is one, whatever its generator says; a mask unlike all of them, of which the
    generator says nothing, is new.
    """
    if not synthetic.mask_thumbnails or not (mask_correlation > -1).any():
        return list(synthetic.mask_origins)
    return [
        "training" if correlation >= SAME_MASK else stated or "new"
        for stated, correlation in zip(synthetic.mask_origins, mask_correlation, strict=True)
    ]


def _count_origins(origins: list[str]) -> dict[str, int] | None:
    """Return the number of each origin; None where none is known."""
    count = Counter(origins)
    return {origin: count[origin] for origin in ORIGINS} if any(origins) else None
