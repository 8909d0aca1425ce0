"""Whether a plugin's networks compute in bfloat16; for those that don't train with torch."""

from __future__ import annotations

from synthbench.plugin.precision import current_precision, resolved_precision

__all__ = ["in_bfloat16"]


def in_bfloat16(device: str) -> bool:
    """Return whether the task that runs is to compute in bfloat16, float32 where its range or precision is needed.

    Parameters
    ----------
    device
        As in `synthbench.Context`: ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
    """
    return resolved_precision(device.partition(":")[0], current_precision()) == "bf16"
