"""Random convolutions, fixed for ever: features that need no file and see more than grey levels.

Naeem 2020 found untrained networks useful where images are far from ImageNet. The layers and the statistics taken
of them are a choice of this project. Filters of zero mean: with plain random ones, grey levels drown everything, and
blurred nuclei scored nearer to real ones than real ones did. They see edges and texture; how bright an image is
stands beside them in six features.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from synthbench_encoders.base import EncoderConfig, Features, NetworkEncoder

WIDTHS = (32, 64, 128, 256)
SLOPE = 0.2
KEY = 2408
INTENSITY_WEIGHT = 2.5
"""Weight of mean and spread of the grey levels, so that they count among the many others."""


class Untrained(NetworkEncoder[EncoderConfig]):
    """Mean and standard deviation of every channel, of the image and after each of four convolutions: 966 features."""

    Config = EncoderConfig
    size: ClassVar[int] = 256

    def fingerprint(self) -> str:
        digest = hashlib.sha256(b"".join(layer.tobytes() for layer in layers())).hexdigest()
        white = self.config.white_level
        return f"untrained {'-'.join(map(str, WIDTHS))} clean-resize-{self.size} white:{white} sha256:{digest}"

    def build(self, device: str) -> Features:
        import torch
        from torch.nn import functional

        filters = [torch.from_numpy(layer.copy()).to(device) for layer in layers()]

        def features(batch: torch.Tensor) -> torch.Tensor:
            planes = batch / 127.5 - 1
            columns = [INTENSITY_WEIGHT * planes.mean(dim=(2, 3)), INTENSITY_WEIGHT * planes.std(dim=(2, 3))]
            for layer in filters:
                planes = functional.leaky_relu(functional.conv2d(planes, layer, stride=2, padding=1), SLOPE)
                columns += [planes.mean(dim=(2, 3)), planes.std(dim=(2, 3))]
            return torch.cat(columns, dim=1)

        return features


@functools.cache
def layers() -> tuple[NDArray[Any], ...]:
    """Return the filters, ``(out, in, 3, 3)`` float32 each; every 3 × 3 of them sums to 0.

    Uniform before that, from the integers of numpy's Philox generator, whose stream is fixed by its definition; they
    are centred as integers, so that the same bits come out everywhere. Their variance is twice He's (2015): what is
    smooth doesn't pass, and this keeps the size of the rest through the layers.
    """
    drawn = []
    for index, (channels, width) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False)):
        integers = np.random.Philox(key=(KEY << 8) + index).random_raw(width * channels * 9) >> np.uint64(12)
        nines = integers.astype(np.int64).reshape(width, channels, 3, 3)
        centred = 9 * nines - nines.sum(axis=(2, 3), keepdims=True)
        spread = np.sqrt(4 / ((1 + SLOPE**2) * channels * 9)) / np.sqrt(6)
        drawn.append((centred * 2.0**-52 * spread).astype("<f4"))
    return tuple(drawn)
