"""What the encoders share: images in batches through a network in full precision."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from synthbench import Config, Context, Encoder
from synthbench_encoders.pictures import batches

Features = Callable[[Any], Any]
"""A batch of images, ``(n, 3, size, size)`` float32 tensor, 0 … 255 → features, ``(n, dimension)`` tensor."""


class EncoderConfig(Config):
    """Configuration keys that every encoder has."""

    renamed: ClassVar[dict[str, str]] = {"white": "white_level"}

    white_level: int = Field(
        65535,
        ge=1,
        le=65535,
        description="the value of a 16-bit image that becomes 255, the same for real and synthetic images; 4095 for a "
        "12-bit camera whose images are stored in 16 bits",
    )


ConfigT = TypeVar("ConfigT", bound=EncoderConfig)


class NetworkEncoder(Encoder[ConfigT]):
    """An encoder that is a torch network."""

    size: ClassVar[int]

    def __init__(self, config: ConfigT | None = None) -> None:
        super().__init__(config)
        self._network: Features | None = None
        self._device = "cpu"

    def prepare(self, context: Context) -> None:
        import torch

        torch.set_num_threads(max(1, context.threads))
        self._device = context.device
        self._network = self.build(context.device)

    def encode(self, images: Iterable[NDArray[Any]]) -> NDArray[Any]:
        """Return ``(n, dimension)`` float32 features; `prepare` is called on the CPU if nobody did."""
        import torch

        if self._network is None:
            self.prepare(Context())
        assert self._network is not None
        rows: list[NDArray[Any]] = []
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False, deterministic=True, benchmark=False):
            for batch in batches(images, self.side(), self.config.white_level):
                features = self._network(torch.from_numpy(batch).to(self._device))
                rows.append(features.float().cpu().numpy())
        if not rows:
            raise ValueError("images: there are none to encode")
        return np.concatenate(rows)

    def side(self) -> int:
        """Return the side to which images are resized."""
        return self.size

    @abstractmethod
    def build(self, device: str) -> Features:
        """Return the network, with its weights, on the device."""
