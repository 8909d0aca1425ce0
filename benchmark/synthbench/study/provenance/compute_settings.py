"""On what kind of device a task computes, and how precisely."""

from __future__ import annotations

import os
from collections.abc import Mapping

from synthbench.errors import StoreError
from synthbench.plugin.precision import Precision, bfloat16_problem, number_types

__all__ = ["compute_settings", "planned_precision"]

_OVERRIDES = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE")
"""Variables that make libraries compute with another precision than requested."""


def compute_settings(device: str, precision: Precision = "auto") -> dict[str, str]:
    """Return what a key says of where its task computes.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
    precision

    Returns
    -------
    dict
        ``device``: its kind; ``precision``: the toolkit's there, and whatever the environment overrides.
    """
    kind = device.partition(":")[0]
    overrides = [f"{name}={os.environ[name]}" for name in _OVERRIDES if os.environ.get(name)]
    return {"device": kind, "precision": ", ".join([number_types(kind, precision), *overrides])}


def planned_precision(planned: Mapping[str, str], device: str) -> Precision:
    """Return the precision in which this process computes what a key asks for.

    Parameters
    ----------
    planned
        What `compute_settings` returned when the task was planned.
    device
        The device of this process.

    Raises
    ------
    StoreError
        If it computes on another kind of device, or in other types, or if its processor has no bfloat16.
    """
    here = compute_settings(device)
    wanted = f"planned for {planned['device']} in {planned['precision']}"
    for precision in ("fp32", "bf16"):
        if planned == compute_settings(device, precision):
            problem = bfloat16_problem() if here["device"] == "cpu" and precision == "bf16" else ""
            if problem:
                raise StoreError(f"{wanted}, and {problem}; run the study with --precision fp32")
            return precision
    raise StoreError(
        f"{wanted}, and this process computes on {here['device']} in {here['precision']}; run the study again"
    )
