"""On what kind of device a task computes, and how precisely."""

from __future__ import annotations

import os

from synthbench.plugin.precision import precision

__all__ = ["compute_settings"]

_OVERRIDES = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE")
"""Variables that make libraries compute with another precision than requested."""


def compute_settings(device: str) -> dict[str, str]:
    """Return what a key says of where its task computes.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.

    Returns
    -------
    dict
        ``device``: its kind; ``precision``: the toolkit's there, and whatever the environment overrides.
    """
    kind = device.partition(":")[0]
    overrides = [f"{name}={os.environ[name]}" for name in _OVERRIDES if os.environ.get(name)]
    return {"device": kind, "precision": ", ".join([precision(kind), *overrides])}
