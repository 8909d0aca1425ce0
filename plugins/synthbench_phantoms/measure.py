"""Image statistics that the generator `phantom` measures on training images and reproduces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import regionprops
from skimage.morphology import skeletonize

from synthbench.metrics.overlap import dense_labels
from synthbench.samples import Sample, Task
from synthbench.toolkit.intensity.images import to_channels
from synthbench.types import BoolMask, FloatArray, LabelMap

DEPTHS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 11.0, 16.0, 24.0, 40.0])
"""Distances from the border of a region, in pixels, at which its intensity is measured; the last one and beyond."""
MAX_LINE_WIDTH = 12.0
"""A class that is wider than this, in pixels, isn't generated as lines."""
MAX_SHAPES = 60
"""Number of objects of an image, at most about, whose shapes are measured."""
MIN_LINE_RATIO = 6.0
"""A class is generated as lines if its skeleton is longer than this many widths, per connected piece."""
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6.0


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """Statistics of one image, in grey values and pixels.

    There are K regions and C channels. The regions of a semantic set are its classes; those of an instance set are
    background and objects.

    Attributes
    ----------
    height, width : int
    dtype : str
    grey : bool
        Whether the image has one channel without a channel axis.
    max_value : int
        The largest grey value.
    fractions : ndarray
        ``(K,)``: fraction of the pixels.
    depth_profile : ndarray
        ``(K, C, D)``: mean intensity at the distances `DEPTHS` from the border of the region; it contains brightness,
        blur and halos.
    texture_std : ndarray
        ``(K, C)``: standard deviation around the profile, without noise and without differences between objects.
    texture_sigma : ndarray
        ``(K,)``: scale of the texture, as the standard deviation of a Gaussian in pixels.
    noise_std : ndarray
        ``(K, C)``: standard deviation of the pixel noise.
    object_std : ndarray
        ``(C,)``: standard deviation of the intensity between objects.
    areas, elongations, solidities : ndarray
        ``(objects whose shape was measured,)``; empty for semantic sets.
    object_count : int
        Number of objects in the image.
    touching_fraction : float
        Fraction of the objects that touch another one.
    line_width, line_density : ndarray
        ``(K,)``: mean width of a class, and length of its lines per pixel of the image, which is 0 if the class isn't
        generated as lines. Both are 0 for instances.
    """

    height: int
    width: int
    dtype: str
    grey: bool
    max_value: int
    fractions: FloatArray
    depth_profile: FloatArray
    texture_std: FloatArray
    texture_sigma: FloatArray
    noise_std: FloatArray
    object_std: FloatArray
    areas: FloatArray
    elongations: FloatArray
    solidities: FloatArray
    object_count: int
    touching_fraction: float
    line_width: FloatArray
    line_density: FloatArray

    def as_json(self) -> dict[str, Any]:
        """Return the statistics as numbers, strings and lists."""
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ImageStatistics:
        """Return the statistics from the result of `as_json`."""
        values: dict[str, Any] = {k: np.array(value) if isinstance(value, list) else value for k, value in row.items()}
        return cls(**values)


def measure_image(sample: Sample, task: Task, classes: int, channels: int) -> ImageStatistics:
    """Return the statistics of one sample; those of a class without pixels are NaN, see `fill_missing`.

    Parameters
    ----------
    sample
    task
    classes
        Number of classes of a semantic set.
    channels
        Those of the set; a grey image in a set with colour images is measured as one with three equal channels.
    """
    labels = dense_labels(sample.labels)[1] if task == "instances" else sample.labels
    regions, depth = regions_and_depth(labels, task, classes)
    planes = to_channels(np.moveaxis(np.atleast_3d(sample.image), -1, 0).astype(np.float64), channels)
    count = classes if task == "semantic" else 2
    response = np.abs([ndimage.convolve(plane, _LAPLACIAN, mode="nearest") for plane in planes])
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
            noise[region, channel] = _noise(response[channel], here, depth)
    spread = _equalise(residual, labels) if task == "instances" else np.zeros(channels)
    for region in range(count):
        here = regions == region
        if here.any():
            texture[region], scale[region] = _texture(residual, here, noise[region])
    fractions = np.bincount(regions.ravel(), minlength=count) / regions.size
    geometry = _objects(labels) if task == "instances" else _lines(regions, depth, count)
    return ImageStatistics(
        height=regions.shape[0],
        width=regions.shape[1],
        dtype=sample.image.dtype.name,
        grey=sample.image.ndim == 2,
        max_value=int(sample.image.max()),
        fractions=fractions,
        depth_profile=profile,
        texture_std=texture,
        texture_sigma=scale,
        noise_std=noise,
        object_std=spread,
        **geometry,
    )


def regions_and_depth(labels: LabelMap, task: Task, classes: int) -> tuple[LabelMap, FloatArray]:
    """Return the region of each pixel, and its distance from the border of the region.

    Parameters
    ----------
    labels
        ``(height, width)``.
    task
    classes
        Number of classes of a semantic set.

    Returns
    -------
    regions : ndarray
        ``(height, width)`` int.
    depth : ndarray
        ``(height, width)`` float64, pixels, at least 1.
    """
    regions = (labels > 0).astype(int) if task == "instances" else labels.astype(int)
    depth = np.zeros(labels.shape)
    for region in range(classes if task == "semantic" else 2):
        here = regions == region
        if not here.all():
            depth += approximate_distance(here)
        else:
            depth[:] = DEPTHS[-1]
    if task == "instances":
        seams = _seams(labels)
        if seams.any():
            depth = np.where(labels > 0, np.minimum(depth, approximate_distance(~seams) + 1), depth)
    return regions, np.maximum(depth, 1)


def approximate_distance(mask: BoolMask) -> FloatArray:
    """Return the distance of each pixel of a mask from the outside, with an error of at most 6 %.

    It is the mean of the chessboard and the taxicab distance, which are fast to compute.
    """
    kinds = ("chessboard", "taxicab")
    distance: FloatArray = sum(ndimage.distance_transform_cdt(mask, kind) for kind in kinds) / 2
    return distance


def fill_missing(rows: Sequence[ImageStatistics]) -> list[ImageStatistics]:
    """Replace NaN in the statistics of several images by the mean over the images, or else over the regions."""
    filled = {}
    for name in ("depth_profile", "texture_std", "noise_std", "texture_sigma"):
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
        ImageStatistics(**{**vars(row), **{name: stack[i] for name, stack in filled.items()}})
        for i, row in enumerate(rows)
    ]


def _noise(response: FloatArray, here: BoolMask, depth: FloatArray) -> float:
    """Return the standard deviation of the noise from the response to a Laplacian away from borders (Immerkær 1996).

    The strongest tenth of the responses is left out, because of dirt.
    """
    inner = here & (depth > 2.5)
    values = response[inner if inner.sum() >= 50 else here]
    return float(values[values <= np.quantile(values, 0.9)].mean() / 0.6573)


def _by_depth(light: FloatArray, depth: FloatArray) -> FloatArray:
    """Return the mean intensity at each of `DEPTHS`; at depths without pixels, that of the deepest pixels."""
    nearest = np.searchsorted((DEPTHS[1:] + DEPTHS[:-1]) / 2, depth)
    count = np.bincount(nearest, minlength=len(DEPTHS))
    mean = np.bincount(nearest, light, minlength=len(DEPTHS)) / np.maximum(count, 1)
    present = np.flatnonzero(count)
    return np.interp(np.arange(len(DEPTHS)), present, mean[present])


def _equalise(residual: FloatArray, labels: LabelMap) -> FloatArray:
    """Subtract the mean residual of each object in place, and return the standard deviation of the means."""
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


def _texture(residual: FloatArray, here: BoolMask, noise: FloatArray) -> tuple[FloatArray, float]:
    """Return the robust standard deviation per channel, and the scale of the texture from the variance of its slope."""
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


def _seams(labels: LabelMap) -> BoolMask:
    """Return which pixels have a neighbour in another object, bool."""
    seams = np.zeros(labels.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        a, b = labels[here], labels[there]
        differ = (a != b) & (a > 0) & (b > 0)
        seams[here] |= differ
        seams[there] |= differ
    return seams


def _objects(labels: LabelMap) -> dict[str, Any]:
    objects = regionprops(labels.astype(np.int32))
    chosen = [o for o in objects[:: max(1, len(objects) // MAX_SHAPES)] if o.area >= 4]
    touching = np.unique(labels[_seams(labels)])
    return {
        "areas": np.array([float(o.area) for o in chosen]),
        "elongations": np.array(
            [np.clip(o.axis_major_length / max(o.axis_minor_length, 1.0), 1.0, 8.0) for o in chosen], dtype=float
        ),
        "solidities": np.array([_solidity(o) for o in chosen], dtype=float),
        "object_count": len(objects),
        "touching_fraction": len(touching) / max(len(objects), 1),
        "line_width": np.zeros(2),
        "line_density": np.zeros(2),
    }


def _solidity(region: Any) -> float:
    """Return the area divided by that of the convex hull; 1 for a region too small or too thin to have a hull."""
    return float(region.solidity) if region.area >= 20 and min(region.image.shape) >= 4 else 1.0


def _lines(regions: LabelMap, depth: FloatArray, count: int) -> dict[str, Any]:
    width, density = np.zeros(count), np.zeros(count)
    for region in range(count):
        here = regions == region
        if not here.any() or here.all():
            width[region] = min(regions.shape)
            continue
        width[region] = max(4 * float(np.median(approximate_distance(here)[here])) - 1, 1.0)
        skeleton_length = float(skeletonize(here).sum())
        pieces = ndimage.label(here, np.ones((3, 3)))[1]
        if skeleton_length / pieces > MIN_LINE_RATIO * width[region] and width[region] < MAX_LINE_WIDTH:
            density[region] = skeleton_length / regions.size
    return {
        "areas": np.zeros(0),
        "elongations": np.zeros(0),
        "solidities": np.zeros(0),
        "object_count": 0,
        "touching_fraction": 0.0,
        "line_width": width,
        "line_density": density,
    }
