"""The denoising network: MONAI's U-Net with timestep embedding and attention, optionally on squares of pixels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.layers.cycle_spinning import cycle_spin
from synthbench.toolkit.layers.residual_refinement import ResidualRefinement
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_diffusion.config import DenoisingConfig

__all__ = ["Denoiser", "ValueEmbedding", "build_denoiser"]

_CHANNELS_PER_GROUP = 8
"""Group normalisation of a single channel would remove what the timestep embedding adds to it."""


class Denoiser(nn.Module):
    """Maps noisy planes, their timestep and a condition to the prediction of the diffusion process.

    Squares of `pixel_unshuffle_factor`² pixels may become channels before the U-Net and pixels again after it, which
    saves the highest resolutions (Luhman & Luhman 2022, arXiv 2207.04316). They leave a periodic pattern. With a
    condition, a refinement at full resolution removes it; without one, refinement makes shapes ragged, and
    `cycle_spin` is used in the last sampling step instead. The condition, as large as the image, is concatenated.

    Parameters
    ----------
    planes
        Number of planes to draw.
    condition_planes
        Number of planes of the condition; 0 for none.
    model_channels
        Channels at the highest resolution; a multiple of 8.
    channel_mult
        Channels at each resolution, in multiples of `model_channels`.
    pixel_unshuffle_factor
    num_res_blocks
        Residual blocks at each resolution.
    attention_levels
        Indices of the resolutions with self-attention; by default the lowest one's.
    condition_values
        Number of values of each group that the network is conditioned on. Each value has an embedding, and the sum of
        a sample's is added to that of the timestep; that of an unknown value is 0.
    """

    def __init__(
        self,
        planes: int,
        condition_planes: int,
        model_channels: int,
        channel_mult: Sequence[int],
        pixel_unshuffle_factor: int,
        num_res_blocks: int = 1,
        attention_levels: Collection[int] | None = None,
        condition_values: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.factor = pixel_unshuffle_factor
        levels = range(len(channel_mult))
        attention = {len(channel_mult) - 1} if attention_levels is None else set(attention_levels)
        self.unet = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=(planes + condition_planes) * self.factor**2,
            out_channels=planes * self.factor**2,
            num_res_blocks=num_res_blocks,
            channels=tuple(model_channels * multiple for multiple in channel_mult),
            attention_levels=tuple(level in attention for level in levels),
            norm_num_groups=model_channels // _CHANNELS_PER_GROUP,
            num_head_channels=model_channels,
            num_class_embeds=sum(condition_values) or None,
        )
        if condition_values:
            self.unet.class_embedding = ValueEmbedding(condition_values, 4 * model_channels)  # type: ignore[assignment]
        last = self.unet.out[-1].conv
        assert isinstance(last, nn.Conv2d)
        last.reset_parameters()  # MONAI's zeros would be a flat image where the network predicts the clean one
        refined = self.factor > 1 and condition_planes > 0
        self.refinement = ResidualRefinement(planes, planes + condition_planes) if refined else None

    def forward(
        self,
        x_t: torch.Tensor,
        t: torch.Tensor,
        condition: torch.Tensor | None = None,
        values: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the prediction, ``(B, planes, H, W)``.

        Parameters
        ----------
        x_t
            ``(B, planes, H, W)``.
        t
            ``(B,)``, integers or floats, as the process has them.
        condition
            ``(B, condition_planes, H, W)``.
        values
            ``(B, groups)`` int64, the index of a sample's value of each group, or −1; None without `condition_values`.
        """
        x = x_t if condition is None else torch.cat([x_t, condition], dim=1)
        prediction = F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, self.factor), t, None, values), self.factor)
        return prediction if self.refinement is None else self.refinement(prediction, x)

    def cycle_spin(self, x_t: torch.Tensor, t: torch.Tensor, values: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean prediction over shifts of the squares; see `synthbench.toolkit.layers.cycle_spinning`."""
        return cycle_spin(lambda shifted: self(shifted, t, None, values), x_t, self.factor, self.side_multiple)

    @property
    def side_multiple(self) -> int:
        """The sides of images are multiples of this."""
        return int(self.factor * 2 ** (len(self.unet.block_out_channels) - 1))


class ValueEmbedding(nn.Module):
    """The sum of the embeddings of a sample's values, one for each group; an unknown value adds nothing.

    Parameters
    ----------
    sizes
        Number of values of each group.
    dim
        Length of the embeddings.
    """

    offsets: torch.Tensor

    def __init__(self, sizes: Sequence[int], dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1 + sum(sizes), dim, padding_idx=0)
        starts = torch.tensor([1, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", starts, persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map indices ``(B, groups)`` int64, −1 for unknown, to ``(B, dim)``."""
        rows = torch.where(values < 0, 0, values + self.offsets)
        embedded: torch.Tensor = self.embedding(rows).sum(dim=1)
        return embedded


def build_denoiser(
    config: DenoisingConfig,
    patch_size: int,
    planes: int,
    condition_planes: int = 0,
    condition_values: Sequence[int] = (),
) -> Denoiser:
    """Return a new network of a resolved configuration, in channels-last memory format; see `Denoiser`."""
    factor, channel_mult = resolved(config.pixel_unshuffle_factor), resolved(config.channel_mult)
    side, attention = patch_size // factor, config.attention_resolution
    network = Denoiser(
        planes,
        condition_planes,
        resolved(config.model_channels),
        channel_mult,
        factor,
        resolved(config.num_res_blocks),
        None if attention is None else [k for k in range(len(channel_mult)) if side == attention * 2**k],
        condition_values,
    )
    return network.to(memory_format=torch.channels_last)
