"""Patch discriminators that return the features of all layers, at one resolution or at several."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["MultiscaleDiscriminator", "PatchDiscriminator"]

_SLOPE = 0.2
_MAX_WIDTH = 8


class PatchDiscriminator(nn.Module):
    """PatchGAN with instance norm: ``(B, planes, H, W)`` to a logit per overlapping patch.

    4×4 convolutions: `n_layers` with stride 2, one with stride 1, and one to the logits. All but the first and the last
    are followed by an instance norm without weights, and all but the last by a LeakyReLU of slope 0.2. With 3 layers,
    a logit sees a patch of 70 × 70 (Isola et al. 2017, 6.1.2).

    Parameters
    ----------
    planes
    ndf
        Width of the first layer; it doubles with each further one, up to 8 · ndf.
    n_layers
    padding
        Of all convolutions: 1 in pix2pix and CycleGAN, 2 in pix2pixHD and SPADE.
    spectral
        Whether the layers with a norm also have spectral norm, as in SPADE; they have no bias then.
    """

    def __init__(self, planes: int, ndf: int, n_layers: int = 3, *, padding: int = 1, spectral: bool = False) -> None:
        super().__init__()
        widths = [ndf * min(2**k, _MAX_WIDTH) for k in range(n_layers + 1)]
        first = nn.Sequential(nn.Conv2d(planes, ndf, 4, 2, padding), nn.LeakyReLU(_SLOPE))
        self.layers = nn.ModuleList([first])
        for k in range(1, n_layers + 1):
            stride = 2 if k < n_layers else 1
            convolution = nn.Conv2d(widths[k - 1], widths[k], 4, stride, padding, bias=not spectral)
            self.layers.append(
                nn.Sequential(
                    spectral_norm(convolution) if spectral else convolution,
                    nn.InstanceNorm2d(widths[k]),
                    nn.LeakyReLU(_SLOPE),
                )
            )
        self.layers.append(nn.Conv2d(widths[-1], 1, 4, 1, padding))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of each layer; the last ones are the logits, ``(B, 1, h, w)``."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return features


class MultiscaleDiscriminator(nn.Module):
    """Patch discriminators of the image and of copies that are half, a quarter … as large (Wang et al. 2018, 3.2).

    Images are halved by the mean of 3×3 pixels, at the border of those that there are.

    Parameters
    ----------
    planes, ndf, n_layers, spectral
        As for `PatchDiscriminator`, with a padding of 2.
    count
        Number of resolutions.
    """

    def __init__(self, planes: int, ndf: int, n_layers: int = 3, *, count: int, spectral: bool = False) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            PatchDiscriminator(planes, ndf, n_layers, padding=2, spectral=spectral) for _ in range(count)
        )

    def forward(self, x: torch.Tensor) -> list[list[torch.Tensor]]:
        """Return the features of each layer, the logits last, by resolution."""
        found = []
        for number, discriminator in enumerate(self.discriminators):
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False) if number else x
            found.append(discriminator(x))
        return found
