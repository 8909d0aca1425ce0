"""The search for copies of training images, and of test images, in a synthetic set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthbench.metrics.comparison import LEAST, Seen
from synthbench.metrics.memorisation import (
    MARGIN,
    Nearness,
    authenticity,
    data_copying,
    nearest_training,
    nearness,
    yardstick,
)
from synthbench.metrics.residual_similarity import Looks, nearest
from synthbench.metrics.similarity import SIDE
from synthbench.samples import ORIGINS

SAME = 0.15
"""Distance of thumbnails, √(2 − 2r), below which two real images are called one: a correlation of .99."""

SAME_MASK = 0.95
"""Correlation of two masks' thumbnails from which they are called one; specks may be missing."""

TEXTURE_MARGIN = 0.8
"""Part of their own yardstick within which textures, of images whose masks are alike, make a copy."""

LIGHT = 0.8
"""Correlation of the light of their objects from which such images are copies."""


class NotHeldOut(ValueError):
    """Too few real images that aren't training images to judge copies by."""


def copies(synthetic: Seen, real: Seen, train: Seen) -> dict[str, Any]:
    """Look for copies of training images, judged by real ones, and of real ones, judged by training images.

    Two images whose masks are alike are alike too, painted or copied: they are compared by what their masks don't
    explain. A real image that is a training image too was never held out, and judges nothing.

    Raises
    ------
    NotHeldOut
        If fewer than `LEAST` real images, or training images, aren't in the other set too.
    """
    held_out = nearest_training(real.thumbnails, train.thumbnails)[0] >= SAME
    unlike = nearest_training(train.thumbnails, real.thumbnails)[0] >= SAME
    if min(held_out.sum(), unlike.sum()) < LEAST:
        raise NotHeldOut(f"{(~held_out).sum()} of the {len(held_out)} real images are training images too")
    of_train = _search(synthetic, train, real.take(np.flatnonzero(held_out)))
    of_real = _search(synthetic, real, train.take(np.flatnonzero(unlike)))
    origins = _origins(synthetic, of_train.layout)

    def pairs(found: _Search, others: Seen) -> list[dict[str, Any]]:
        return [
            {
                "image": synthetic.names[i],
                "of": others.names[found.of[i]],
                "distance": float(found.distance[i]),
                "mask": origins[i],
            }
            for i in found.judged["copies"]
        ]

    copied = pairs(of_train, train)
    return {
        "synthetic_images": len(synthetic.names),
        "training_images": len(train.names),
        "held_out_images": int(held_out.sum()),
        "real_in_train": int((~held_out).sum()),
        "side": SIDE,
        **of_train.judged,
        "masks": _counted(origins),
        "copies": copied,
        "copies_by_mask": _counted([pair["mask"] for pair in copied]),
        "leaked_yardstick": of_real.judged["yardstick"],
        "leaked": pairs(of_real, real),
        "authenticity": authenticity(train.features, synthetic.features),
        "authenticity_held_out": authenticity(train.features, real.features[held_out]),
        "c_t": data_copying(train.features, real.features[held_out], synthetic.features),
    }


@dataclass(frozen=True, eq=False)
class _Search:
    """What was found: a distance for each image, and from which other image; and how that is judged."""

    distance: np.ndarray
    of: np.ndarray
    judged: Nearness
    layout: np.ndarray


def _search(synthetic: Seen, others: Seen, judges: Seen) -> _Search:
    """Find what each synthetic image is nearest to: by images, or by what masks don't explain where that tells a copy.

    Of images whose masks are alike, texture and light tell a copy or nothing, for hardly a held-out image has such a
    mask to compare with. Their distances are scaled so that every copy is within the same part of one yardstick.
    """
    found, held_out = (nearest(part.looks, others.looks) for part in (synthetic, judges))
    distance, of, judging = _apart(found.image), found.image_at.copy(), _apart(held_out.image)
    if (found.texture > -1).any():
        limit = MARGIN * yardstick(judging)
        by_light = min(float(_apart(LIGHT)), MARGIN * yardstick(_apart(held_out.light)))
        for traced, at, least in (
            (found.texture, found.texture_at, TEXTURE_MARGIN * yardstick(_by_texture(judges, others))),
            (found.light, found.light_at, by_light),
        ):
            scaled = _apart(traced) / least * limit
            copied = (scaled < limit) & (scaled < distance)
            distance[copied], of[copied] = scaled[copied], at[copied]
    return _Search(distance, of, nearness(distance, judging), found.layout)


def _by_texture(first: Seen, second: Seen) -> np.ndarray:
    """Return the distance of each image's texture from the nearest one, wherever the objects lie."""
    ours, theirs = first.looks.masked, second.looks.masked
    assert ours
    assert theirs
    return _apart(nearest(Looks(ours.textures), Looks(theirs.textures)).image)


def _apart(correlation: np.ndarray | float) -> np.ndarray:
    distance: np.ndarray = np.sqrt(np.maximum(0.0, 2 - 2 * np.asarray(correlation, np.float64)))
    return distance


def _origins(synthetic: Seen, layout: np.ndarray) -> list[str]:
    """Return where each mask comes from: what the masks show, then what the generator says; empty without masks.

    A mask that is a training mask is one, whatever its generator says; one that is like none, and that the generator
    says nothing of, is new.
    """
    if not synthetic.layouts or not (layout > -1).any():
        return list(synthetic.origins)
    return [
        "training" if like >= SAME_MASK else said or "new" for said, like in zip(synthetic.origins, layout, strict=True)
    ]


def _counted(origins: list[str]) -> dict[str, int] | None:
    """Return how many there are of each origin; None where none is known."""
    count = Counter(origins)
    return {origin: count[origin] for origin in ORIGINS} if any(origins) else None
