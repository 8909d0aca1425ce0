"""The texture of objects: measured on training images, and added to generated objects that have less of it.

Texture is coarser than the noise of single pixels (`synthbench.toolkit.intensity.pixel_noise`), and is missing for the
same reason: where the bright spots of a nucleus are can't be predicted from a mask, so a network that is trained to be
close to the image generates a smooth object.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, optimize
from torchvision.transforms.functional import gaussian_blur

from synthbench.toolkit.masks.distance import bounding_boxes
from synthbench.toolkit.rng import stream
from synthbench.types import BoolMask, LabelMap, Planes

__all__ = [
    "BANDS",
    "MAX_TEXTURE_RATIO",
    "contrast_ratio",
    "match_texture",
    "measure_texture",
    "random_texture",
    "texture_strengths",
]

SCALES = (0.7, 1.4, 2.8, 5.6)
"""Standard deviations of Gaussians in pixels; a band is the difference of two consecutive smoothings."""

BANDS = len(SCALES) - 1
"""Number of bands, from fine to coarse."""

MAX_TEXTURE_RATIO = 0.5
"""Texture is added only if it is weaker than this fraction of the contrast with the background, for most objects.

For nuclei the ratio is about 0.05. For cells in phase contrast it is about 3: there an object consists of halos and
edges, which a network has to learn.
"""

_TRUNCATE = 3.0
_EDGE_WIDTH = 2
_MIN_PIXELS = 8
_MIN_PIXELS_FOR_SHADING = 13
_EPSILON = 1e-6
_REFERENCE_FIELDS = 4


def measure_texture(planes: Planes, labels: LabelMap) -> NDArray[np.float32]:
    """Return the strength of the texture inside each object: the standard deviations of its bands.

    Pixels outside the object don't contribute, nor do those at its edge if there are enough others. Shading that
    depends on the distance from the edge is removed, because a network learns it, and it isn't random. An object that
    the border of the image cuts is measured as if it ended there, so part of its shading does contribute.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    labels
        ``(height, width)``.

    Returns
    -------
    ndarray
        ``(objects, channels · BANDS)`` float32, in the order of the labels; for each channel the bands from fine to
        coarse.
    """
    variances = [_band_variances(planes[:, *box], mask, inside) for box, mask, inside in _objects(labels)]
    return np.sqrt(np.array(variances, np.float32)).reshape(len(variances), len(planes) * BANDS)


def contrast_ratio(
    textures: NDArray[np.float32], medians: NDArray[np.float32], background: Planes
) -> NDArray[np.float32]:
    """Return the ratio of each object's texture to its contrast with the background; see `MAX_TEXTURE_RATIO`.

    Parameters
    ----------
    textures
        ``(objects, channels · BANDS)``, as `measure_texture` returns it.
    medians
        ``(objects, channels)``: the median of each object.
    background
        ``(channels, pixels)``: the pixels of the background.

    Returns
    -------
    ndarray
        ``(objects,)`` float32; ``(0,)`` without background.
    """
    if background.size == 0:
        return np.zeros(0, np.float32)
    contrast = np.linalg.norm(medians - np.median(background, axis=1), axis=1)
    ratio: NDArray[np.float32] = np.linalg.norm(textures, axis=1) / np.maximum(contrast, _EPSILON)
    return ratio


def texture_strengths(labels: LabelMap, target: NDArray[np.float32]) -> Planes:
    """Return the strength with which `random_texture` gives smooth objects a texture.

    Parameters
    ----------
    labels
        ``(height, width)``.
    target
        ``(objects, channels · BANDS)``, as `measure_texture` returns it, in the order of the labels.

    Returns
    -------
    ndarray
        ``(channels · BANDS, height, width)`` float32, 0 … 1.
    """
    fields = [_random_fields(labels.shape, stream(0, "texture.fields", k)) for k in range(_REFERENCE_FIELDS)]
    strengths = np.zeros((target.shape[1], *labels.shape), np.float32)
    for (box, mask, inside), row in zip(_objects(labels), target, strict=True):
        strength = _solve_strengths(row.reshape(-1, BANDS) ** 2, [each[:, *box] for each in fields], mask, inside)
        strengths[:, *box] += strength.reshape(-1, 1, 1) * mask
    return strengths


def random_texture(strength: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return random texture; the channels differ in its strength only.

    Parameters
    ----------
    strength
        ``(B, channels · BANDS, H, W)``, as `texture_strengths` returns it.
    random
        On the device of `strength`.

    Returns
    -------
    torch.Tensor
        ``(B, channels, H, W)``.
    """
    white = torch.randn((len(strength), BANDS, *strength.shape[2:]), generator=random, device=strength.device)
    fields = [
        torch.sub(*(gaussian_blur(noise, 2 * int(_TRUNCATE * scale + 0.5) + 1, scale) for scale in pair))
        for noise, pair in zip(white.split(1, dim=1), itertools.pairwise(SCALES), strict=True)
    ]
    units = torch.cat([field / field.std(dim=(2, 3), keepdim=True).clamp_min(_EPSILON) for field in fields], dim=1)
    texture: torch.Tensor = (strength.unflatten(1, (-1, BANDS)) * units[:, None]).sum(dim=2)
    return texture


def match_texture(planes: Planes, labels: LabelMap, target: NDArray[np.float32], rng: np.random.Generator) -> Planes:
    """Return generated planes with random texture added to the objects that have less than the target.

    The channels differ in the strength of the texture only.

    Parameters
    ----------
    planes
        ``(channels, height, width)`` float32, −1 … 1.
    labels
        ``(height, width)``.
    target
        ``(objects, channels · BANDS)``, as `measure_texture` returns it, in the order of the labels; without columns
        nothing is added.
    rng

    Returns
    -------
    ndarray
        As `planes`, clipped to −1 … 1; objects with enough texture are unchanged.
    """
    if not target.size:
        return planes
    textured = planes.copy()
    fields = _random_fields(labels.shape, rng)
    for (box, mask, inside), row in zip(_objects(labels), target, strict=True):
        missing = row.reshape(-1, BANDS) ** 2 - _band_variances(planes[:, *box], mask, inside)
        strength = _solve_strengths(missing, [fields[:, *box]], mask, inside)
        textured[:, *box] += np.einsum("ck,khw->chw", strength, fields[:, *box]) * mask
    return np.clip(textured, -1.0, 1.0)


def _objects(labels: LabelMap) -> list[tuple[tuple[slice, slice], BoolMask, BoolMask]]:
    """Return bounding box, mask and mask without the edge of each object, in the order of the labels."""
    objects = []
    for number, box in bounding_boxes(labels):
        mask = labels[box] == number
        inside = ndimage.binary_erosion(mask, iterations=_EDGE_WIDTH)
        objects.append((box, mask, inside if inside.sum() >= _MIN_PIXELS else mask))
    return objects


def _random_fields(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return independent noise of each band, ``(BANDS, height, width)`` float32, of unit variance."""
    white = _bands(rng.standard_normal((BANDS, *shape), dtype=np.float32), np.ones(shape, bool))
    fields = np.stack([white[k, k] for k in range(BANDS)])
    normalised: NDArray[np.float32] = fields / np.maximum(fields.std(axis=(1, 2), keepdims=True), _EPSILON)
    return normalised


def _bands(planes: Planes, mask: BoolMask) -> NDArray[np.float32]:
    """Return the bands of planes within a mask, ``(channels, BANDS, height, width)``, 0 outside."""
    weight = mask.astype(np.float32)
    smoothed = []
    for scale in SCALES:
        weights = np.maximum(ndimage.gaussian_filter(weight, scale, truncate=_TRUNCATE), _EPSILON)
        sums = ndimage.gaussian_filter(planes * weight, (0, scale, scale), truncate=_TRUNCATE)
        smoothed.append(weight * sums / weights)
    return np.stack([fine - coarse for fine, coarse in itertools.pairwise(smoothed)], axis=1)


def _band_variances(planes: Planes, mask: BoolMask, inside: BoolMask) -> NDArray[np.float32]:
    """Return the variance of each band of an object's planes, shading removed, ``(channels, BANDS)``."""
    bands = _bands(planes, mask)[:, :, inside]
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][inside]
    degrees = 3 if len(depth) >= _MIN_PIXELS_FOR_SHADING else 1
    shading, _ = np.linalg.qr(np.vander(depth, degrees).astype(np.float32))
    variances: NDArray[np.float32] = (bands - bands @ shading @ shading.T).var(axis=2)
    return variances


def _solve_strengths(
    variances: NDArray[np.float32], fields: Sequence[NDArray[np.float32]], mask: BoolMask, inside: BoolMask
) -> NDArray[np.float32]:
    """Return the strength of each field that adds these variances to an object, ``(channels, BANDS)``, 0 … 1.

    Bands overlap, and a coarse field varies less in an object than in the plane, so each field is measured in the
    object; the variances of several realisations are averaged.
    """
    variances = np.maximum(variances, 0.0)
    if not variances.any():
        return np.zeros_like(variances, dtype=np.float32)
    of_fields = np.mean([_band_variances(each, mask, inside) for each in fields], axis=0).T.astype(np.float64)
    squares = [optimize.nnls(of_fields, row)[0] for row in variances.astype(np.float64)]
    strength: NDArray[np.float32] = np.sqrt(np.minimum(squares, 1.0)).astype(np.float32)
    return strength
