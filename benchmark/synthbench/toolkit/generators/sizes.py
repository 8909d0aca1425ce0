"""Sizes of drawn images: masks that are too large are cropped, and planes are padded to what a network takes."""

from __future__ import annotations

import numpy as np
import torch

from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.objects import relabel
from synthbench.types import LabelMap, Planes

__all__ = ["crop_mask", "pad_to_multiple"]


def crop_mask(
    labels: LabelMap, codec: ImageMaskCodec, max_side: int, rng: np.random.Generator
) -> tuple[LabelMap, Planes, int]:
    """Return a part of a label map as it is and as planes; see `MaskToImageGenerator.encode_sampled`.

    As in training, a mask is encoded first and cropped then, so that objects continue beyond the border.

    Parameters
    ----------
    labels
        ``(H, W)``.
    codec
    max_side
        A longer side is cropped at random.
    rng

    Returns
    -------
    labels : ndarray
        ``(H, W)``, each side at most `max_side`; objects that are too small now are removed, and the others renumbered.
    planes : ndarray
        ``(mask_planes, H, W)`` float32, −1 … 1; removed objects are background.
    removed : int
        Number of objects removed.
    """
    window = tuple(_random_span(side, max_side, rng) for side in labels.shape)
    planes, cropped, removed = codec.encode_mask(labels)[:, *window].copy(), labels[window], 0
    if codec.mask_encoding != "classes":
        kept, removed = relabel(cropped, codec.min_area)
        planes[:, (cropped > 0) & (kept == 0)] = -1.0
        cropped = kept
    return np.ascontiguousarray(cropped), planes, removed


def pad_to_multiple(planes: torch.Tensor, multiple: int) -> torch.Tensor:
    """Return planes ``(B, K, H, W)`` with mirrored content below and to the right, as far as sides need it."""
    height, width = planes.shape[2:]
    rows, columns = (
        torch.from_numpy(np.pad(np.arange(side), (0, -side % multiple), mode="symmetric")) for side in (height, width)
    )
    return planes[:, :, rows[:, None], columns]


def _random_span(side: int, longest: int, rng: np.random.Generator) -> slice:
    """Return a random part of a side, at most `longest` pixels."""
    first = int(rng.integers(max(side - longest, 0) + 1))
    return slice(first, first + min(side, longest))
