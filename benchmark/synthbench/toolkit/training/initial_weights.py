"""From trained weights to the initial weights of a network whose input or output may differ.

The rules are the same for every method:

- Names and shapes of all tensors must be the network's; anything else is refused in one line.
- A network keeps the number of input channels of its weights, and grey images are repeated as RGB; but weights of grey
  images become those of images with more channels by `repeat_input`. Other numbers of channels are refused
  (`input_channels`).
- Output layers (`heads`) that don't fit start from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from synthbench.errors import ConfigError, PluginError, join_names

if TYPE_CHECKING:
    import torch
    from torch import nn

    from synthbench.plugin.api import Context

__all__ = [
    "check_tensors",
    "initialise_from",
    "input_channels",
    "read_start",
    "refuse_new_head",
    "repeat_input",
    "tensor_problem",
]


StartT = TypeVar("StartT")


def read_start(
    context: Context, of_file: Callable[[Path], StartT], of_model: Callable[[Path], StartT]
) -> StartT | None:
    """Return what ``context.init`` names, read by one of two functions; None where training starts from the seed.

    Parameters
    ----------
    context
    of_file
        Path of published weights → what is known of them.
    of_model
        Folder of a model of this segmenter → the same.
    """
    init = context.init
    if init is None:
        return None
    if init.file is not None:
        return of_file(init.file)
    assert init.model is not None
    return of_model(init.model)


def input_channels(images: int, weights: int, source: object) -> int:
    """Return the number of input channels of a network that starts from trained weights.

    Parameters
    ----------
    images, weights
        Channels of the training images, and of those that the weights are of.
    source
        Where the weights come from, for the message.

    Raises
    ------
    PluginError
        If neither can be had from the other.
    """
    if weights in (1, images):
        return images
    if (images, weights) == (1, 3):
        return weights
    raise PluginError(
        f"init {source}: its weights are of images with {weights} channels, and the training images have {images}; use "
        "weights of grey images, or of images with the same channels"
    )


def repeat_input(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Return the weights of a convolution for images of more channels: repeated, and divided by their number.

    An image whose channels are equal gets the same answer as the grey image before.

    Parameters
    ----------
    weight
        ``(out, 1, …)``.
    channels
        Number of input channels of the result.
    """
    return weight.repeat(1, channels, *(1,) * (weight.ndim - 2)) / channels


def tensor_problem(expected: Mapping[str, Sequence[int]], found: Mapping[str, Sequence[int]]) -> str:
    """Return why tensors of these names and shapes aren't those of a network; "" if they are.

    Parameters
    ----------
    expected, found
        Name → shape.
    """
    missing, surplus = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or surplus:
        parts = [
            f"{len(names)} tensors {what}: {join_names(names[:3])}{' …' if len(names) > 3 else ''}"
            for names, what in ((missing, "are missing"), (surplus, "are not the network's"))
            if names
        ]
        return "; ".join(parts)
    for name, shape in expected.items():
        if tuple(shape) != tuple(found[name]):
            return f"{name} has shape {tuple(found[name])}, and the network's has {tuple(shape)}"
    return ""


def check_tensors(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], source: object, *, hint: str = ""
) -> None:
    """Raise `PluginError` if tensors can't be the weights of a network: other names, shapes or types, or not finite.

    Parameters
    ----------
    expected
        The network's, by name; they may be on the device ``meta``, without values.
    found
        Those in question, by name.
    source
        Where they come from, for the message.
    hint
        What to do where names or shapes are others.
    """
    problem = tensor_problem(
        {name: value.shape for name, value in expected.items()}, {name: value.shape for name, value in found.items()}
    )
    if problem:
        raise PluginError(f"{source}: the weights are another network's: {problem}{f'; {hint}' if hint else ''}")
    for name, value in found.items():
        if expected[name].is_floating_point() and not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise PluginError(f"{source}: {name} holds values of type {kind}; weights are floating-point numbers")
        if not bool(value.isfinite().all()):
            raise PluginError(f"{source}: {name} holds values that aren't finite; the training that made it diverged")


def initialise_from(
    network: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    source: object,
    *,
    heads: Sequence[str] = (),
    keep_heads: bool = True,
    hint: str = "",
    notify: Callable[[str], None] | None = None,
) -> bool:
    """Give a network trained weights, and return whether all of them are.

    Parameters
    ----------
    network
        Its weights are drawn from the seed already.
    tensors
        Name → tensor, parameters and buffers.
    source
        Where they come from, for messages.
    heads
        Beginnings of the names of output layers, which may be missing or have another shape: they keep what was drawn.
    keep_heads
        False: the output layers mean something else, and keep what was drawn in any case.
    hint
        What to do where the weights don't fit.
    notify
        Called with a line if output layers keep what was drawn.

    Raises
    ------
    PluginError
        If anything else doesn't fit.
    """
    state = network.state_dict()
    is_head = [name for name in {*state, *tensors} if name.startswith(tuple(heads))] if heads else []
    fits = keep_heads and not tensor_problem(
        {name: state[name].shape for name in is_head if name in state},
        {name: tensors[name].shape for name in is_head if name in tensors},
    )
    drawn = set() if fits else set(is_head)
    chosen = {name: value for name, value in tensors.items() if name not in drawn}
    check_tensors({name: value for name, value in state.items() if name not in drawn}, chosen, source, hint=hint)
    network.load_state_dict({**state, **chosen})
    if drawn and notify is not None:
        notify(f"init {source}: its output layer doesn't fit this task, so that of the network starts from the seed")
    return not drawn


def refuse_new_head(context: Context, source: object) -> None:
    """Raise `ConfigError` if an output layer that starts from the seed wouldn't be trained."""
    if context.budget.steps == 0:
        raise ConfigError(f"init {source}: its output layer doesn't fit this task; with 0 steps nothing could be found")
