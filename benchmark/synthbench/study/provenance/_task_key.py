"""The content of a task's key: everything that its result depends on, put together in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthbench.study.provenance._code import PROTOCOL, core_source
from synthbench.study.provenance._versions import core_versions

__all__ = ["SCALE", "task_code", "task_content"]

_PART = {
    "fit-generator": "train",
    "fit-segmenter": "train",
    "encode": "encode",
    "evaluate": "evaluate",
    "assess": "assess",
    "dataset": "dataset",
    "scale": "scale",
}
"""Which modules of the core a kind of task depends on; drawing depends on those of the generator's fit.

`SCALE` is no kind of task, but the part of any task that scales samples."""

SCALE = "scale"

_WITH_VERSIONS = ("encode", "evaluate", "assess", SCALE)
"""Kinds whose numbers the core computes itself, and so with the libraries that it imports."""


def task_content(
    kind: str,
    inputs: Mapping[str, Any],
    compute: Mapping[str, str] | None = None,
    code: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the key of a task is the SHA-256 of.

    Parameters
    ----------
    kind
        ``"fit-generator"``, ``"draw"``, ``"encode"``, ``"assess"``, ``"fit-segmenter"``, ``"evaluate"`` or
        ``"dataset"``.
    inputs
        Plugin, seed, keys and fingerprints of what is read.
    compute
        See `synthbench.study.provenance.compute_settings`; None where the device makes no difference.
    code
        What `task_code` returns where the task runs; by default here.
    """
    return {
        "kind": kind,
        "protocol": PROTOCOL,
        **inputs,
        **(task_code(kind) if code is None else code),
        **({"compute": dict(compute)} if compute is not None else {}),
    }


def task_code(kind: str) -> dict[str, Any]:
    """Return the part of a key that stands for the core's own code: ``core``, and for some kinds ``versions``."""
    if kind not in _PART:
        return {}
    code: dict[str, Any] = {"core": core_source(_PART[kind])}
    if kind in _WITH_VERSIONS:
        code["versions"] = core_versions(_PART[kind])
    return code
