"""The networks of latent diffusion, all MONAI's: autoencoder, discriminator, and the U-Nets that see a condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.nets.autoencoderkl import AutoencoderKL
from monai.networks.nets.controlnet import ControlNet
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from monai.networks.nets.spade_diffusion_model_unet import SPADEDiffusionModelUNet
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_latent_diffusion.config import LatentDiffusionConfig

__all__ = [
    "ControlledDenoiser",
    "LatentAutoencoder",
    "SpadeDenoiser",
    "build_autoencoder",
    "build_denoiser",
    "build_discriminator",
]

_CHANNELS_PER_GROUP = 8
_DISCRIMINATOR_CHANNELS = 64


class LatentAutoencoder(nn.Module):
    """A KL autoencoder whose latents have zero mean and unit variance once `fit_scale` has measured them.

    Parameters
    ----------
    autoencoder
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def posterior(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of an image's unscaled latents, ``(B, latent_channels, H / f, W / f)``."""
        mean, std = self.autoencoder.encode(image)
        return mean, std

    def fit_scale(self, latents: torch.Tensor) -> None:
        """Measure shift and scale, each one number (Rombach et al. 2022, appendix G).

        Parameters
        ----------
        latents
            Unscaled, of training images.
        """
        self.shift.copy_(latents.mean())
        self.scale.copy_(latents.std().clamp(min=1e-6))

    def encode(self, image: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return random scaled latents of images ``(B, image_planes, H, W)``, −1 … 1."""
        mean, std = self.posterior(image)
        noise = torch.randn(mean.shape, generator=random, device=mean.device)
        scaled: torch.Tensor = (mean.float() + std.float() * noise - self.shift) / self.scale
        return scaled

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the images of scaled latents."""
        image: torch.Tensor = self.autoencoder.decode(latents * self.scale + self.shift)
        return image


class SpadeDenoiser(nn.Module):
    """A U-Net whose decoder is normalised with scale and shift that depend on the condition (SPADE).

    Squares of f × f pixels of the condition become channels, so that it has the resolution of the latents and keeps all
    details; f is the factor of the autoencoder.

    Parameters
    ----------
    unet
        Its `label_nc` is f² times the planes of a condition.
    factor
        f.
    """

    def __init__(self, unet: SPADEDiffusionModelUNet, factor: int) -> None:
        super().__init__()
        self.unet, self.factor = unet, factor

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return the prediction for noisy latents ``(B, C, H / f, W / f)`` at times ``(B,)``.

        The condition is ``(B, K, H, W)``, −1 … 1.
        """
        prediction: torch.Tensor = self.unet(x_t, t, F.pixel_unshuffle(condition, self.factor))
        return prediction


class ControlledDenoiser(nn.Module):
    """A U-Net, and a ControlNet that sees the condition at full resolution and adds to the U-Net's features.

    Parameters
    ----------
    unet
    controlnet
        Takes conditions f times as large as the latents.
    """

    def __init__(self, unet: DiffusionModelUNet, controlnet: ControlNet) -> None:
        super().__init__()
        self.unet, self.controlnet = unet, controlnet

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return the prediction for noisy latents ``(B, C, H / f, W / f)`` at times ``(B,)``.

        The condition is ``(B, K, H, W)``, −1 … 1.
        """
        down, middle = self.controlnet(x_t, t, condition)
        prediction: torch.Tensor = self.unet(
            x_t, t, down_block_additional_residuals=tuple(down), mid_block_additional_residual=middle
        )
        return prediction


def build_autoencoder(config: LatentDiffusionConfig, image_planes: int) -> LatentAutoencoder:
    """Return a new autoencoder of a resolved configuration; without attention, so that images may have any size."""
    channels = resolved(config.autoencoder_channels)
    return LatentAutoencoder(
        AutoencoderKL(
            spatial_dims=2,
            in_channels=image_planes,
            out_channels=image_planes,
            num_res_blocks=resolved(config.autoencoder_res_blocks),
            channels=channels,
            attention_levels=(False,) * len(channels),
            latent_channels=resolved(config.latent_channels),
            norm_num_groups=_groups(channels),
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
        )
    )


def build_discriminator(image_planes: int) -> PatchDiscriminator:
    """Return a new discriminator of patches; instance normalisation suits batches of one patch, too."""
    return PatchDiscriminator(
        spatial_dims=2, channels=_DISCRIMINATOR_CHANNELS, in_channels=image_planes, num_layers_d=3, norm="INSTANCE"
    )


def build_denoiser(config: LatentDiffusionConfig, condition_planes: int) -> SpadeDenoiser | ControlledDenoiser:
    """Return a new U-Net of a resolved configuration, with attention at its lowest resolution."""
    width, latents = resolved(config.model_channels), resolved(config.latent_channels)
    channels = tuple(width * multiple for multiple in resolved(config.channel_mult))
    sizes: dict[str, Any] = {
        "spatial_dims": 2,
        "in_channels": latents,
        "num_res_blocks": resolved(config.num_res_blocks),
        "channels": channels,
        "attention_levels": tuple(level == len(channels) - 1 for level in range(len(channels))),
        "norm_num_groups": width // _CHANNELS_PER_GROUP,
        "num_head_channels": width,
    }
    if config.conditioning == "spade":
        spade = SPADEDiffusionModelUNet(
            **sizes,
            out_channels=latents,
            label_nc=condition_planes * config.latent_factor**2,
            spade_intermediate_channels=resolved(config.spade_channels),
        )
        _reset_output(spade)
        return SpadeDenoiser(spade, config.latent_factor)
    unet = DiffusionModelUNet(**sizes, out_channels=latents)
    _reset_output(unet)
    halvings = len(resolved(config.autoencoder_channels)) - 1
    controlnet = ControlNet(
        **sizes,
        conditioning_embedding_in_channels=condition_planes,
        conditioning_embedding_num_channels=tuple(16 * 2**level for level in range(halvings + 1)),
    )
    return ControlledDenoiser(unet, controlnet)


def _reset_output(unet: nn.Module) -> None:
    """Give the last layer random weights; with MONAI's zeros, a short training would draw flat images."""
    last = unet.out[-1].conv  # type: ignore[index, union-attr]
    assert isinstance(last, nn.Conv2d)
    last.reset_parameters()


def _groups(channels: Sequence[int]) -> int:
    """Return the number of groups of the autoencoder's normalisation: 32 at most, and a divisor of all widths."""
    return max(count for count in range(1, 33) if all(width % count == 0 for width in channels))
