"""A training budget in words."""

from __future__ import annotations

__all__ = ["budget_text"]


def budget_text(steps: int, batch_size: int, patch_size: int) -> str:
    """Return a budget in words, such as ``"2,000 steps of 4 patches of 128²"``."""
    step, patch = ("step" if steps == 1 else "steps"), ("patch" if batch_size == 1 else "patches")
    return f"{steps:,} {step} of {batch_size} {patch} of {patch_size}²"
