"""Weights that Mask R-CNN starts from: torchvision's for COCO, or those of this class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from synthbench.errors import PluginError

__all__ = ["PREDICTORS", "check_layout", "load_into"]

PREDICTORS = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.")
"""Layers whose size depends on the number of classes; they start anew where a file has other classes."""


def load_into(network: nn.Module, weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Give a network weights; layers for other classes keep those that they have.

    Raises
    ------
    PluginError
        If they are another network's; `source` is named.
    """
    replaced = check_layout(network, weights, source)
    own = network.state_dict()
    network.load_state_dict({name: own[name] if name in replaced else weights[name] for name in own})


def check_layout(network: nn.Module, weights: Mapping[str, torch.Tensor], source: str) -> set[str]:
    """Return the names of the weights that are for other classes.

    Raises
    ------
    PluginError
        If the weights are another network's.
    """
    own = network.state_dict()
    if odd := sorted(weights.keys() ^ own.keys()):
        raise PluginError(
            f"{source}: not the weights of this network: {odd[0]!r} is missing or too many; torchvision's are those of "
            "backbone: resnet50, norm: batch, fpn_channels: 256, head_convs: 4, representation_size: 1024"
        )
    other = {name for name, tensor in own.items() if weights[name].shape != tensor.shape}
    replaced = {name for name in own if name.startswith(PREDICTORS)} if _other_classes(other) else set()
    if other - replaced:
        name = min(other - replaced)
        found, wanted = tuple(weights[name].shape), tuple(own[name].shape)
        raise PluginError(f"{source}: {name} has the shape {found}, and this network's is {wanted}")
    return replaced


def _other_classes(names: set[str]) -> bool:
    return any(name.startswith(PREDICTORS) for name in names)
