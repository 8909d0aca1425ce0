"""What a plugin that doesn't train with torch asks."""

from __future__ import annotations

import pytest

from synthbench.plugin.precision import Precision, computing_in
from synthbench.toolkit.training.precision import in_bfloat16


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [("cpu", "auto", False), ("cpu", "bf16", True), ("cuda:1", "auto", True), ("cuda", "fp32", False)],
)
def test_bfloat16_is_what_the_task_asks_for_on_its_device(device: str, precision: Precision, expected: bool) -> None:
    assert in_bfloat16("cpu") is False
    with computing_in(precision):
        assert in_bfloat16(device) is expected
