"""The network: MONAI's BasicUNet with batch norm, and its use on images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.nets.basic_unet import BasicUNet, UpCat
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from synthbench.toolkit.layers.tiles import predict_tiled
from synthbench.toolkit.training.loop import autocast

STRIDE = 16
"""The network halves its input four times."""

MIN_SIDE = 2 * STRIDE
"""Batch norm needs more than one value in the lowest stage."""

FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
"""Axes turned round: the image, and its three mirror images."""


def build(channels: int, planes: int, features: Sequence[int]) -> nn.Module:
    """Return a U-Net ``(B, channels, h, w)`` → ``(B, planes, h, w)`` in channels-last memory order.

    Initial weights are drawn from torch's global generator.
    """
    network = BasicUNet(
        spatial_dims=2,
        in_channels=channels,
        out_channels=planes,
        features=tuple(features),
        norm="batch",
        act=("LeakyReLU", {"negative_slope": 0.1, "inplace": True}),
    )
    for part in network.modules():
        if isinstance(part, UpCat):
            part.is_pad = False  # sides are multiples of STRIDE: there is nothing to pad, and looking costs 3 %
    return network.to(memory_format=torch.channels_last)


def encoder_of(network: nn.Module) -> list[nn.Module]:
    """Return the parts of a network from `build` that halve the image."""
    parts: Any = network
    return [parts.conv_0, parts.down_1, parts.down_2, parts.down_3, parts.down_4]


def pad_to_multiple(patches: torch.Tensor) -> torch.Tensor:
    """Repeat the last rows and columns until the network can take the patches."""
    down, right = (max(MIN_SIDE, -(-side // STRIDE) * STRIDE) - side for side in patches.shape[-2:])
    if not down and not right:
        return patches
    return functional.pad(patches.float(), (0, right, 0, down), mode="replicate")


def fuse_batch_norm(network: nn.Module) -> nn.Module:
    """Return a copy for prediction, with each batch norm fused into its convolution: the same planes, sooner."""
    copy = deepcopy(network).eval()
    for block in copy.modules():
        if isinstance(block, Convolution):
            parts: Any = block
            parts.conv = fuse_conv_bn_eval(parts.conv, parts.adn.N)
            parts.adn.N = nn.Identity()
    return copy.to(memory_format=torch.channels_last)


class Predictor:
    """A trained network that maps an image of any size to its output planes.

    Parameters
    ----------
    network
        On `device`; copied.
    device
    activation
        Applied to the network's output, ``(1, K, h, w)``.
    flips
        Whether to average over `FLIPS`.
    """

    def __init__(self, network: nn.Module, device: str | torch.device, activation: nn.Module, flips: bool) -> None:
        self.network = fuse_batch_norm(network)
        self.device = device
        self.activation = activation
        self.flips = FLIPS if flips else FLIPS[:1]

    def __call__(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return the output planes ``(K, H, W)`` float32 of an image's planes ``(C, H, W)``."""
        return predict_tiled(self._predict, planes, multiple=STRIDE)

    @torch.inference_mode()
    def _predict(self, planes: NDArray[Any]) -> NDArray[Any]:
        image = torch.from_numpy(np.ascontiguousarray(planes))[None].to(self.device)
        total = torch.zeros(())
        for axes in self.flips:
            with autocast(self.device):
                answer = self.network(image.flip(axes).contiguous(memory_format=torch.channels_last))
            total = total.to(self.device) + self.activation(answer.float()).flip(axes)
        return (total[0] / len(self.flips)).cpu().numpy()
