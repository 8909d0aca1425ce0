"""What the procedural generator measures on training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import regionprops
from skimage.morphology import skeletonize

from synthbench.samples import Sample, Task
from synthbench.toolkit.intensity.images import to_channels

DEPTHS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 11.0, 16.0, 24.0, 40.0])
"""Pixels from a region's border at which its light is measured; deeper is taken as equally deep."""
WIDEST = 12.0
"""Width in pixels above which a class isn't drawn as lines."""
SHAPES = 60
"""Objects of an image whose outlines are measured."""
SLENDER = 6.0
"""A class whose skeleton is this many widths long, per piece, is drawn as lines."""
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6.0


@dataclass(frozen=True, eq=False)
class Measures:
    """Statistics of one image, in its grey values and pixels.

    A region is a class of a semantic set; instances have two, background and object. K regions, C channels.

    Attributes
    ----------
    height, width : int
    dtype : str
    grey : bool
        Of the image.
    white : int
        Its brightest grey value.
    shares : ndarray
        (K,), share of the pixels.
    profile : ndarray
        (K, C, D), mean light `DEPTHS` pixels inside the region's border: levels, blur and halos in one.
    texture : ndarray
        (K, C), standard deviation about the profile, without noise and without differences between objects.
    scale : ndarray
        (K,), width of the texture, as the standard deviation of a smoothing kernel.
    noise : ndarray
        (K, C), standard deviation from pixel to pixel.
    spread : ndarray
        (C,), standard deviation of the light from object to object.
    areas, elongations, solidities : ndarray
        One entry per object whose shape was measured; empty for semantic sets.
    count : int
        Objects in the image.
    touching : float
        Share of the objects that touch another.
    thickness, length : ndarray
        (K,): mean width of a class, and the length of its lines per pixel of the image, 0 where it isn't drawn as
        lines; both 0 for instances.
    """

    height: int
    width: int
    dtype: str
    grey: bool
    white: int
    shares: np.ndarray
    profile: np.ndarray
    texture: np.ndarray
    scale: np.ndarray
    noise: np.ndarray
    spread: np.ndarray
    areas: np.ndarray
    elongations: np.ndarray
    solidities: np.ndarray
    count: int
    touching: float
    thickness: np.ndarray
    length: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Measures:
        """Return what `as_json` was made from."""
        return cls(**{key: np.array(value) if isinstance(value, list) else value for key, value in row.items()})


def measure(sample: Sample, task: Task, classes: int, channels: int) -> Measures:
    """Measure one sample; what can't be known (a class that isn't there) is NaN until `completed`.

    A grey image among coloured ones (`channels` 3) is measured as one whose channels are equal.
    """
    labels = dense(sample.labels) if task == "instances" else sample.labels
    regions, depth = regions_of(labels, task, classes)
    planes = to_channels(np.moveaxis(np.atleast_3d(sample.image), -1, 0).astype(np.float64), channels)
    count = classes if task == "semantic" else 2
    grainy = np.abs([ndimage.convolve(plane, _LAPLACIAN, mode="nearest") for plane in planes])
    profile = np.full((count, channels, len(DEPTHS)), np.nan)
    texture, noise = np.full((2, count, channels), np.nan)
    scale = np.full(count, np.nan)
    residual = np.zeros_like(planes)
    for region in range(count):
        here = regions == region
        if not here.any():
            continue
        for channel, plane in enumerate(planes):
            profile[region, channel] = _by_depth(plane[here], depth[here])
            residual[channel][here] = plane[here] - np.interp(depth[here], DEPTHS, profile[region, channel])
            noise[region, channel] = _noise(grainy[channel], here, depth)
    spread = _equalise(residual, labels) if task == "instances" else np.zeros(channels)
    for region in range(count):
        here = regions == region
        if here.any():
            texture[region], scale[region] = _texture(residual, here, noise[region])
    shares = np.bincount(regions.ravel(), minlength=count) / regions.size
    geometry = _objects(labels) if task == "instances" else _lines(regions, depth, count)
    return Measures(
        height=regions.shape[0],
        width=regions.shape[1],
        dtype=sample.image.dtype.name,
        grey=sample.image.ndim == 2,
        white=int(sample.image.max()),
        shares=shares,
        profile=profile,
        texture=texture,
        scale=scale,
        noise=noise,
        spread=spread,
        **geometry,
    )


def dense(labels: np.ndarray) -> np.ndarray:
    """Return a label map whose objects are numbered 1 … n, by rising id, int64."""
    ids = np.unique(labels[labels > 0])
    return np.where(labels > 0, np.searchsorted(ids, labels) + 1, 0)


def regions_of(labels: np.ndarray, task: Task, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's region, int, and how many pixels deep it lies inside it, float, from 1 up."""
    regions = (labels > 0).astype(int) if task == "instances" else labels.astype(int)
    depth = np.zeros(labels.shape)
    for region in range(classes if task == "semantic" else 2):
        here = regions == region
        if not here.all():
            depth += away(here)
        else:
            depth[:] = DEPTHS[-1]
    if task == "instances":
        seams = _seams(labels)
        if seams.any():
            depth = np.where(labels > 0, np.minimum(depth, away(~seams) + 1), depth)
    return regions, np.maximum(depth, 1)


def away(mask: np.ndarray) -> np.ndarray:
    """Return how far each pixel of a mask is from the outside: the mean of the two quick distances, 6 % off at most."""
    kinds = ("chessboard", "taxicab")
    return sum(ndimage.distance_transform_cdt(mask, kind) for kind in kinds) / 2


def completed(rows: Sequence[Measures]) -> list[Measures]:
    """Return the rows with what is unknown filled in: the mean of the other rows, else of the other regions."""
    filled = {}
    for name in ("profile", "texture", "noise", "scale"):
        stack = np.array([getattr(row, name) for row in rows])
        known = ~np.isnan(stack)
        for axes in ((0,), (0, 1)):
            total = np.where(known, stack, 0).sum(axis=axes, keepdims=True)
            mean = total / np.maximum(known.sum(axis=axes, keepdims=True), 1)
            usable = known.any(axis=axes, keepdims=True)
            stack = np.where(known | ~usable, stack, mean)
            known = known | usable
        filled[name] = stack
    return [
        Measures(**{**vars(row), **{name: stack[i] for name, stack in filled.items()}}) for i, row in enumerate(rows)
    ]


def _noise(grainy: np.ndarray, here: np.ndarray, depth: np.ndarray) -> float:
    """Standard deviation of the noise from what a Laplacian leaves away from borders (J. Immerkær, 1996).

    Only the quieter nine tenths count, so that dirt doesn't.
    """
    inner = here & (depth > 2.5)
    found = grainy[inner if inner.sum() >= 50 else here]
    return float(found[found <= np.quantile(found, 0.9)].mean() / 0.6573)


def _by_depth(light: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Mean light at each of `DEPTHS`; where no pixel is that deep, that of the deepest there are."""
    nearest = np.searchsorted((DEPTHS[1:] + DEPTHS[:-1]) / 2, depth)
    count = np.bincount(nearest, minlength=len(DEPTHS))
    mean = np.bincount(nearest, light, minlength=len(DEPTHS)) / np.maximum(count, 1)
    present = np.flatnonzero(count)
    return np.interp(np.arange(len(DEPTHS)), present, mean[present])


def _equalise(residual: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Take each object's mean off its residual, and return the standard deviation of the means."""
    count = int(labels.max(initial=0))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    present = np.flatnonzero(sizes[1:]) + 1
    spread = np.zeros(len(residual))
    for channel in range(len(residual)):
        means = np.bincount(labels.ravel(), residual[channel].ravel(), minlength=count + 1) / np.maximum(sizes, 1)
        means[0] = 0
        residual[channel] -= means[labels]
        spread[channel] = means[present].std() if len(present) else 0.0
    return spread


def _texture(residual: np.ndarray, here: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, float]:
    """Standard deviation by channel, dirt left out, and the width of the bumps from the variance of their slope."""
    low, high = np.percentile(residual[:, here], (16, 84), axis=1)
    variance = np.maximum(((high - low) / 2) ** 2 - noise**2, 0)
    pairs = here[:, 1:] & here[:, :-1]
    if not pairs.any() or not variance.any():
        return np.sqrt(variance), 1.0
    slopes = np.diff(residual, axis=2)[:, pairs]
    low, high = np.percentile(slopes, (16, 84), axis=1)
    slope = np.maximum(((high - low) / 2) ** 2 - 2 * noise**2, 1e-3 * variance)
    widths = np.sqrt(variance[variance > 0] / (2 * slope[variance > 0]))
    return np.sqrt(variance), float(np.clip(widths.mean(), 0.6, 12.0))


def _seams(labels: np.ndarray) -> np.ndarray:
    """Which pixels lie beside another object."""
    seams = np.zeros(labels.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        a, b = labels[here], labels[there]
        differ = (a != b) & (a > 0) & (b > 0)
        seams[here] |= differ
        seams[there] |= differ
    return seams


def _objects(labels: np.ndarray) -> dict[str, Any]:
    objects = regionprops(labels.astype(np.int32))
    chosen = [o for o in objects[:: max(1, len(objects) // SHAPES)] if o.area >= 4]
    touching = np.unique(labels[_seams(labels)])
    return {
        "areas": np.array([float(o.area) for o in chosen]),
        "elongations": np.array(
            [np.clip(o.axis_major_length / max(o.axis_minor_length, 1.0), 1.0, 8.0) for o in chosen], dtype=float
        ),
        "solidities": np.array([_solidity(o) for o in chosen], dtype=float),
        "count": len(objects),
        "touching": len(touching) / max(len(objects), 1),
        "thickness": np.zeros(2),
        "length": np.zeros(2),
    }


def _solidity(found: Any) -> float:
    """Area over that of the convex hull; 1 for what is too small or too thin to have one."""
    return float(found.solidity) if found.area >= 20 and min(found.image.shape) >= 4 else 1.0


def _lines(regions: np.ndarray, depth: np.ndarray, count: int) -> dict[str, Any]:
    thickness, length = np.zeros(count), np.zeros(count)
    for region in range(count):
        here = regions == region
        if not here.any() or here.all():
            thickness[region] = min(regions.shape)
            continue
        thickness[region] = max(4 * float(np.median(away(here)[here])) - 1, 1.0)
        spine = float(skeletonize(here).sum())
        pieces = ndimage.label(here, np.ones((3, 3)))[1]
        if spine / pieces > SLENDER * thickness[region] and thickness[region] < WIDEST:
            length[region] = spine / regions.size
    return {
        "areas": np.zeros(0),
        "elongations": np.zeros(0),
        "solidities": np.zeros(0),
        "count": 0,
        "touching": 0.0,
        "thickness": thickness,
        "length": length,
    }
