"""All that is said of one set of synthetic images, or samples, against real ones, from what was seen of each image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synthbench.metrics.features import distance_names
from synthbench.metrics.frechet import frechet_distance
from synthbench.metrics.kernel import PERMUTATIONS, kernel_distance, kernel_interval, permutation_test
from synthbench.metrics.mask_realism import MEASURES, compare_masks, measure_masks
from synthbench.metrics.prdc import NEIGHBOURS, prdc
from synthbench.metrics.residual_similarity import Looks, Masked
from synthbench.metrics.residuals import FINE, Traces, traces
from synthbench.metrics.similarity import SIDE, thumbnail

LEAST = NEIGHBOURS + 1
"""Images of each set that precision … coverage and the search for copies need."""


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
    layouts : list of ndarray
        Thumbnails of the label maps, ``(SIDE * SIDE,)`` float32; empty where masks are missing.
    traces : list of Traces
        What of the images these don't explain.
    origins : list of str
        Where a drawn sample's mask comes from, one of `synthbench.samples.ORIGINS`; empty where it doesn't say.
    features : ndarray
        ``(n, dimension)``.
    """

    names: list[str] = field(default_factory=list)
    small: list[np.ndarray] = field(default_factory=list)
    measures: list[dict[str, np.ndarray]] = field(default_factory=list)
    layouts: list[np.ndarray] = field(default_factory=list)
    traces: list[Traces] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(
        self,
        name: str,
        image: np.ndarray,
        labels: np.ndarray | None = None,
        ignore: np.ndarray | None = None,
        *,
        task: str = "instances",
        origin: str = "",
    ) -> None:
        """Look at an image, and at its label map, if it has one; `ignore` is where that is unknown.

        The label map holds objects, or classes (task ``"semantic"``); `origin` says where it comes from.
        """
        self.names.append(name)
        self.small.append(thumbnail(image))
        self.origins.append(origin)
        if labels is None:
            return
        if task == "instances":
            self.measures.append(measure_masks([labels], [ignore]))
        self.layouts.append(thumbnail(labels > 0 if task == "instances" else labels))
        self.traces.append(traces(image, labels))

    def take(self, positions: Iterable[int]) -> Seen:
        """Return some of them."""
        kept = list(positions)
        return Seen(
            [self.names[i] for i in kept],
            [self.small[i] for i in kept],
            [self.measures[i] for i in kept] if self.measures else [],
            [self.layouts[i] for i in kept] if self.layouts else [],
            [self.traces[i] for i in kept] if self.traces else [],
            [self.origins[i] for i in kept],
            self.features[kept],
        )

    @property
    def thumbnails(self) -> np.ndarray:
        """``(n, SIDE, SIDE)`` float32."""
        return np.stack(self.small).reshape(-1, SIDE, SIDE)

    @property
    def looks(self) -> Looks:
        """What the search for copies compares."""
        if not self.layouts:
            return Looks(self.thumbnails)
        masked = Masked(
            np.stack(self.layouts).reshape(-1, SIDE, SIDE),
            np.stack([one.light for one in self.traces]).reshape(-1, SIDE, SIDE),
            np.stack([one.texture for one in self.traces]).reshape(-1, FINE, FINE),
            np.array([one.objects for one in self.traces]),
        )
        return Looks(self.thumbnails, masked)

    @property
    def masks(self) -> dict[str, np.ndarray] | None:
        """What the masks of all images together measure; None where there are none."""
        if not self.measures:
            return None
        return {name: np.concatenate([one[name] for one in self.measures]) for name in MEASURES}


def distances(synthetic: Seen, real: Seen, floor: Seen | None, encoder: str, variant: str = "") -> dict[str, Any]:
    """Return how far features are apart, where that depends on the number of images: ``frechet`` and ``prdc``.

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
    counts = _counts(synthetic=synthetic, real=real, floor=floor)
    if len(set(counts.values())) != 1:
        raise ValueError(f"unequal numbers of images: {counts}")
    x, y = synthetic.features, real.features
    other = floor.features if floor else None
    return {
        "frechet": {
            "name": distance_names(encoder, variant)[0],
            "value": frechet_distance(x, y),
            "floor": None if other is None else frechet_distance(other, y),
        },
        "prdc": {
            "neighbours": NEIGHBOURS,
            "synthetic": dict(prdc(y, x)),
            "floor": None if other is None else dict(prdc(y, other)),
        }
        if len(x) >= LEAST
        else None,
    }


def kernel(synthetic: Seen, real: Seen, train: Seen | None, encoder: str, variant: str = "") -> dict[str, Any]:
    """Return the kernel distance of all images, which has no bias that depends on their number, and its p-value.

    Parameters
    ----------
    synthetic, real, train
        All images of each set, at least two.
    encoder, variant
        Whose features they are.

    Returns
    -------
    dict
        ``value`` is of synthetic and real images, ``low`` and ``high`` are its 95 % interval. ``p`` asks whether the
        synthetic images can be told from real and training images taken together. ``floor`` …: the same with the
        training images in place of the synthetic ones, and ``floor_p`` of these against the real ones; None without.

    Raises
    ------
    ValueError
        If features can't be compared.
    """
    x, y = synthetic.features, real.features
    other = None if train is None else train.features
    floor: dict[str, Any] = dict.fromkeys(("value", "low", "high")) if other is None else _estimate(other, y)
    return {
        "name": distance_names(encoder, variant)[1],
        "images": _counts(synthetic=synthetic, real=real, train=train),
        **_estimate(x, y),
        "p": permutation_test(x, y if other is None else np.concatenate([y, other]), seed=0),
        "permutations": PERMUTATIONS,
        "floor": floor["value"],
        "floor_low": floor["low"],
        "floor_high": floor["high"],
        "floor_p": None if other is None else permutation_test(other, y, seed=0),
    }


def _estimate(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    low, high = kernel_interval(x, y, seed=0)
    return {"value": kernel_distance(x, y), "low": low, "high": high}


def _counts(**parts: Seen | None) -> dict[str, int]:
    """Return how many images each set has, of those that are there."""
    return {name: len(part.names) for name, part in parts.items() if part is not None}


def masks(synthetic: Seen, real: Seen, floor: Seen | None) -> dict[str, Any] | None:
    """Return how far the shapes of objects are apart, by measure; None where a set has no masks of objects."""
    ours, theirs = synthetic.masks, real.masks
    if ours is None or theirs is None:
        return None
    return {name: dict(gap) for name, gap in compare_masks(ours, theirs, floor.masks if floor else None).items()}
