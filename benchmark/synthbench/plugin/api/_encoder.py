"""The base class of encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from synthbench.plugin.api._configured import ConfigT, Configured
from synthbench.plugin.api._context import Context
from synthbench.types import Features, Image

__all__ = ["Encoder"]


class Encoder(Configured[ConfigT], ABC):
    """Maps images to feature vectors, in float32 on a CPU."""

    bfloat16_on_cpu: ClassVar[bool] = False

    def prepare(self, context: Context) -> None:
        """Load weights and move to ``context.device``; called once before `encode`."""

    @abstractmethod
    def encode(self, images: Iterable[Image]) -> Features:
        """Return features, ``(n, dimension)`` float32 or float64, a row per image; sizes and dtypes may differ."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Name the network and its weights, e.g. ``"inception-v3 sha256:6726…"``; part of every key.

        And the versions of what it uses from elsewhere, if anything.
        """

    @classmethod
    def unavailable(cls, config: ConfigT) -> str:
        """Why it can't run with this configuration (missing weights); an empty string when it can."""
        return ""
