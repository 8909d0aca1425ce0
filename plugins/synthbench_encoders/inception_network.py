"""The Inception-v3 of 2015 in torchvision's blocks.

It differs from torchvision's own in four things: 1008 classes; average pooling in the branches doesn't count the
padding; the last block pools by maximum; there is no auxiliary classifier.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import inception as blocks

from synthbench.errors import PluginError

CLASSES = 1008


class _Repooled(nn.Module):
    """Replaces the pooling branch, the last one, of one of torchvision's blocks."""

    branch_pool: nn.Module

    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        *others, _ = super()._forward(x)  # type: ignore[misc]
        return [*others, self.branch_pool(self.pool(x))]

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _A(_Repooled, blocks.InceptionA):  # type: ignore[misc]  # torchvision's blocks are untyped
    pass


class _C(_Repooled, blocks.InceptionC):  # type: ignore[misc]  # torchvision's blocks are untyped
    pass


class _E(_Repooled, blocks.InceptionE):  # type: ignore[misc]  # torchvision's blocks are untyped
    def __init__(self, in_channels: int, **options: Any) -> None:
        super().__init__(in_channels, **options)
        self.last = in_channels == 2048

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x, 3, stride=1, padding=1) if self.last else super().pool(x)


def inception_network(tensors: dict[str, torch.Tensor], source: str) -> nn.Module:
    """Return the network up to its last pooling: ``(n, 3, 299, 299)``, −1 … 1 → ``(n, 2048)``.

    Parameters
    ----------
    tensors
        A state dict of the published form.
    source
        Where it is from, for the message.

    Raises
    ------
    PluginError
        If names or shapes aren't those of this network.
    """
    with torch.device("meta"):
        network = blocks.Inception3(
            num_classes=CLASSES,
            aux_logits=False,
            init_weights=False,
            inception_blocks=[
                blocks.BasicConv2d, _A, blocks.InceptionB, _C, blocks.InceptionD, _E, blocks.InceptionAux
            ],
        )  # fmt: skip
    counters = {name: torch.zeros((), dtype=torch.int64) for name in network.state_dict() if "num_batches" in name}
    try:
        network.load_state_dict({**counters, **tensors}, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise PluginError(f"{source}: not the weights of the Inception-v3 of 2015: {reason}") from None
    network.fc = nn.Identity()
    features: nn.Module = network.float().eval().requires_grad_(False)
    return features
