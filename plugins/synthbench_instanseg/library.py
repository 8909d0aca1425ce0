"""The library instanseg: imported without chatter, and only when it is used."""

from __future__ import annotations

import warnings
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import nn

from synthbench.toolkit.intensity.images import RGB
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_instanseg.config import InstanSegConfig

COORDINATES, SIGMAS, SEEDS = 2, 2, 1
"""Output planes: where a pixel's instance has its centre, how far it reaches, and how much the pixel is a centre."""

SEED_SCALE = 15.0
"""The network predicts this many times the distance minus a half."""


@cache
def losses() -> ModuleType:
    """Return ``instanseg.utils.loss.instanseg_loss``, the module of losses and decoding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the compiler that the library uses
        from instanseg.utils.loss import instanseg_loss

    torch.sparse.check_sparse_tensor_invariants.disable()  # said aloud, lest torch warn that it is the default
    module: ModuleType = instanseg_loss
    return module


def build(config: InstanSegConfig, channels: int = RGB, device: str = "cpu") -> nn.Module:
    """Return the library's U-Net with its classifier of pixels; weights are drawn from torch's global generator.

    Names and shapes of the weights are those of the library's files. On the device ``meta`` they have no values.
    """
    losses()
    from instanseg.utils.models.InstanSeg_UNet import InstanSeg_UNet

    with torch.device(device):
        network: nn.Module = InstanSeg_UNet(
            in_channels=channels,
            out_channels=[[COORDINATES, SIGMAS, SEEDS]],
            layers=list(reversed(resolved(config.layers))),
            norm="BATCH",
        )
        method(network, config, device)
    return network


def method(network: nn.Module, config: InstanSegConfig, device: str | torch.device) -> Any:
    """Return the library's method: its losses and its decoding, with the network's classifier of pixels.

    A network without a classifier is given one.
    """
    found = losses().InstanSeg(
        n_sigma=SIGMAS,
        dim_coords=COORDINATES,
        dim_seeds=SEEDS,
        device=torch.device(device),
        binary_loss_fn_str="dice_loss",
        seed_loss_fn="binary_xloss",
        window_size=config.window_size,
    )
    found.initialize_pixel_classifier(network, MLP_width=config.mlp_width)
    return found
