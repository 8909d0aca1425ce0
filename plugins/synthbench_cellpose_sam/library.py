"""The library cellpose, 4: its network, given weights that lie here, and its evaluation. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthbench.errors import PluginError
from synthbench.toolkit.training.initial_weights import tensor_problem

if TYPE_CHECKING:
    import torch

MARK = "W2"
"""A tensor of every file of Cellpose 4: how the output is laid out in pixels."""

SIZES = ("diam_mean", "diam_labels")
"""Tensors of a file that aren't used: diameters. Cellpose 4 doesn't resize images."""

HINT = "give a file of Cellpose-SAM, such as cpsam"


def refuse_others(tensors: Mapping[str, Any], source: Path) -> None:
    """Raise `PluginError` if tensors are those of another version or network of Cellpose."""
    if any(name.startswith("downsample.") for name in tensors):
        raise PluginError(f"{source}: these are weights of Cellpose 1 to 3; use them with the segmenter cellpose")
    if "encoder.cls_token" in tensors:
        raise PluginError(
            f"{source}: these are weights of Cellpose's DINO network (cpdino), which isn't supported; {HINT}"
        )
    if MARK not in tensors:
        raise PluginError(f"{source}: the weights are another network's: {MARK} is missing; {HINT}")


def empty_network() -> Any:
    """Return the network without memory for its weights: shapes only, on torch's device ``meta``."""
    import torch

    with torch.device("meta"):
        try:
            from cellpose.vit import CPSAM as network_class
        except ImportError:  # before 4.2
            from cellpose.vit_sam import Transformer as network_class
        return network_class(dtype=torch.float32)


def check_shapes(shapes: Mapping[str, tuple[int, ...]], source: Path) -> None:
    """Raise `PluginError` if tensors of these shapes aren't the network's."""
    expected = {name: tuple(value.shape) for name, value in empty_network().state_dict().items()}
    problem = tensor_problem(
        {name: shape for name, shape in expected.items() if name not in SIZES},
        {name: shape for name, shape in shapes.items() if name not in SIZES},
    )
    if problem:
        raise PluginError(f"{source}: the weights are another network's: {problem}; {HINT}")


def network(tensors: Mapping[str, torch.Tensor], source: Path, device: str) -> Any:
    """Return the network with these weights, float32, in evaluation mode; the tensors are taken, not copied.

    Raises
    ------
    PluginError
        If they don't fit or aren't finite.
    """
    import torch

    refuse_others(tensors, source)
    check_shapes({name: tuple(value.shape) for name, value in tensors.items()}, source)
    for name, value in tensors.items():
        if not bool(value.isfinite().all()):
            raise PluginError(f"{source}: {name} holds values that aren't finite")
    made = empty_network()
    sizes = {name: tensors.get(name, torch.tensor([30.0])) for name in SIZES}
    weights = {name: value.float() for name, value in {**tensors, **sizes}.items()}
    made.load_state_dict({name: weights[name] for name in made.state_dict()}, assign=True)
    return made.to(device).eval()


def model(net: Any, device: str) -> Any:
    """Return the library's ``CellposeModel`` round a network; its own constructor would look for a file."""
    import torch
    from cellpose.models import CellposeModel

    made = CellposeModel.__new__(CellposeModel)
    made.net, made.device, made.backbone = net, torch.device(device), "sam_vitl"
    made.gpu, made.pretrained_model = made.device.type == "cuda", ""
    return made
