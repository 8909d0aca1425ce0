"""Differentiable augmentations: what a discriminator sees is changed, and the gradient still reaches the generator.

Two sets of operations, for batches of planes on any device: `diff_augment` (Zhao et al. 2020, arXiv 2006.10738) and
`ada_augment` (Karras et al. 2020, arXiv 2006.06676). Colours change the planes of the image alone; geometry changes
image and mask alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional as F

Policy = Literal["colour", "translation", "cutout"]
POLICIES: tuple[Policy, ...] = ("colour", "translation", "cutout")

SHIFT = 1 / 8
"""Largest translation of `diff_augment`, and deviation of that of `ada_augment`, as a share of the side."""
CUT = 1 / 2
"""Side of the square that `diff_augment` cuts out, as a share of the image's."""


def diff_augment(
    planes: torch.Tensor,
    channels: int,
    *,
    policies: Sequence[Policy] = POLICIES,
    p: float = 1.0,
    random: torch.Generator | None = None,
) -> torch.Tensor:
    """Change light, move, and cut a square out (DiffAugment).

    Parameters
    ----------
    planes
        ``(B, C, H, W)``: image planes in −1 … 1, then mask planes of any meaning.
    channels
        How many of the planes are the image's: C where there is no mask, 0 for a mask alone.
    policies
        What is done, in this order. ``colour``: brightness, saturation and contrast of the image. ``translation``:
        by up to an eighth of the side. ``cutout``: a square of half the side. Pixels without content become 0.
    p
        Chance of each policy for each image of the batch.
    random
        On the device of `planes`; None: torch's own.

    Returns
    -------
    torch.Tensor
        As `planes`.
    """
    for policy in policies:
        chosen = _uniform(planes, random) < p
        if policy == "colour":
            planes = torch.cat([_recoloured(planes[:, :channels], chosen, random), planes[:, channels:]], dim=1)
        elif policy == "translation":
            planes = _moved(planes, chosen, random)
        else:
            planes = _cut_out(planes, chosen, random)
    return planes


def ada_augment(
    planes: torch.Tensor, channels: int, p: float, *, random: torch.Generator | None = None
) -> torch.Tensor:
    """Turn, stretch, move and recolour, each with a chance of `p`: the geometry and colours of ADA.

    Left out, as this project's choice: mirroring and quarter turns, which training patches have already, and the
    flip of light and dark, which aren't alike in micrographs. What comes in from outside is the image mirrored at its
    border. The image is interpolated; the mask takes the nearest pixel, so that its values stay what they are.

    Parameters
    ----------
    planes, channels, random
        As for `diff_augment`.
    p
        0 … 1.

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


def _recoloured(image: torch.Tensor, chosen: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    brightness = _uniform(image, random) - 0.5
    saturation = 2 * _uniform(image, random)
    contrast = 0.5 + _uniform(image, random)
    if not image.shape[1]:
        return image
    new = image + brightness
    grey = new.mean(dim=1, keepdim=True)
    new = grey + saturation * (new - grey)
    middle = new.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(chosen, middle + contrast * (new - middle), image)


def _moved(planes: torch.Tensor, chosen: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    height, width = planes.shape[2:]
    reach = [round(SHIFT * side) for side in (height, width)]
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
        places = torch.arange(side, device=planes.device).add(0.5).reshape(shape)
        inside = inside & ((places - side * _uniform(planes, random)).abs() < CUT * side / 2)
    return planes.masked_fill(inside, 0.0)


# -- ADA --------------------------------------------------------------------------------------------------------------


def affine_transforms(planes: torch.Tensor, p: float, random: torch.Generator | None) -> torch.Tensor:
    """Return ``(B, 3, 3)``: where each pixel of the result comes from, in coordinates of −1 … 1."""
    tall = planes.shape[2] / planes.shape[3]
    once = 1 - math.sqrt(1 - p)  # of two turns, one before and one after stretching, happens at least one: p

    def turn() -> torch.Tensor:
        angle = math.pi * (2 * _uniform(planes, random) - 1)
        angle = _with_chance(once, angle, 0.0, random).flatten()
        cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
        return _matrix(cos, -sin * tall, none, sin / tall, cos, none)

    def scale(*, stretch: bool) -> torch.Tensor:
        factor = torch.exp2(0.2 * _normal(planes, random))
        factor = _with_chance(p, factor, 1.0, random).flatten()
        none = torch.zeros_like(factor)
        return _matrix(factor, none, none, none, 1 / factor if stretch else factor, none)

    def shift() -> torch.Tensor:
        across, down = (2 * SHIFT * _normal(planes, random) for _ in range(2))
        chosen = _uniform(planes, random) < p
        across, down = (torch.where(chosen, by, 0.0).flatten() for by in (across, down))
        one, none = torch.ones_like(across), torch.zeros_like(across)
        return _matrix(one, none, across, none, one, down)

    return scale(stretch=False) @ turn() @ scale(stretch=True) @ turn() @ shift()


def _matrix(*rows: torch.Tensor) -> torch.Tensor:
    """Return ``(B, 3, 3)`` from the six elements, ``(B,)`` each, of the first two rows."""
    none, one = torch.zeros_like(rows[0]), torch.ones_like(rows[0])
    return torch.stack([*rows, none, none, one], dim=1).reshape(-1, 3, 3)


def adjust_colours(image: torch.Tensor, p: float, random: torch.Generator | None) -> torch.Tensor:
    """Return images with random brightness, contrast, hue and saturation, each with probability `p`."""
    brightness = _with_chance(p, 0.2 * _normal(image, random), 0.0, random)
    contrast = _with_chance(p, torch.exp2(0.5 * _normal(image, random)), 1.0, random)
    angle = _with_chance(p, math.pi * (2 * _uniform(image, random) - 1), 0.0, random)
    saturation = _with_chance(p, torch.exp2(_normal(image, random)), 1.0, random)
    image = contrast * (image + brightness)
    if image.shape[1] != 3:
        return image
    grey = image.mean(dim=1, keepdim=True)
    colour = image - grey
    across = (colour.roll(1, 1) - colour.roll(2, 1)) / math.sqrt(3)  # the grey axis' cross product with the colour
    return grey + saturation * (angle.cos() * colour + angle.sin() * across)


# -- chance -----------------------------------------------------------------------------------------------------------


def _uniform(planes: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    """Return a number of 0 … 1 for each image, ``(B, 1, 1, 1)``."""
    return torch.rand((len(planes), 1, 1, 1), generator=random, device=planes.device)


def _normal(planes: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
    return torch.randn((len(planes), 1, 1, 1), generator=random, device=planes.device)


def _with_chance(p: float, values: torch.Tensor, otherwise: float, random: torch.Generator | None) -> torch.Tensor:
    return torch.where(_uniform(values, random) < p, values, otherwise)
