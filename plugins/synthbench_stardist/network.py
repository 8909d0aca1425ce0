"""StarDist's network: built by the library, initialised from a seed, kept as named arrays."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synthbench.toolkit.rng import stream
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_stardist.runtime import tensorflow

if TYPE_CHECKING:
    from synthbench_stardist.config import StarDistConfig


OUTPUTS = ("prob", "dist")
"""The library's names of the layers whose outputs are the network's."""


def build(config: StarDistConfig, channels: int, *, bfloat16: bool = False) -> Any:
    """Return a ``stardist.models.StarDist2D`` that writes nothing to disk and nothing to stdout.

    With `bfloat16`, its layers compute in bfloat16; weights, and the two outputs, are float32.
    """
    tensorflow()
    from keras import mixed_precision

    policy = mixed_precision.dtype_policy()
    with contextlib.redirect_stdout(io.StringIO()):
        from stardist.models import Config2D, StarDist2D

        settings = Config2D(
            axes="YXC",
            n_rays=config.n_rays,
            grid=(config.grid, config.grid),
            n_channel_in=channels,
            unet_n_depth=config.unet_n_depth,
            unet_n_filter_base=resolved(config.unet_n_filter_base),
            train_dist_loss=config.train_dist_loss,
            train_loss_weights=config.train_loss_weights,
            train_background_reg=config.train_background_reg,
            train_reduce_lr=None,
            train_tensorboard=False,
        )
        try:
            mixed_precision.set_dtype_policy("mixed_bfloat16" if bfloat16 else "float32")
            model = StarDist2D(settings, name="stardist", basedir=None)
        finally:
            mixed_precision.set_dtype_policy(policy)
    for name in OUTPUTS:
        model.keras_model.get_layer(name).dtype_policy = "float32"
    return model


def initialise(variables: Sequence[Any], seed: int) -> None:
    """Give kernels Glorot's uniform distribution, as the library does, and biases zero: by the seed alone."""
    for index, variable in enumerate(variables):
        shape = tuple(variable.shape)
        if len(shape) < 2:
            variable.assign(np.zeros(shape, np.float32))
            continue
        field = int(np.prod(shape[:-2]))
        limit = np.sqrt(6.0 / (field * (shape[-2] + shape[-1])))
        rng = stream(seed, "stardist.initial_weights", index)
        variable.assign(rng.uniform(-limit, limit, shape).astype(np.float32))


def to_arrays(variables: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Return variables by place and name, ``"000.kernel"``.

    Numbers in names are left out: Keras goes on counting layers from one network to the next.
    """
    return {_key(index, variable): np.asarray(variable.numpy()) for index, variable in enumerate(variables)}


def from_arrays(variables: Sequence[Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Assign what `to_arrays` returned.

    Raises
    ------
    ValueError
        If names or shapes are another network's.
    """
    expected = {_key(index, variable): variable for index, variable in enumerate(variables)}
    if expected.keys() != arrays.keys():
        odd = sorted(expected.keys() ^ arrays.keys())
        raise ValueError(f"{len(odd)} arrays are missing or too many: {', '.join(odd[:3])}")
    for name, variable in expected.items():
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise ValueError(f"{name} has shape {tuple(arrays[name].shape)}, not {tuple(variable.shape)}")
    for name, variable in expected.items():
        variable.assign(arrays[name])


def _key(index: int, variable: Any) -> str:
    return f"{index:03d}.{re.sub(r'_[0-9]+', '', variable.name)}"
