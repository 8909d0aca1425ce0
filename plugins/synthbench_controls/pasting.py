"""Pasting an object into an image: its surroundings are subtracted, its contrast is adjusted, its edge is blended."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synthbench import Sample
from synthbench.toolkit.intensity.images import to_channels
from synthbench.toolkit.masks.objects import Cutout
from synthbench.toolkit.masks.placement import Canvas, overlapping_slices
from synthbench.toolkit.training.patches import dihedral
from synthbench.types import BoolMask, Image, Planes

BACKGROUND_WIDTH = 5
"""Width in pixels of the surroundings in which an object's local background is measured."""


@dataclass(frozen=True, eq=False)
class PastedObject:
    """An object with its surroundings, prepared for pasting.

    Attributes
    ----------
    mask : ndarray
        ``(h, w)`` bool, the object.
    planes : ndarray
        ``(channels, h, w)`` float32: the image minus the local background, at the contrast of the target image.
    alpha : ndarray
        ``(h, w)`` float32, opacity 0 … 1: 1 in the object, decreasing around it, 0 in its former neighbours.
    """

    mask: BoolMask
    planes: Planes
    alpha: NDArray[np.float32]


def cut_object(
    sample: Sample, cutout: Cutout, *, channels: int, gain: float, symmetry: int, feather_sigma: float
) -> PastedObject:
    """Return an object of a training sample, prepared for pasting.

    Parameters
    ----------
    sample, cutout
        The training sample, and one of its objects.
    channels
        Channels of the target image.
    gain
        Factor of the contrast.
    symmetry
        Flip and rotation; see `synthbench.toolkit.training.patches.dihedral`.
    feather_sigma
        Standard deviation of the decrease of the opacity, in pixels.
    """
    pad = BACKGROUND_WIDTH + math.ceil(3 * feather_sigma)
    height, width = sample.labels.shape
    rows = np.arange(cutout.box[0].start - pad, cutout.box[0].stop + pad).clip(0, height - 1)
    columns = np.arange(cutout.box[1].start - pad, cutout.box[1].stop + pad).clip(0, width - 1)
    labels = sample.marked[np.ix_(rows, columns)]
    planes = to_channels(image_planes(sample.image)[:, rows[:, None], columns], channels)
    mask = np.pad(cutout.mask, pad)
    surroundings = ndimage.binary_dilation(mask, iterations=BACKGROUND_WIDTH) & (labels == 0)
    background = np.median(planes[:, surroundings if surroundings.any() else mask], axis=1)[:, None, None]
    alpha = np.minimum(1.0, 2.0 * ndimage.gaussian_filter(mask.astype(np.float32), feather_sigma))
    alpha[mask] = 1.0
    alpha[(labels > 0) & ~mask] = 0.0
    return PastedObject(
        dihedral(mask, symmetry), dihedral(gain * (planes - background), symmetry), dihedral(alpha, symmetry)
    )


def paste(planes: Planes, canvas: Canvas, pasted: PastedObject, corner: tuple[int, int]) -> None:
    """Paste an object into an image and place it on its canvas; existing objects stay in front.

    Parameters
    ----------
    planes
        ``(channels, height, width)`` float32, the image; changed.
    canvas
        The label map of the image; changed.
    pasted
    corner
        Row and column of the first pixel of the object's bounding box in the image.
    """
    rows, columns = ndimage.find_objects(pasted.mask.astype(np.int8))[0]
    outer_corner = (corner[0] - rows.start, corner[1] - columns.start)
    in_image, in_object = overlapping_slices(canvas.labels.shape, pasted.mask.shape, outer_corner)
    mask = pasted.mask[in_object]
    free = canvas.labels[in_image] == 0
    alpha = np.where(free, pasted.alpha[in_object], 0.0)
    target = planes[:, in_image[0], in_image[1]]
    background = np.median(target[:, mask & free], axis=1)[:, None, None]
    target += alpha * (pasted.planes[:, in_object[0], in_object[1]] + background - target)
    canvas.place(pasted.mask[rows, columns], corner)


def contrast(sample: Sample) -> float:
    """Return the contrast between objects and background, root mean square over the channels; 0 without either."""
    planes, labels = image_planes(sample.image), sample.marked
    inside, outside = labels > 0, labels == 0
    if not inside.any() or not outside.any():
        return 0.0
    difference = np.median(planes[:, inside], axis=1) - np.median(planes[:, outside], axis=1)
    return float(np.linalg.norm(difference)) / math.sqrt(len(planes))


def background_colour(sample: Sample) -> NDArray[np.float32]:
    """Return the median of each channel of the background, or of the image if objects cover all of it.

    Returns
    -------
    ndarray
        ``(3,)`` of grey and RGB, else ``(channels,)``.
    """
    planes, outside = image_planes(sample.image), sample.marked == 0
    median = np.median(planes[:, outside] if outside.any() else planes.reshape(len(planes), -1), axis=1)
    return np.broadcast_to(median, (3,)) if len(median) == 1 else median


def image_planes(image: Image) -> Planes:
    """Return an image ``(height, width[, channels])`` as planes ``(channels, height, width)`` float32, unscaled."""
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32)
