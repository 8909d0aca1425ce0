"""Patches of the patch stream as Mask R-CNN learns from them: enlarged images, and a box and a mask for each object."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from synthbench.toolkit.intensity.images import as_rgb

__all__ = ["enlarge", "objects_of", "training_batch"]

MIN_AREA = 4
"""Objects of which a patch shows fewer pixels aren't learned from; their pixels are background."""


def objects_of(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the objects in the label map of a patch.

    Parameters
    ----------
    labels
        ``(h, w)`` integers: 0 background, above 0 instances, −1 unknown.

    Returns
    -------
    dict
        ``boxes`` ``(n, 4)`` float32, from half a pixel before an object's first column and row to half a pixel after
        its last ones, where pixel k has its centre at k; ``labels`` ``(n,)`` of 1; ``masks`` ``(n, h, w)`` uint8;
        ``unknown`` ``(h, w)`` bool.
    """
    numbers, areas = torch.unique(labels[labels > 0], return_counts=True)
    masks = labels[None] == numbers[areas >= MIN_AREA][:, None, None]
    bounds = []
    for axis in (1, 2):  # columns, then rows
        seen = masks.any(dim=axis)
        size = seen.shape[1]
        bounds.append(seen.int().argmax(dim=1) - 0.5)
        bounds.append(size - 0.5 - seen.flip(1).int().argmax(dim=1))
    left, right, top, bottom = bounds
    return {
        "boxes": torch.stack([left, top, right, bottom], dim=1).float(),
        "labels": torch.ones(len(masks), dtype=torch.int64, device=labels.device),
        "masks": masks.to(torch.uint8),
        "unknown": labels < 0,
    }


def enlarge(images: torch.Tensor, scale: float) -> torch.Tensor:
    """Return normalised images as the network takes them: with at least three channels, and enlarged by a factor.

    Parameters
    ----------
    images
        ``(B, C, h, w)``.
    scale
        The result has at least one pixel.
    """
    images = as_rgb(images)
    if scale == 1:
        return images
    return F.interpolate(images, _sides(images, scale), mode="bilinear", align_corners=False, antialias=scale < 1)


def training_batch(
    images: torch.Tensor, labels: torch.Tensor, scale: float
) -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Return what the network learns from in a step: images ``(max(3, C), H, W)`` and their objects.

    Parameters
    ----------
    images
        ``(B, C, P, P)`` float32.
    labels
        ``(B, 1, P, P)`` integers, −1 where unknown.
    scale
        Factor by which both are enlarged.
    """
    large = labels
    if scale != 1:
        large = F.interpolate(labels.double(), _sides(labels, scale), mode="nearest-exact").to(labels.dtype)
    return list(enlarge(images, scale)), [objects_of(each[0]) for each in large]


def _sides(images: torch.Tensor, scale: float) -> list[int]:
    return [max(1, round(scale * side)) for side in images.shape[-2:]]
