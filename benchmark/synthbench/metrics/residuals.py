"""What of an image its mask doesn't explain: the trace that a copy leaves, and a picture painted to the mask doesn't.

An image that was drawn to a training mask has its objects where the training image has them, so the two look alike
without a common pixel. Here every grey value is predicted from the mask, the brightness of each object and
the distance to edges, and the prediction is taken off. What remains is texture, debris and noise; and which objects
are brighter than others of their size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from synthbench.metrics.similarity import SIDE, averaged

FINE = 64
"""Side of the texture that remains, in pixels."""

LARGEST = 512
"""Longest side, in pixels, that is looked at; larger images are averaged down by a whole factor."""

_KNOTS = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 22.0, 35.0])
"""Distances from an edge, in pixels, between which brightness runs straight."""
_BLURS = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations, in pixels, of the blurs that a mask is seen through."""
_ROUNDS = 2
_RIM = 3.0
"""Width, in pixels, over which edges fade out of the texture."""
_BRIGHT = 2.5
"""Standard deviations at which the texture is cut off."""
_MANY = 8
"""Objects above which brightness is expected from their size."""
_NEIGHBOURS = ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]))
_SLOW = FINE / 8


@dataclass(frozen=True, eq=False)
class Traces:
    """What of an image its mask doesn't explain; pictures of mean 0 and length 1, or all 0 where nothing is left.

    Attributes
    ----------
    texture : ndarray
        ``(FINE * FINE,)`` float32: what is left within objects and between them, away from edges.
    light : ndarray
        ``(SIDE * SIDE,)`` float32: how much brighter each object is than its size lets expect.
    objects : float
        How many objects of one size would tell as much of their light.
    """

    texture: np.ndarray
    light: np.ndarray
    objects: float


def traces(image: np.ndarray, labels: np.ndarray) -> Traces:
    """Take off an image what its mask explains.

    Explained are: the course of brightness with the distance from an edge, inside objects and around them, a curve for
    all and one that grows with the brightness of the nearest object; the mask out of focus; slow changes of light; and
    brightness as far as it follows from an object's size. The fit is by least squares, to this image alone.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, 3)``, any real type.
    labels
        ``(height, width)``, whole numbers: objects, or classes; 0 is background.

    Raises
    ------
    ValueError
        If the two don't fit together.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f"labels: shape {labels.shape}, and the image has {image.shape[:2]}")
    grey = image.mean(axis=2, dtype=np.float64) if image.ndim == 3 else image.astype(np.float64)
    grey, labels = _reduced(grey, labels)
    size = max(float(np.abs(grey).max()), 1e-30)
    inside = labels > 0
    if not inside.any():
        return Traces(_texture(grey - grey.mean(), size), np.zeros(SIDE * SIDE, np.float32), 0.0)
    region = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + int(inside.all())
    region = np.where(inside, region, 0)
    seam = _seam(region)
    left, light, depth = _unexplained(grey, inside, region, seam)
    surprise, objects = _surprise(light, region, depth)
    brighter = averaged(surprise[region].astype(np.float32), SIDE)
    return Traces(_texture(left * _away(region), size), _unit(brighter, size), objects)


def _texture(left: np.ndarray, size: float) -> np.ndarray:
    """Return what is left as a small picture: without slow changes, and without the few pixels that outshine it."""
    most = _BRIGHT * float(left.std())
    small = averaged(np.clip(left, -most, most).astype(np.float32), FINE)
    return _unit(small - ndimage.gaussian_filter(small, _SLOW, mode="reflect"), size)


def _unit(picture: np.ndarray, size: float) -> np.ndarray:
    picture = picture - picture.mean()
    length = float(np.linalg.norm(picture))
    if length <= 1e-5 * size * len(picture):
        return np.zeros(picture.size, np.float32)
    return (picture / length).ravel().astype(np.float32)


def _reduced(grey: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both by a whole factor smaller, where they are large: means of pixels, and the label in the middle."""
    step = -(-max(labels.shape) // LARGEST)
    if step == 1:
        return grey, labels
    height, width = (max(1, side // step) for side in labels.shape)
    cut = grey[: height * step, : width * step]
    rows, columns = (min(step, side) for side in cut.shape)
    middle = labels[rows // 2 :: step, columns // 2 :: step][:height, :width]
    return cut.reshape(height, rows, width, columns).mean(axis=(1, 3)), middle


def _unexplained(
    grey: np.ndarray, inside: np.ndarray, region: np.ndarray, seam: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey values less what the mask tells of them, the light of each region, and where each pixel lies."""
    nearest, place, together = _places(inside, region, seam)
    value, part, own, where = (array.ravel() for array in (grey, region, nearest, place))
    light = _means(value, part)
    light -= light[0]
    for _ in range(_ROUNDS):
        level, shape = _curves(value, light[own], where)
        light = _fitted(value - level, shape, part)
    left = value - level - shape * light[own]
    if seam.any():
        for other in (together.ravel(), where) * _ROUNDS:
            level, shape = _curves(left, light[own], other)
            left = left - level - shape * light[own]
    left = left - _blurred(left, light[region], inside, seam)
    return (left - _means(left, part)[part]).reshape(grey.shape), light, place


def _surprise(light: np.ndarray, region: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, float]:
    """Return how much brighter each region is than its size and depth let expect, and how many regions that is."""
    part = region.ravel()
    area = np.bincount(part, minlength=len(light))[1:].astype(np.float64)
    told: list[np.ndarray] = [np.ones_like(area)]
    if len(area) > _MANY:
        told += [np.log(area), np.log(area) ** 2, np.bincount(part, place.ravel(), len(light))[1:] / area]
    columns, weight = np.stack(told, axis=1), np.sqrt(area)
    expected = columns @ np.linalg.lstsq(columns * weight[:, None], light[1:] * weight, rcond=None)[0]
    found = np.append(0.0, light[1:] - expected)
    return found, float(area.sum() ** 2 / (area**2).sum())


def _away(region: np.ndarray) -> np.ndarray:
    """Return weights, 0 at edges, where a mask's own errors and any painter's show, and 1 from some pixels on."""
    edge = np.zeros(region.shape, bool)
    for here, there in _NEIGHBOURS:
        step = region[here] != region[there]
        edge[here] |= step
        edge[there] |= step
    if not edge.any():
        return np.ones(region.shape)
    weight: np.ndarray = np.clip((ndimage.distance_transform_edt(~edge) - 1) / _RIM, 0, 1)
    return weight


def _seam(region: np.ndarray) -> np.ndarray:
    """Return the pixels of objects that touch another object."""
    seam = np.zeros(region.shape, bool)
    for here, there in _NEIGHBOURS:
        touch = (region[here] != region[there]) & (region[here] > 0) & (region[there] > 0)
        seam[here] |= touch
        seam[there] |= touch
    return seam


def _places(inside: np.ndarray, region: np.ndarray, seam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each pixel, the nearest object, and its place on the scale of knots, those inside objects last.

    The second place takes objects that touch for one.
    """
    around, where = ndimage.distance_transform_edt(~inside, return_indices=True)
    depth = ndimage.distance_transform_edt(inside) if not inside.all() else np.full(inside.shape, _KNOTS[-1])
    alone = np.minimum(depth, ndimage.distance_transform_edt(~seam) + 1) if seam.any() else depth
    scale = np.arange(len(_KNOTS))
    outside = np.interp(around, _KNOTS, scale)
    place, together = (
        np.where(inside, len(_KNOTS) + np.interp(deep, _KNOTS, scale), outside) for deep in (alone, depth)
    )
    return region[tuple(where)], place, together


def _blurred(left: np.ndarray, light: np.ndarray, inside: np.ndarray, seam: np.ndarray) -> np.ndarray:
    """Return what the mask out of focus explains: objects as bright as they are, all alike, and where they touch."""
    planes = [light, inside, seam, seam * light] if seam.any() else [light, inside]
    columns = np.stack([
        ndimage.gaussian_filter(plane.astype(np.float32), sigma, mode="reflect").ravel()
        for plane in planes for sigma in _BLURS
    ])  # fmt: skip
    columns -= columns.mean(axis=1, keepdims=True)
    columns /= np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), 1e-12)
    normal = columns @ columns.T
    found = np.linalg.lstsq(normal.astype(np.float64), columns @ left.astype(np.float32), rcond=1e-6)[0]
    explained: np.ndarray = found.astype(np.float32) @ columns
    return explained


def _curves(value: np.ndarray, light: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit ``level(place) + shape(place) · light``, both straight between knots, and return the two at each pixel."""
    knots = 2 * len(_KNOTS)
    first = np.minimum(place.astype(np.int64), knots - 2)
    beyond = place - first
    sides = ((first, 1 - beyond), (first + 1, beyond))
    moments, aims = [], []
    for power in range(3):
        weight = light**power
        moment = np.diag(sum(np.bincount(at, share**2 * weight, knots) for at, share in sides))
        shared = np.bincount(first, beyond * (1 - beyond) * weight, knots)[:-1]
        moments.append(moment + np.diag(shared, 1) + np.diag(shared, -1))
        aims.append(sum(np.bincount(at, share * weight * value, knots) for at, share in sides))
    normal = np.block([[moments[0], moments[1]], [moments[1], moments[2]]])
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), 1e-30))
    solved = np.linalg.lstsq(normal * scale * scale[:, None], np.concatenate(aims[:2]) * scale, rcond=1e-9)[0] * scale
    level, shape = (part[first] * (1 - beyond) + part[first + 1] * beyond for part in np.split(solved, 2))
    return level, shape


def _fitted(value: np.ndarray, shape: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return how bright each object is, as the factor of the shape that fits its pixels best; 0 for the background."""
    square = np.bincount(part, shape**2)
    light: np.ndarray = np.bincount(part, shape * value) / np.where(square > 0, square, 1.0)
    light[0] = 0.0
    return light


def _means(value: np.ndarray, part: np.ndarray) -> np.ndarray:
    return np.bincount(part, value) / np.maximum(np.bincount(part), 1)
