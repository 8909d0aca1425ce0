"""The network that finds the noise: MONAI's U-Net with time embedding and attention, on squares of pixels."""

from __future__ import annotations

import torch
from monai.networks.nets import DiffusionModelUNet
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers.cycle_spinning import cycle_spin
from synthbench.toolkit.layers.residual_refinement import ResidualRefinement

GROUP = 8
"""Channels that are normalised together, at least. Alone, a channel would lose what the time adds to it."""
WIDEST = 2


class Denoiser(nn.Module):
    """Maps noisy planes, their time and a condition to what the process asks for.

    Squares of `fold` × `fold` pixels become channels before the network and pixels again after it, which saves the
    levels of highest resolution, the dearest ones (Luhman & Luhman 2022, arXiv 2207.04316). Each pixel of a square then
    comes from other weights, which shows as a grid of dots. With a condition, which has the outlines, that is mended at
    full resolution; without one mending makes ragged shapes, and `cycle_spin` is for the last step of a drawing. The
    condition, as large as the image, is joined as further channels, not by SPADE as in NuDiff. All this is this
    project's choice.

    Parameters
    ----------
    planes
        What is drawn.
    told
        Planes of the condition; 0 for none.
    filters
        Width of the first level; it doubles at each further one, up to two times. A multiple of 8.
    levels
        Resolutions, each half the one before. The last one has attention.
    fold
        Side of the squares; 1 for none.
    """

    def __init__(self, planes: int, told: int, filters: int, levels: int, fold: int) -> None:
        super().__init__()
        widths = tuple(filters * min(2**level, WIDEST) for level in range(levels))
        self.fold = fold
        self.unet = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=(planes + told) * fold**2,
            out_channels=planes * fold**2,
            num_res_blocks=1,
            channels=widths,
            attention_levels=tuple(level == levels - 1 for level in range(levels)),
            norm_num_groups=filters // GROUP,
            num_head_channels=filters,
        )
        last = self.unet.out[-1].conv
        assert isinstance(last, nn.Conv2d)
        last.reset_parameters()  # MONAI's zeros would be a flat image, where the network is asked for the clean one
        self.refinement = ResidualRefinement(planes, planes + told) if fold > 1 and told else None

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return ``(B, planes, H, W)`` for noisy planes of that shape.

        Parameters
        ----------
        noisy
        times
            ``(B,)`` int64, 0 … T − 1.
        condition
            ``(B, told, H, W)``.
        """
        x = noisy if condition is None else torch.cat([noisy, condition], dim=1)
        found = F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, self.fold), times), self.fold)
        return found if self.refinement is None else self.refinement(found, x)

    def cycle_spin(self, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return the mean of what is found with the squares laid at `fold` places."""
        return cycle_spin(lambda moved: self(moved, times), noisy, self.fold, self.block)

    @property
    def block(self) -> int:
        """Sides of images are multiples of this."""
        return self.fold * 2 ** (len(self.unet.block_out_channels) - 1)
