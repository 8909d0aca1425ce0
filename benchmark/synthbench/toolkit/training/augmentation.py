"""Differentiable augmentation of a discriminator's input: the gradient still reaches the generator.

There are two sets of operations, for batches of planes on any device: `diff_augment` (Zhao et al. 2020, arXiv
2006.10738) and `ada_augment` (Karras et al. 2020, arXiv 2006.06676). Colour operations change the planes of the image
only; geometric ones change image and mask together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional as F

__all__ = ["POLICIES", "Policy", "ada_augment", "diff_augment"]

Policy = Literal["colour", "translation", "cutout"]
POLICIES: tuple[Policy, ...] = ("colour", "translation", "cutout")

TRANSLATION = 1 / 8
"""Largest translation of `diff_augment`, and standard deviation of that of `ada_augment`, relative to the side."""
CUTOUT_SIDE = 1 / 2
"""Side of the square that `diff_augment` cuts out, relative to that of the image."""


def diff_augment(
    planes: torch.Tensor,
    channels: int,
    *,
    policies: Sequence[Policy] = POLICIES,
    p: float = 1.0,
    random: torch.Generator | None = None,
) -> torch.Tensor:
    """Change the colours, translate, and cut out a square (DiffAugment).

    Parameters
    ----------
    planes
        ``(B, C, H, W)`` float: image planes in −1 … 1, then mask planes of any meaning.
    channels
        Number of image planes: C without a mask, 0 for a mask alone.
    policies
        Operations in this order. ``colour``: brightness, contrast and, of RGB, saturation of the image.
        ``translation``: by up to an eighth of the side. ``cutout``: a square of half the side. Pixels without content
        become 0.
    p
        Probability of each operation for each image of the batch.
    random
        On the device of `planes`; None: the global generator of torch.

    Returns
    -------
    torch.Tensor
        As `planes`.
    """
    for policy in policies:
        chosen = _uniform(planes, random) < p
        if policy == "colour":
            planes = torch.cat([_change_colours(planes[:, :channels], chosen, random), planes[:, channels:]], dim=1)
        elif policy == "translation":
            planes = _translate(planes, chosen, random)
        else:
            planes = _cut_out(planes, chosen, random)
    return planes


def ada_augment(
    planes: torch.Tensor, channels: int, p: float, *, random: torch.Generator | None = None
) -> torch.Tensor:
    """Rotate, scale, translate and change the colours, each with probability `p`: geometry and colours of ADA.

    Flips and quarter turns are left out, because training patches have them already, and so is the inversion of the
    intensity, because bright and dark aren't interchangeable in micrographs (a choice of this project). Beyond its
    border the image is continued by reflection. The image is interpolated linearly; the mask takes the nearest pixel,
    so its values don't change.

    Parameters
    ----------
    planes, channels
        As for `diff_augment`.
    p
        Probability of each operation for each image, 0 … 1.
    random
        As for `diff_augment`.

    Returns
    -------
    torch.Tensor
        As `planes`.
    """
    if p <= 0:
        return planes
    grid = F.affine_grid(affine_transforms(planes, p, random)[:, :2], list(planes.shape), align_corners=False)
    image = F.grid_sample(planes[:, :channels], grid, padding_mode="reflection", align_corners=False)
    if channels < planes.shape[1]:
        mask = F.grid_sample(planes[:, channels:], grid, "nearest", padding_mode="reflection", align_corners=False)
        return torch.cat([adjust_colours(image, p, random), mask], dim=1)
    return adjust_colours(image, p, random)


# -- DiffAugment ------------------------------------------------------------------------------------------------------


def _change_colours(image: torch.Tensor, chosen: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    brightness = _uniform(image, random) - 0.5
    saturation = 2 * _uniform(image, random)
    contrast = 0.5 + _uniform(image, random)
    if not image.shape[1]:
        return image
    new = image + brightness
    if image.shape[1] == 3:  # other channels are no colours, and must not leak into each other
        grey = new.mean(dim=1, keepdim=True)
        new = grey + saturation * (new - grey)
    middle = new.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(chosen, middle + contrast * (new - middle), image)


def _translate(planes: torch.Tensor, chosen: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    height, width = planes.shape[2:]
    reach = [round(TRANSLATION * side) for side in (height, width)]
    down, right = (
        torch.where(chosen, ((2 * far + 1) * _uniform(planes, random)).floor() - far, 0).long().flatten()
        for far in reach
    )
    padded = F.pad(planes, (reach[1], reach[1], reach[0], reach[0])).movedim(1, -1)
    rows = torch.arange(height, device=planes.device) + reach[0] - down[:, None]
    columns = torch.arange(width, device=planes.device) + reach[1] - right[:, None]
    image = torch.arange(len(planes), device=planes.device)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def _cut_out(planes: torch.Tensor, chosen: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    inside = chosen
    for dim in (2, 3):
        side = planes.shape[dim]
        shape = [1, 1, -1, 1] if dim == 2 else [1, 1, 1, -1]
        positions = torch.arange(side, device=planes.device).add(0.5).reshape(shape)
        inside = inside & ((positions - side * _uniform(planes, random)).abs() < CUTOUT_SIDE * side / 2)
    return planes.masked_fill(inside, 0.0)


# -- ADA --------------------------------------------------------------------------------------------------------------


def affine_transforms(planes: torch.Tensor, p: float, random: torch.Generator | None) -> torch.Tensor:
    """Return the matrices ``(B, 3, 3)`` that map output to input coordinates, −1 … 1."""
    aspect = planes.shape[2] / planes.shape[3]
    p_each = 1 - math.sqrt(1 - p)  # of two rotations, before and after stretching, at least one has probability p

    def rotation() -> torch.Tensor:
        angle = math.pi * (2 * _uniform(planes, random) - 1)
        angle = _with_probability(p_each, angle, 0.0, random).flatten()
        cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
        return _matrix(cos, -sin * aspect, none, sin / aspect, cos, none)

    def scaling(*, stretch: bool) -> torch.Tensor:
        factor = torch.exp2(0.2 * _normal(planes, random))
        factor = _with_probability(p, factor, 1.0, random).flatten()
        none = torch.zeros_like(factor)
        return _matrix(factor, none, none, none, 1 / factor if stretch else factor, none)

    def translation() -> torch.Tensor:
        across, down = (2 * TRANSLATION * _normal(planes, random) for _ in range(2))
        chosen = _uniform(planes, random) < p
        across, down = (torch.where(chosen, by, 0.0).flatten() for by in (across, down))
        one, none = torch.ones_like(across), torch.zeros_like(across)
        return _matrix(one, none, across, none, one, down)

    return scaling(stretch=False) @ rotation() @ scaling(stretch=True) @ rotation() @ translation()


def _matrix(*rows: torch.Tensor) -> torch.Tensor:
    """Return ``(B, 3, 3)`` from the six elements, ``(B,)`` each, of the first two rows."""
    none, one = torch.zeros_like(rows[0]), torch.ones_like(rows[0])
    return torch.stack([*rows, none, none, one], dim=1).reshape(-1, 3, 3)


def adjust_colours(image: torch.Tensor, p: float, random: torch.Generator | None) -> torch.Tensor:
    """Return images with random brightness, contrast and, if they are RGB, hue and saturation, each with `p`."""
    brightness = _with_probability(p, 0.2 * _normal(image, random), 0.0, random)
    contrast = _with_probability(p, torch.exp2(0.5 * _normal(image, random)), 1.0, random)
    angle = _with_probability(p, math.pi * (2 * _uniform(image, random) - 1), 0.0, random)
    saturation = _with_probability(p, torch.exp2(_normal(image, random)), 1.0, random)
    image = contrast * (image + brightness)
    if image.shape[1] != 3:
        return image
    grey = image.mean(dim=1, keepdim=True)
    colour = image - grey
    across = (colour.roll(1, 1) - colour.roll(2, 1)) / math.sqrt(3)  # cross product of the grey axis and the colour
    return grey + saturation * (angle.cos() * colour + angle.sin() * across)


# -- random numbers ---------------------------------------------------------------------------------------------------


def _uniform(planes: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    """Return a uniform random number in 0 … 1 for each image, ``(B, 1, 1, 1)``."""
    return torch.rand((len(planes), 1, 1, 1), generator=random, device=planes.device)


def _normal(planes: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    return torch.randn((len(planes), 1, 1, 1), generator=random, device=planes.device)


def _with_probability(p: float, values: torch.Tensor, otherwise: float, random: torch.Generator | None) -> torch.Tensor:
    return torch.where(_uniform(values, random) < p, values, otherwise)
