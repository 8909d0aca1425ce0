"""Structural terms for filaments: they compare the generated image with the real one, or its mask, on the foreground.

arXiv 2512.10334 names a "filament-aware structural loss" without defining it. These three candidates are this
project's. How they compare stands in `docs/findings.md`.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from monai.losses.cldice import SoftclDiceLoss
from monai.metrics.regression import compute_ssim_and_cs
from skimage.morphology import skeletonize
from torch.nn import functional

from synthbench import SampleSet
from synthbench_pix2pix.losses import Term

__all__ = ["Structure", "cldice_loss", "foreground", "ridges", "ssim_loss", "structural", "suited", "weighted_l1"]

Structure = Literal["none", "weighted", "ssim", "cldice"]

WEIGHTS = {"weighted": 50.0, "ssim": 10.0, "cldice": 10.0}
"""Weights that make each term about as large as the absolute difference (100 · L1) late in training."""

FAINT = 0.02
"""Smallest mean ridge strength of a real image that others are divided by; for images in −1 … 1."""

SIGMAS = (1.0, 2.0)
"""Scales of `ridges`, in pixels: lines of about two to six pixels."""

THIN = 8.0
"""Width in pixels below which a foreground counts as lines."""

_MEASURED_IMAGES = 32
_WINDOW, _SIGMA = 11, 1.5
_REACH = 5


def suited(train: SampleSet) -> Structure:
    """Return the term for a training set: ``cldice`` where classes are lines, else ``none``.

    Lines are foregrounds with a mean width below `THIN`: area divided by the length of the centre lines, in up to 32
    images.
    """
    if train.task != "semantic":
        return "none"
    area = length = 0
    for position in np.unique(np.linspace(0, len(train) - 1, _MEASURED_IMAGES).round().astype(int)):
        inside = train[int(position)].labels > 0
        area += int(inside.sum())
        length += int(skeletonize(inside).sum())
    return "cldice" if 0 < area < THIN * length else "none"


def structural(structure: Structure, weight: float | None, semantic: bool) -> list[Term]:
    """Return the structural term of that name, or none.

    Parameters
    ----------
    structure
    weight
        None: the one of `WEIGHTS`.
    semantic
        Whether the condition begins with a plane per class (the first is background) or with distances of objects.
    """
    if structure == "none":
        return []
    compare = {"weighted": weighted_l1, "ssim": ssim_loss, "cldice": cldice_loss}[structure]

    def on_foreground(fake: torch.Tensor, real: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return compare(fake, real, foreground(condition, semantic))

    return [Term(structure, WEIGHTS[structure] if weight is None else weight, on_foreground)]


def foreground(condition: torch.Tensor, semantic: bool) -> torch.Tensor:
    """Return what isn't background as 0 or 1, ``(B, 1, H, W)`` float32."""
    first = condition[:, :1].float()
    return (first < 0.5).float() if semantic else (first > 0).float()


def weighted_l1(fake: torch.Tensor, real: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference on the foreground, twice at its boundary, and one pixel beyond; 0 without foreground."""
    border = _dilated(mask, 3) - (1 - _dilated(1 - mask, 3))
    weight = mask + border
    difference = (fake - real).abs().mean(dim=1, keepdim=True)
    return (weight * difference).sum() / weight.sum().clamp(min=1)


def ssim_loss(fake: torch.Tensor, real: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 − structural similarity (Wang 2004; Gaussian window), mean over the foreground and what is close to it."""
    padded_fake, padded_real = (functional.pad(image, [_WINDOW // 2] * 4, mode="reflect") for image in (fake, real))
    window, sigma = [_WINDOW] * 2, [_SIGMA] * 2
    ssim, _ = compute_ssim_and_cs(padded_fake, padded_real, 2, window, sigma, data_range=2.0)
    near = _dilated(mask, _REACH)
    return (near * (1 - ssim.mean(dim=1, keepdim=True))).sum() / near.sum().clamp(min=1)


def cldice_loss(fake: torch.Tensor, real: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 − soft clDice (Shit et al. 2021) between the mask and the ridges of the generated image.

    The strength of `ridges`, relative to the mean strength of the real image in the mask, is mapped to 0 … 1. Each real
    image tells whether its lines are brighter or darker than their surroundings. Patches without foreground don't
    count; if there are no others, the loss is 0.
    """
    has_foreground = mask.sum((1, 2, 3)) > 0
    if not bool(has_foreground.any()):
        return 0.0 * fake.sum()
    fake, real, mask = fake[has_foreground], real[has_foreground], mask[has_foreground]
    planes = [image.mean(dim=1, keepdim=True) for image in (fake, real)]
    outside = 1 - mask
    inner, outer = (
        (planes[1] * region).sum((1, 2, 3)) / region.sum((1, 2, 3)).clamp(min=1) for region in (mask, outside)
    )
    sign = torch.where(inner >= outer, 1.0, -1.0)[:, None, None, None]
    ridges_fake, ridges_real = (ridges(sign * plane) for plane in planes)
    strength = (ridges_real * mask).sum((1, 2, 3), keepdim=True) / mask.sum((1, 2, 3), keepdim=True).clamp(min=1)
    loss: torch.Tensor = SoftclDiceLoss(iter_=3)(torch.tanh(ridges_fake / strength.clamp(min=FAINT)), mask)
    return loss


def ridges(plane: torch.Tensor) -> torch.Tensor:
    """Return how much each pixel lies on a bright line: the negative lower eigenvalue of the Hessian, 0 or more.

    The largest over `SIGMAS`, each multiplied by σ²; differentiable.

    Parameters
    ----------
    plane
        ``(B, 1, H, W)`` float32.
    """
    responses = []
    for sigma in SIGMAS:
        smooth, first, second = _kernels(sigma, plane)
        yy, xx, xy = (_filtered(plane, *pair) for pair in ((second, smooth), (smooth, second), (first, first)))
        lower = (yy + xx) / 2 - (((yy - xx) / 2) ** 2 + xy**2 + 1e-12).sqrt()
        responses.append(functional.relu(-lower) * sigma**2)
    return torch.stack(responses).amax(dim=0)


def _kernels(sigma: float, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a Gaussian and its first and second derivative; the second sums to 0, so that a flat image has none."""
    reach = math.ceil(3 * sigma)
    x = torch.arange(-reach, reach + 1, device=like.device, dtype=like.dtype)
    smooth = torch.exp(-(x**2) / (2 * sigma**2))
    smooth = smooth / smooth.sum()
    second = (x**2 / sigma**4 - 1 / sigma**2) * smooth
    return smooth, -x / sigma**2 * smooth, second - second.mean()


def _filtered(plane: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    reach = len(rows) // 2
    padded = functional.pad(plane, [reach] * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(padded, rows[None, None, :, None]), columns[None, None, None, :])


def _dilated(mask: torch.Tensor, side: int) -> torch.Tensor:
    return functional.max_pool2d(mask, side, 1, side // 2)
