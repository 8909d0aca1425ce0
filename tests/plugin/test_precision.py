"""In which types a run computes: what a choice means, where it holds, and which processors can do it."""

from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace

import pytest
import torch

from synthbench.plugin.precision import (
    Precision,
    bfloat16_problem,
    computing_in,
    current_precision,
    number_types,
    resolved_precision,
)


@pytest.mark.parametrize(
    ("kind", "precision", "types"),
    [
        ("cpu", "auto", "float32"),
        ("cpu", "fp32", "float32"),
        ("cpu", "bf16", "float32, bfloat16 in part"),
        ("cuda", "auto", "float32, bfloat16 in part, TF32"),
        ("cuda", "bf16", "float32, bfloat16 in part, TF32"),
        ("cuda", "fp32", "float32, TF32"),
    ],
)
def test_the_types_of_a_choice(kind: str, precision: Precision, types: str) -> None:
    """They are part of keys: a changed text computes everything again."""
    assert number_types(kind, precision) == types
    assert (resolved_precision(kind, precision) == "bf16") == ("bfloat16" in types)


def test_a_choice_holds_within_its_block_alone_whatever_happens_there() -> None:
    assert current_precision() == "auto"
    with computing_in("bf16"):
        with contextlib.suppress(ZeroDivisionError), computing_in("fp32"):
            assert current_precision() == "fp32"
            raise ZeroDivisionError
        assert current_precision() == "bf16"
    assert current_precision() == "auto"


def test_a_choice_is_no_other_threads() -> None:
    seen = []
    with computing_in("bf16"):
        thread = threading.Thread(target=lambda: seen.append(current_precision()))
        thread.start()
        thread.join()
    assert seen == ["auto"]


@pytest.mark.parametrize(
    ("known", "can"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_which_processors_compute_in_bfloat16(
    known: dict[str, object], can: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    problem = bfloat16_problem()
    assert (problem == "") == can
    assert can or "AVX512-BF16" in problem


@pytest.mark.parametrize("can", [True, False])
def test_an_earlier_torch_is_asked_in_its_way(can: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"_is_amx_tile_supported": lambda: can, "_is_avx512_bf16_supported": lambda: False}
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(**answers))
    assert (bfloat16_problem() == "") == can
