"""Weights that Mask R-CNN starts from: torchvision's for COCO, or those of this class."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from synthbench.toolkit.training.initial_weights import check_tensors, initialise_from

__all__ = ["PREDICTORS", "check_layout", "load_into"]

PREDICTORS = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.")
"""Layers whose size depends on the number of classes; they start from the seed where the weights have other classes."""

HINT = (
    "torchvision's are those of backbone: resnet50, norm: batch, fpn_channels: 256, head_convs: 4, "
    "representation_size: 1024"
)


def load_into(
    network: nn.Module, weights: Mapping[str, torch.Tensor], source: object, notify: Callable[[str], None]
) -> bool:
    """Give a network weights, and return whether all of them are; layers for other classes keep what was drawn.

    Raises
    ------
    PluginError
        If they are another network's; `source` is named.
    """
    return initialise_from(network, weights, source, heads=PREDICTORS, hint=HINT, notify=notify)


def check_layout(network: nn.Module, weights: Mapping[str, torch.Tensor], source: object) -> None:
    """Raise `PluginError` if weights are another network's, apart from layers for other classes."""
    expected, found = (
        {name: tensor for name, tensor in tensors.items() if not name.startswith(PREDICTORS)}
        for tensors in (network.state_dict(), weights)
    )
    check_tensors(expected, found, source, hint=HINT)
