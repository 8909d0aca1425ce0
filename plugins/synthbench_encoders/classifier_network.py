"""A torchvision classifier without its last layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torchvision import models

from synthbench.errors import PluginError


def classifier_features(
    architecture: str, tensors: dict[str, torch.Tensor], source: str, device: str
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function from normalised images, ``(n, 3, size, size)``, to features, ``(n, dimension)``.

    Parameters
    ----------
    architecture
        As torchvision names it.
    tensors
        Its state dict; the number of classes is read from it.
    source
        Where it is from, for the message.
    device

    Raises
    ------
    PluginError
        If names or shapes aren't those of this architecture.
    """
    with torch.device("meta"):
        head = _head(models.get_model(architecture, weights=None))[0]
        classes = len(tensors[f"{head}.weight"]) if f"{head}.weight" in tensors else 1000
        network = models.get_model(architecture, weights=None, num_classes=classes)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise PluginError(f"{source}: not the weights of {architecture}: {reason}") from None
    network = network.float().eval().requires_grad_(False).to(device)
    last = _head(network)[1]
    entered: list[torch.Tensor] = []
    last.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))

    def features(batch: torch.Tensor) -> torch.Tensor:
        entered.clear()
        network(batch)
        found = entered.pop()
        return found.mean(dim=(2, 3)) if found.ndim == 4 else found

    return features


def _head(network: nn.Module) -> tuple[str, nn.Module]:
    """Return name and module of the layer that decides on the class: the last one that is linear, or a convolution."""
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
