"""How precisely the toolkit computes on each kind of device; said here, where no torch is needed to read it."""

from __future__ import annotations

__all__ = ["AUTOCAST", "TF32", "precision"]

AUTOCAST = "bfloat16"
"""The type of most operations on a GPU, within `synthbench.toolkit.training.loop.autocast`."""

TF32 = True
"""Whether a GPU may round the factors of products of float32 to TF32."""


def precision(kind: str) -> str:
    """Return the types that the toolkit computes in, on a kind of device: ``"cpu"`` or ``"cuda"``."""
    return f"float32, {AUTOCAST} in part{', TF32' * TF32}" if kind == "cuda" else "float32"
