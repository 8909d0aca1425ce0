"""MEDIAR-Former: segmentation_models_pytorch's MA-Net with a SegFormer encoder, Mish, and a head for each output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from synthbench.toolkit.intensity.images import RGB
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.initial_weights import initialise_from
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_mediar.config import MediarConfig


class MediarFormer(nn.Module):
    """The network; names and shapes of its weights are those of the authors' files.

    The library has two heads of its own and ReLU; in their place are two deeper heads and Mish. The encoder has
    no ReLU.

    Parameters
    ----------
    config
    channels
        Of the images, 3 or more; the library's encoder takes RGB, so for more its first convolution is replaced.
    """

    def __init__(self, config: MediarConfig, channels: int = RGB) -> None:
        super().__init__()
        from segmentation_models_pytorch import MAnet

        decoder = resolved(config.decoder_channels)
        library: Any = MAnet(
            encoder_name=resolved(config.encoder),
            encoder_weights=None,
            decoder_channels=decoder,
            decoder_pab_channels=resolved(config.decoder_pab_channels),
            in_channels=RGB,
        )
        if channels > RGB:
            embed = library.encoder.patch_embed1
            old = embed.proj
            embed.proj = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding)
        self.encoder: nn.Module = library.encoder
        self.decoder: nn.Module = library.decoder
        replace_relu(self.decoder)
        self.cellprob_head = head(decoder[-1], 1)
        self.gradflow_head = head(decoder[-1], 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return flow y, flow x and logit of the inside, ``(B, 3, H, W)``, of images ``(B, C, H, W)``, H and W · 32."""
        features = self.decoder(self.encoder(images))
        return torch.cat([self.gradflow_head(features), self.cellprob_head(features)], dim=1)


def head(channels: int, planes: int) -> nn.Sequential:
    """Return one of the two heads."""
    return nn.Sequential(
        nn.Conv2d(channels, channels // 2, 3, padding=1),
        nn.Mish(inplace=True),
        nn.BatchNorm2d(channels // 2),
        nn.Conv2d(channels // 2, planes, 3, padding=1),
    )


def replace_relu(module: nn.Module) -> None:
    """Put Mish in the place of every ReLU within a module."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.Mish(inplace=True))


def load_encoder(network: MediarFormer, path: Path) -> None:
    """Give the encoder trained weights; a classifier behind them is left out.

    Raises
    ------
    PluginError
        If the file can't be read, or holds the weights of another encoder.
    """
    tensors = {name: value for name, value in read_state_dict(path).items() if not name.startswith("head.")}
    initialise_from(network.encoder, tensors, path, hint="give the weights of this encoder, or set encoder to theirs")
