"""Random convolutions, fixed for ever: features that need no file and see more than grey levels.

Naeem 2020 found untrained networks useful where images are far from ImageNet. The layers and the statistics taken
of them are this project's choice.
"""

from __future__ import annotations

import functools
import hashlib
from typing import ClassVar

import numpy as np

from synthbench_encoders.base import Features, NetworkEncoder

WIDTHS = (32, 64, 128, 256)
SLOPE = 0.2
KEY = 2408


class Untrained(NetworkEncoder):
    """Mean and standard deviation of every channel after each of four strided convolutions: 960 features."""

    size: ClassVar[int] = 256

    def fingerprint(self) -> str:
        digest = hashlib.sha256(b"".join(layer.tobytes() for layer in layers())).hexdigest()
        return (
            f"untrained {'-'.join(map(str, WIDTHS))} clean-resize-{self.size} white:{self.config.white} sha256:{digest}"
        )

    def build(self, device: str) -> Features:
        import torch
        from torch.nn import functional

        filters = [torch.from_numpy(layer.copy()).to(device) for layer in layers()]

        def features(batch: torch.Tensor) -> torch.Tensor:
            planes = batch / 127.5 - 1
            kept = []
            for layer in filters:
                planes = functional.leaky_relu(functional.conv2d(planes, layer, stride=2, padding=1), SLOPE)
                kept += [planes.mean(dim=(2, 3)), planes.std(dim=(2, 3))]
            return torch.cat(kept, dim=1)

        return features


@functools.cache
def layers() -> tuple[np.ndarray, ...]:
    """Return the filters, ``(out, in, 3, 3)`` float32 each.

    Uniform, with the variance that keeps the size of activations (He 2015), from the integers of numpy's Philox
    generator: that stream is fixed by its definition, and exact arithmetic turns it into the same bits everywhere.
    """
    drawn = []
    for index, (channels, width) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False)):
        integers = np.random.Philox(key=(KEY << 8) + index).random_raw(width * channels * 9)
        unit = (integers >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
        bound = np.sqrt(6 / ((1 + SLOPE**2) * channels * 9))
        drawn.append((unit * bound).astype("<f4").reshape(width, channels, 3, 3))
    return tuple(drawn)
