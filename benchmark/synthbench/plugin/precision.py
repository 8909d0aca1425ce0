"""In which types the toolkit computes: what a run can choose, and what that means on each kind of device.

Said here, where no torch is needed to read it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, get_args

__all__ = [
    "PRECISIONS",
    "Precision",
    "TF32",
    "bfloat16_problem",
    "computing_in",
    "current_precision",
    "number_types",
    "resolved_precision",
]

Precision = Literal["auto", "fp32", "bf16"]
"""``fp32``: float32; ``bf16``: bfloat16 within `synthbench.toolkit.training.loop.autocast`, float32 elsewhere;
``auto``: bf16 on a GPU, fp32 on a CPU."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

TF32 = True
"""Whether a GPU may round the factors of products of float32 to TF32."""

_current: ContextVar[Precision] = ContextVar("precision", default="auto")


@contextlib.contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Within, `synthbench.toolkit.training.loop.autocast` means this precision, in this thread.

    The engine runs each task so. A model computes in the precision of where it is called, not of where it was loaded.
    """
    before = _current.set(precision)
    try:
        yield
    finally:
        _current.reset(before)


def current_precision() -> Precision:
    """Return the precision of the innermost `computing_in`; outside of any, ``"auto"``."""
    return _current.get()


def resolved_precision(kind: str, precision: Precision) -> Literal["fp32", "bf16"]:
    """Return what a choice means on a kind of device: ``"cpu"`` or ``"cuda"``."""
    if precision == "auto":
        return "bf16" if kind == "cuda" else "fp32"
    return precision


def number_types(kind: str, precision: Precision = "auto") -> str:
    """Return the types that the toolkit computes in, in words: part of a key.

    Parameters
    ----------
    kind
        Of the device: ``"cpu"`` or ``"cuda"``.
    precision
    """
    types = ["float32"]
    if resolved_precision(kind, precision) == "bf16":
        types.append("bfloat16 in part")
    if kind == "cuda" and TF32:
        types.append("TF32")
    return ", ".join(types)


def bfloat16_problem() -> str:
    """Return why the processor of this machine isn't used for bfloat16, in a few words; an empty string if it can be.

    Without instructions for it, bfloat16 is emulated, which takes longer than float32. Imports torch.
    """
    try:
        import torch
    except ImportError:
        return "only torch can tell whether this processor computes in bfloat16, and it isn't installed here"
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        found = bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    else:  # earlier versions of torch
        found = any(getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in ("avx512_bf16", "amx_tile"))
    return "" if found else "this processor has no instructions for bfloat16 (AVX512-BF16 or AMX)"
