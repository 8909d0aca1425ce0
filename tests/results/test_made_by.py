"""What made a row, from the records of the artifacts behind it."""

from __future__ import annotations

import pytest

from synthbench.results.made_by import made_by


def record(device: str, precision: str | None, **more: object) -> dict[str, object]:
    compute = {"device": device, "precision": precision} if precision else None
    return {"device": device, "content": {"compute": compute} if compute else {}, **more}


@pytest.mark.parametrize(
    ("records", "device"),
    [
        ([record("cpu", "float32"), record("cpu", None)], "cpu"),
        (
            [record("cpu", "float32, bfloat16 in part"), record("cpu", "float32"), record("cpu", None)],
            "cpu in bfloat16",
        ),
        ([record("cuda", "float32, bfloat16 in part, TF32", gpu="H")], "cuda (H)"),
        ([record("cuda", "float32, TF32", gpu="H")], "cuda (H) in float32"),
        (
            [record("cpu", "float32, bfloat16 in part"), record("cuda", "float32, bfloat16 in part, TF32")],
            "cpu in bfloat16, cuda",
        ),
    ],
)
def test_a_precision_that_was_chosen_is_named_with_the_device(records: list[dict[str, object]], device: str) -> None:
    assert made_by(records)["device"] == device
