"""The texture of objects: measured on training images, and laid over drawn ones that lack it.

Coarser than the noise of single pixels (`synthbench.toolkit.intensity.pixel_noise`), and lacking for the same reason:
no guess at where the bright spots of a nucleus lie is better than none, so a network that is trained to be near the
image draws it smooth.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from scipy import ndimage, optimize
from torchvision.transforms.functional import gaussian_blur

from synthbench.toolkit.masks.distance import boxes

SCALES = (0.7, 1.4, 2.8, 5.6)
"""Standard deviations of the Gaussians, in pixels; what lies between two neighbouring ones is a band."""

BANDS = len(SCALES) - 1

BODY = 0.5
"""Objects are bodies where the texture of most is less than this part of their contrast with the background.

It is .04 of fluorescent nuclei and .08 of stained ones. Of cells in phase contrast it is 3: there halos and rims are
all that an object is, and have to be drawn; with random texture over them, images were further from real ones than
procedural ones are.
"""

_REACH = 3.0
_RIM = 2
_FEW = 8
_MANY = 13
_TINY = 1e-6


def measure_texture(planes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how rough each object is inside, ``(objects, channels · BANDS)`` float32, by rising id.

    Standard deviations of the bands, fine to coarse, of each channel in turn. What lies outside of an object, and its
    rim where it has enough pixels without, doesn't count; nor does the shading that follows the distance to its edge,
    which a network learns: laid over at random instead, the dome of a blurred nucleus becomes holes. An object
    that the edge of the image cuts is measured as if it ended there, so a part of its shading does count: real nuclei
    that are cut in the middle come out a tenth rougher.

    Parameters
    ----------
    planes
        ``(channels, height, width)``, −1 … 1.
    labels
        ``(height, width)``.
    """
    variances = [_variances(planes[:, *box], owned, inside) for box, owned, inside in _objects(labels)]
    return np.sqrt(np.array(variances, np.float32)).reshape(len(variances), len(planes) * BANDS)


def contrast_ratio(textures: np.ndarray, light: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return the texture of objects as a part of their contrast with the background; see `BODY`.

    Parameters
    ----------
    textures
        ``(objects, channels · BANDS)``, as `measure_texture` gives it.
    light
        ``(objects, channels)``: their medians.
    ground
        ``(channels, pixels)``: the background.

    Returns
    -------
    ndarray
        ``(objects,)`` float32; ``(0,)`` where there is no background.
    """
    if ground.size == 0:
        return np.zeros(0, np.float32)
    contrast = np.linalg.norm(light - np.median(ground, axis=1), axis=1)
    share: np.ndarray = np.linalg.norm(textures, axis=1) / np.maximum(contrast, _TINY)
    return share


def texture_strengths(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return how strong the texture of `random_texture` is to be, ``(channels · BANDS, height, width)`` float32, 0 … 1.

    Parameters
    ----------
    labels
        ``(height, width)``.
    wanted
        ``(objects, channels · BANDS)``, as `measure_texture` gives it, by rising id, for objects that are
        smooth without.
    """
    fields = _fields(labels.shape, np.random.default_rng(0))
    found = np.zeros((wanted.shape[1], *labels.shape), np.float32)
    for (box, owned, inside), row in zip(_objects(labels), wanted, strict=True):
        strength = _solved(row.reshape(-1, BANDS) ** 2, fields[:, *box], owned, inside)
        found[:, *box] += strength.reshape(-1, 1, 1) * owned
    return found


def random_texture(strength: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Return random texture, ``(B, channels, H, W)``, the same in all channels but for its strength.

    Parameters
    ----------
    strength
        ``(B, channels · BANDS, H, W)``, as `texture_strengths` gives it.
    random
        On the device of `strength`.
    """
    white = torch.randn((len(strength), BANDS, *strength.shape[2:]), generator=random, device=strength.device)
    fields = [
        torch.sub(*(gaussian_blur(part, 2 * int(_REACH * scale + 0.5) + 1, scale) for scale in pair))
        for part, pair in zip(white.split(1, dim=1), itertools.pairwise(SCALES), strict=True)
    ]
    units = torch.cat([field / field.std(dim=(2, 3), keepdim=True).clamp_min(_TINY) for field in fields], dim=1)
    return (strength.unflatten(1, (-1, BANDS)) * units[:, None]).sum(dim=2)


def match_texture(planes: np.ndarray, labels: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return drawn planes whose objects have as much texture as they lack laid over.

    It is random, and the same in all channels but for its strength.

    Parameters
    ----------
    planes
        ``(channels, height, width)`` float32, −1 … 1.
    labels
        ``(height, width)``.
    wanted
        ``(objects, channels · BANDS)``, as `measure_texture` gives it, by rising id. Without columns,
        nothing is wanted.
    rng

    Returns
    -------
    ndarray
        As `planes`, within −1 … 1. Objects that are as rough already stay as they are.
    """
    if not wanted.size:
        return planes
    found = planes.copy()
    fields = _fields(labels.shape, rng)
    for (box, owned, inside), row in zip(_objects(labels), wanted, strict=True):
        lacking = row.reshape(-1, BANDS) ** 2 - _variances(planes[:, *box], owned, inside)
        strength = _solved(lacking, fields[:, *box], owned, inside)
        found[:, *box] += np.einsum("ck,khw->chw", strength, fields[:, *box]) * owned
    return np.clip(found, -1.0, 1.0)


def _objects(labels: np.ndarray) -> list[tuple[tuple[slice, slice], np.ndarray, np.ndarray]]:
    """Return box, pixels and pixels away from the rim of each object, by rising id."""
    found = []
    for number, box in boxes(labels):
        owned = labels[box] == number
        inside = ndimage.binary_erosion(owned, iterations=_RIM)
        found.append((box, owned, inside if inside.sum() >= _FEW else owned))
    return found


def _fields(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return noise of each band, ``(BANDS, height, width)`` float32, independent and of unit variance."""
    white = _bands(rng.standard_normal((BANDS, *shape), dtype=np.float32), np.ones(shape, bool))
    fields = np.stack([white[k, k] for k in range(BANDS)])
    return fields / np.maximum(fields.std(axis=(1, 2), keepdims=True), _TINY)


def _bands(planes: np.ndarray, owned: np.ndarray) -> np.ndarray:
    """Return what lies between neighbouring scales, ``(channels, BANDS, height, width)``, 0 outside of `owned`."""
    weight = owned.astype(np.float32)
    smooth = []
    for scale in SCALES:
        near = np.maximum(ndimage.gaussian_filter(weight, scale, truncate=_REACH), _TINY)
        sums = ndimage.gaussian_filter(planes * weight, (0, scale, scale), truncate=_REACH)
        smooth.append(weight * sums / near)
    return np.stack([fine - coarse for fine, coarse in itertools.pairwise(smooth)], axis=1)


def _variances(planes: np.ndarray, owned: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the variance of each band of the planes of one object beside its shading, ``(channels, BANDS)``."""
    bands = _bands(planes, owned)[:, :, inside]
    depth = ndimage.distance_transform_edt(np.pad(owned, 1))[1:-1, 1:-1][inside]
    shades, _ = np.linalg.qr(np.vander(depth, 3 if len(depth) >= _MANY else 1).astype(np.float32))
    variances: np.ndarray = (bands - bands @ shades @ shades.T).var(axis=2)
    return variances


def _solved(lacking: np.ndarray, fields: np.ndarray, owned: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return how strong each field is to be so that an object gets these variances, ``(channels, BANDS)`` 0 … 1.

    Bands overlap, and an object has less of a coarse field than the plane has, so each field is measured in the object.
    """
    lacking = np.maximum(lacking, 0.0)
    if not lacking.any():
        return np.zeros_like(lacking, dtype=np.float32)
    brought = _variances(fields, owned, inside).T.astype(np.float64)
    squares = [optimize.nnls(brought, row)[0] for row in lacking.astype(np.float64)]
    return np.sqrt(np.minimum(squares, 1.0)).astype(np.float32)
