"""All that is said of one set of synthetic images, or samples, against real ones, from what was seen of each image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthbench.metrics.features import distance_names
from synthbench.metrics.frechet import frechet_distance
from synthbench.metrics.kernel import kernel_distance, kernel_interval
from synthbench.metrics.memorisation import authenticity, data_copying, nearest_training, nearness
from synthbench.metrics.prdc import NEIGHBOURS, prdc
from synthbench.metrics.realism import MEASURES, compare_masks, measure_masks
from synthbench.metrics.similarity import SIDE, thumbnail

LEAST = NEIGHBOURS + 1
"""Images of each set that precision … coverage and the search for copies need."""

SAME = 0.15
"""Distance of thumbnails, √(2 − 2r), below which two real images are called one: a correlation of .99."""


class NotHeldOut(ValueError):
    """Too few real images that aren't training images to judge copies by."""


@dataclass(eq=False)
class Seen:
    """What is kept of the images of a set, in their order.

    Attributes
    ----------
    names : list of str
    small : list of ndarray
        Thumbnails, ``(SIDE * SIDE,)`` float32.
    measures : list of dict
        What `measure_masks` says of each label map; empty where masks are missing, or hold classes.
    features : ndarray
        ``(n, dimension)``.
    """

    names: list[str] = field(default_factory=list)
    small: list[np.ndarray] = field(default_factory=list)
    measures: list[dict[str, np.ndarray]] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(
        self, name: str, image: np.ndarray, labels: np.ndarray | None = None, ignore: np.ndarray | None = None
    ) -> None:
        """Look at an image, and at its label map of objects, if it has one; `ignore` is where that is unknown."""
        self.names.append(name)
        self.small.append(thumbnail(image))
        if labels is not None:
            self.measures.append(measure_masks([labels], [ignore]))

    def take(self, positions: Iterable[int]) -> Seen:
        """Return some of them."""
        kept = list(positions)
        return Seen(
            [self.names[i] for i in kept],
            [self.small[i] for i in kept],
            [self.measures[i] for i in kept] if self.measures else [],
            self.features[kept],
        )

    @property
    def thumbnails(self) -> np.ndarray:
        """``(n, SIDE, SIDE)`` float32."""
        return np.stack(self.small).reshape(-1, SIDE, SIDE)

    @property
    def masks(self) -> dict[str, np.ndarray] | None:
        """What the masks of all images together measure; None where there are none."""
        if not self.measures:
            return None
        return {name: np.concatenate([one[name] for one in self.measures]) for name in MEASURES}


def distances(synthetic: Seen, real: Seen, floor: Seen | None, encoder: str, variant: str = "") -> dict[str, Any]:
    """Return how far features are apart, under their true names: ``frechet``, ``kernel`` and ``prdc``.

    Parameters
    ----------
    synthetic, real, floor
        Equally many images each; `floor` holds other real ones: as near as perfect images would come.
    encoder, variant
        Whose features they are.

    Returns
    -------
    dict
        ``prdc`` is None with fewer than `LEAST` images.

    Raises
    ------
    ValueError
        If the numbers of images differ, or features can't be compared.
    """
    counts = {
        name: len(part.names) for name, part in (("synthetic", synthetic), ("real", real), ("floor", floor)) if part
    }
    if len(set(counts.values())) != 1:
        raise ValueError(f"unequal numbers of images: {counts}")
    x, y = synthetic.features, real.features
    other = floor.features if floor else None
    fd, kd = distance_names(encoder, variant)
    low, high = kernel_interval(x, y, seed=0)
    return {
        "frechet": {
            "name": fd,
            "value": frechet_distance(x, y),
            "floor": None if other is None else frechet_distance(other, y),
        },
        "kernel": {
            "name": kd,
            "value": kernel_distance(x, y),
            "low": low,
            "high": high,
            "floor": None if other is None else kernel_distance(other, y),
        },
        "prdc": {
            "neighbours": NEIGHBOURS,
            "synthetic": dict(prdc(y, x)),
            "floor": None if other is None else dict(prdc(y, other)),
        }
        if len(x) >= LEAST
        else None,
    }


def copies(synthetic: Seen, real: Seen, train: Seen) -> dict[str, Any]:
    """Look for copies of training images, judged by real ones, and of real ones, judged by training images.

    A real image that is a training image too was never held out, and judges nothing.

    Raises
    ------
    NotHeldOut
        If fewer than `LEAST` real images, or training images, aren't in the other set too.
    """
    distance, near_train = nearest_training(synthetic.thumbnails, train.thumbnails)
    held_out = nearest_training(real.thumbnails, train.thumbnails)[0]
    to_real, near_real = nearest_training(synthetic.thumbnails, real.thumbnails)
    unlike = nearest_training(train.thumbnails, real.thumbnails)[0]
    new = held_out >= SAME
    if min(new.sum(), (unlike >= SAME).sum()) < LEAST:
        raise NotHeldOut(f"{len(new) - new.sum()} of the {len(new)} real images are training images too")
    found, leaked = nearness(distance, held_out[new]), nearness(to_real, unlike[unlike >= SAME])

    def pairs(positions: Sequence[int], which: np.ndarray, others: Seen, how: np.ndarray) -> list[dict[str, Any]]:
        return [
            {"image": synthetic.names[i], "of": others.names[which[i]], "distance": float(how[i])} for i in positions
        ]

    return {
        "synthetic_images": len(synthetic.names),
        "training_images": len(train.names),
        "held_out_images": int(new.sum()),
        "real_in_train": int(len(new) - new.sum()),
        "side": SIDE,
        **found,
        "copies": pairs(found["copies"], near_train, train, distance),
        "leaked_yardstick": leaked["yardstick"],
        "leaked": pairs(leaked["copies"], near_real, real, to_real),
        "authenticity": authenticity(train.features, synthetic.features),
        "authenticity_held_out": authenticity(train.features, real.features[new]),
        "c_t": data_copying(train.features, real.features[new], synthetic.features),
    }


def masks(synthetic: Seen, real: Seen, floor: Seen | None) -> dict[str, Any] | None:
    """Return how far the shapes of objects are apart, by measure; None where a set has no masks of objects."""
    ours, theirs = synthetic.masks, real.masks
    if ours is None or theirs is None:
        return None
    return {name: dict(gap) for name, gap in compare_masks(ours, theirs, floor.masks if floor else None).items()}
