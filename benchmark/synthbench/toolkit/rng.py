"""Streams of random numbers that are identified by a name, so that different uses of one seed are independent.

A stream is determined by a seed, a name and integers, for example the index of a sample::

    rng = stream(seed, "my-generator.sample", index)

The SHA-256 of the JSON text ``["name", seed, index, …]`` (with a space after each comma), read as a big-endian integer,
is the entropy of a `numpy.random.SeedSequence` for PCG64. This derivation is the same on every platform and in every
version. Torch generators are seeded with the first 63 bits of the same hash.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["stream", "torch_seed", "torch_stream"]

_TORCH_SEED_BITS = 63


def stream(seed: int, name: str, *indices: int) -> np.random.Generator:
    """Return the NumPy generator of a named stream, at its beginning.

    Parameters
    ----------
    seed
        The seed of the study, as in `synthbench.Context.seed` and `synthbench.Generator.sample`.
    name
        What the numbers are for, unique within a plugin and beginning with its name.
    *indices
        Integers that distinguish streams of the same name: a sample, an epoch, a step.

    Returns
    -------
    numpy.random.Generator
        A PCG64 generator.
    """
    entropy = int.from_bytes(_digest(seed, name, indices), "big")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def torch_stream(seed: int, name: str, *indices: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return the torch generator of a named stream, at its beginning.

    Parameters
    ----------
    seed, name, *indices
        As for `stream`.
    device
        Where tensors of random numbers are created. The numbers of a GPU differ from those of a CPU.

    Returns
    -------
    torch.Generator
        Seeded by `torch_seed`.
    """
    import torch

    return torch.Generator(device=device).manual_seed(torch_seed(seed, name, *indices))


def torch_seed(seed: int, name: str, *indices: int) -> int:
    """Return the seed of `torch_stream`, for `torch.manual_seed`: 0 … 2^63 − 1."""
    return int.from_bytes(_digest(seed, name, indices), "big") >> (256 - _TORCH_SEED_BITS)


def _digest(seed: int, name: str, indices: tuple[int, ...]) -> bytes:
    key = json.dumps([name, int(seed), *(int(index) for index in indices)])
    return hashlib.sha256(key.encode("utf-8")).digest()
