"""What the mask of an image doesn't explain: texture, and the brightness of single objects.

An image that was drawn to a training mask has its objects where the training image has them, so the two look similar
without a common pixel. Here every grey value is predicted from the mask, the brightness of each object and the distance
to edges, and the prediction is subtracted. What remains is texture, debris and noise, and which objects are brighter
than others of their size: a copy keeps these, an image that was only drawn to the same mask doesn't.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from synthbench.metrics.similarity import SIDE, averaged
from synthbench.types import AnyArray

__all__ = ["MAX_SIDE", "TEXTURE_SIDE", "Residuals", "residuals"]

TEXTURE_SIDE = 64
"""Side of the texture that remains, in pixels."""

MAX_SIDE = 512
"""Longest side, in pixels, that is analysed; larger images are averaged down by a whole factor."""

_KNOTS = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 22.0, 35.0])
"""Distances from an edge, in pixels, between which brightness is linear."""
_BLURS = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations, in pixels, of the blurs of the mask."""
_ROUNDS = 2
_RIM = 3.0
"""Width, in pixels, over which edges fade out of the texture."""
_CLIP = 2.5
"""Standard deviations at which the texture is clipped."""
_MANY_OBJECTS = 8
"""Objects above which brightness is predicted from their size."""
_NEIGHBOURS = ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]))
_SLOW = TEXTURE_SIDE / 8


@dataclass(frozen=True, eq=False)
class Residuals:
    """What the mask of an image doesn't explain; pictures of mean 0 and length 1, or all 0 where nothing is left.

    Attributes
    ----------
    texture : ndarray
        ``(TEXTURE_SIDE * TEXTURE_SIDE,)`` float32: what is left within objects and between them, away from edges.
    brightness : ndarray
        ``(SIDE * SIDE,)`` float32: by how much each object is brighter than expected from its size.
    effective_objects : float
        Number of objects of equal size that would say as much about brightness.
    """

    texture: AnyArray
    brightness: AnyArray
    effective_objects: float


def residuals(image: AnyArray, labels: AnyArray) -> Residuals:
    """Subtract from an image what its mask explains.

    Explained are: the profile of brightness over the distance from an edge, inside and around objects, as the sum of
    one curve for all objects and one in proportion to the brightness of the nearest object; the blurred mask; slow
    changes of illumination; and brightness as far as it follows from an object's size. The fit is by least squares,
    to this image alone.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, channels)``, any real type; grey is the mean of the channels.
    labels
        ``(height, width)``, integers: objects, or classes; 0 is background.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(f"labels: shape {labels.shape}, but the image has {image.shape[:2]}")
    grey = image.mean(axis=2, dtype=np.float64) if image.ndim == 3 else image.astype(np.float64)
    grey, labels = _reduced(grey, labels)
    size = max(float(np.abs(grey).max()), 1e-30)
    inside = labels > 0
    if not inside.any():
        return Residuals(_texture(grey - grey.mean(), size), np.zeros(SIDE * SIDE, np.float32), 0.0)
    region = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + int(inside.all())
    region = np.where(inside, region, 0)
    contact = _borders(region, between_objects=True)
    unexplained, brightness, depth = _unexplained(grey, inside, region, contact)
    excess, effective_objects = _excess_brightness(brightness, region, depth)
    excess_picture = averaged(excess[region].astype(np.float32), SIDE)
    return Residuals(
        _texture(unexplained * _edge_weights(region), size), _unit(excess_picture, size), effective_objects
    )


def _texture(unexplained: AnyArray, size: float) -> AnyArray:
    """Return what is unexplained as a small picture, without slow changes, and with the brightest pixels clipped."""
    limit = _CLIP * float(unexplained.std())
    small = averaged(np.clip(unexplained, -limit, limit).astype(np.float32), TEXTURE_SIDE)
    return _unit(small - scipy.ndimage.gaussian_filter(small, _SLOW, mode="reflect"), size)


def _unit(picture: AnyArray, size: float) -> AnyArray:
    picture = picture - picture.mean()
    length = float(np.linalg.norm(picture))
    if length <= 1e-5 * size * len(picture):
        return np.zeros(picture.size, np.float32)
    return (picture / length).ravel().astype(np.float32)


def _reduced(grey: AnyArray, labels: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return large images and masks reduced by a whole factor: means of pixels, and the label in the middle."""
    step = -(-max(labels.shape) // MAX_SIDE)
    if step == 1:
        return grey, labels
    height, width = (max(1, side // step) for side in labels.shape)
    cut = grey[: height * step, : width * step]
    rows, columns = (min(step, side) for side in cut.shape)
    middle = labels[rows // 2 :: step, columns // 2 :: step][:height, :width]
    return cut.reshape(height, rows, width, columns).mean(axis=(1, 3)), middle


def _unexplained(
    grey: AnyArray, inside: AnyArray, region: AnyArray, contact: AnyArray
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return grey values minus what the mask predicts, the brightness of each region, and each pixel's depth."""
    nearest, depth, merged_depth = _depths(inside, region, contact)
    value, regions, nearest_region, place = (array.ravel() for array in (grey, region, nearest, depth))
    brightness = _means(value, regions)
    brightness -= brightness[0]
    for _ in range(_ROUNDS):
        level, profile = _curves(value, brightness[nearest_region], place)
        brightness = _fitted(value - level, profile, regions)
    left = value - level - profile * brightness[nearest_region]
    if contact.any():
        for other in (merged_depth.ravel(), place) * _ROUNDS:
            level, profile = _curves(left, brightness[nearest_region], other)
            left = left - level - profile * brightness[nearest_region]
    left = left - _blurred(left, brightness[region], inside, contact)
    return (left - _means(left, regions)[regions]).reshape(grey.shape), brightness, depth


def _excess_brightness(brightness: AnyArray, region: AnyArray, depth: AnyArray) -> tuple[AnyArray, float]:
    """Return each region's brightness minus that expected from size and depth, and the effective number of regions."""
    regions = region.ravel()
    area = np.bincount(regions, minlength=len(brightness))[1:].astype(np.float64)
    predictors: list[AnyArray] = [np.ones_like(area)]
    if len(area) > _MANY_OBJECTS:
        mean_depth = np.bincount(regions, depth.ravel(), len(brightness))[1:] / area
        predictors += [np.log(area), np.log(area) ** 2, mean_depth]
    columns, weight = np.stack(predictors, axis=1), np.sqrt(area)
    expected = columns @ np.linalg.lstsq(columns * weight[:, None], brightness[1:] * weight, rcond=None)[0]
    return np.append(0.0, brightness[1:] - expected), float(area.sum() ** 2 / (area**2).sum())


def _edge_weights(region: AnyArray) -> AnyArray:
    """Return weights: 0 at edges, where errors of the mask show, and 1 from some pixels on."""
    edge = _borders(region)
    if not edge.any():
        return np.ones(region.shape)
    weight: AnyArray = np.clip((scipy.ndimage.distance_transform_edt(~edge) - 1) / _RIM, 0, 1)
    return weight


def _borders(region: AnyArray, *, between_objects: bool = False) -> AnyArray:
    """Return the pixels that have another region beside them; of objects alone, those that touch another object."""
    border = np.zeros(region.shape, bool)
    for here, there in _NEIGHBOURS:
        step = region[here] != region[there]
        if between_objects:
            step &= (region[here] > 0) & (region[there] > 0)
        border[here] |= step
        border[there] |= step
    return border


def _depths(inside: AnyArray, region: AnyArray, contact: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return, for each pixel, the nearest object and the place on the scale of knots, those inside objects last.

    The second place takes objects that touch as one.
    """
    around, where = scipy.ndimage.distance_transform_edt(~inside, return_indices=True)
    merged = scipy.ndimage.distance_transform_edt(inside) if not inside.all() else np.full(inside.shape, _KNOTS[-1])
    single = np.minimum(merged, scipy.ndimage.distance_transform_edt(~contact) + 1) if contact.any() else merged
    scale = np.arange(len(_KNOTS))
    outside = np.interp(around, _KNOTS, scale)
    depth, merged_depth = (
        np.where(inside, len(_KNOTS) + np.interp(distance, _KNOTS, scale), outside) for distance in (single, merged)
    )
    return region[tuple(where)], depth, merged_depth


def _blurred(left: AnyArray, brightness: AnyArray, inside: AnyArray, contact: AnyArray) -> AnyArray:
    """Return what the blurred mask explains: objects of their own brightness, of equal brightness, and contacts."""
    planes = [brightness, inside, contact, contact * brightness] if contact.any() else [brightness, inside]
    columns = np.stack([
        scipy.ndimage.gaussian_filter(plane.astype(np.float32), sigma, mode="reflect").ravel()
        for plane in planes for sigma in _BLURS
    ])  # fmt: skip
    columns -= columns.mean(axis=1, keepdims=True)
    columns /= np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), 1e-12)
    normal = columns @ columns.T
    solution = np.linalg.lstsq(normal.astype(np.float64), columns @ left.astype(np.float32), rcond=1e-6)[0]
    explained: AnyArray = solution.astype(np.float32) @ columns
    return explained


def _curves(value: AnyArray, brightness: AnyArray, place: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Fit ``level(place) + profile(place) · brightness``, both piecewise linear; return the two at each pixel."""
    knots = 2 * len(_KNOTS)
    first = np.minimum(place.astype(np.int64), knots - 2)
    beyond = place - first
    sides = ((first, 1 - beyond), (first + 1, beyond))
    moments, aims = [], []
    for power in range(3):
        weight = brightness**power
        moment = np.diag(sum(np.bincount(at, share**2 * weight, knots) for at, share in sides))
        shared = np.bincount(first, beyond * (1 - beyond) * weight, knots)[:-1]
        moments.append(moment + np.diag(shared, 1) + np.diag(shared, -1))
        aims.append(sum(np.bincount(at, share * weight * value, knots) for at, share in sides))
    normal = np.block([[moments[0], moments[1]], [moments[1], moments[2]]])
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), 1e-30))
    solved = np.linalg.lstsq(normal * scale * scale[:, None], np.concatenate(aims[:2]) * scale, rcond=1e-9)[0] * scale
    level, profile = (values[first] * (1 - beyond) + values[first + 1] * beyond for values in np.split(solved, 2))
    return level, profile


def _fitted(value: AnyArray, profile: AnyArray, regions: AnyArray) -> AnyArray:
    """Return the brightness of each object: the factor of the profile that fits its pixels best; 0 for background."""
    square = np.bincount(regions, profile**2)
    brightness: AnyArray = np.bincount(regions, profile * value) / np.where(square > 0, square, 1.0)
    brightness[0] = 0.0
    return brightness


def _means(value: AnyArray, regions: AnyArray) -> AnyArray:
    means: AnyArray = np.bincount(regions, value) / np.maximum(np.bincount(regions), 1)
    return means
