"""Weights in a bundle: those of the store, and headers of strangers that are read without being believed."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

import synthbench
from helpers.bundles import members, write
from synthbench.bundle._weights import header_of
from synthbench.bundle.verifying import verify_bundle
from synthbench.bundle.writing import write_bundle
from synthbench.errors import DataError
from synthbench.samples import SampleSet
from synthbench.store import Store


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, blob_set: SampleSet) -> Path:
    """A bundle with weights, of one U-Net of few features that took one step."""
    folder = tmp_path_factory.mktemp("weights")
    blob_set.save(folder / "blobs")
    study = {
        "name": "weighed",
        "datasets": [str(folder / "blobs")],
        "segmenters": [{"name": "unet", "seeds": 1, "config": {"features": [4, 4, 4, 4, 4, 4]}}],
        "budget": {"name": "smoke", "steps": 1, "patch_size": 32},
    }
    synthbench.run(study, store=folder / "store", folder=folder / "run", engine="serial", device="cpu")
    write_bundle(folder / "run", Store(folder / "store"), folder / "weighed.zip", weights=True)
    return folder / "weighed.zip"


def test_weights_are_those_of_the_store_and_are_verified(bundle: Path) -> None:
    files = members(bundle)
    (name,) = (name for name in files if name.endswith(".safetensors"))
    _, key, inner = name.split("/")
    assert files[name] == (bundle.parent / "store" / "fit-segmenter" / key / "model" / inner).read_bytes()
    assert f"weights/{key}/config.json" in files
    findings = verify_bundle(bundle)
    assert findings.problems == []
    assert "headers and sizes of 1 files of weights, which belong to trainings" in findings.verified
    without = write_bundle(bundle.parent / "run", Store(bundle.parent / "store"), bundle.parent / "without.zip")
    assert not any(name.startswith("weights/") for name in members(without.path))


@pytest.mark.parametrize("how", ["pickle", "elsewhere", "torn", "swapped"])
def test_what_is_no_weights_is_a_problem(bundle: Path, tmp_path: Path, how: str) -> None:
    files = members(bundle)
    (name,) = (name for name in files if name.endswith(".safetensors"))
    key = name.split("/")[1]
    added = {
        "pickle": (f"weights/{key}/model.pt", b"\x80\x04N."),
        "elsewhere": (f"weights/{'0' * 64}/network.safetensors", files[name]),
        "torn": (name, files[name][:-4]),
        "swapped": (name, files[name][:-4] + b"\0\0\0\1"),
    }
    where, content = added[how]
    changed = write(tmp_path / "changed.zip", {**files, where: content}, sealed=how != "swapped")
    assert any(problem.file == where for problem in verify_bundle(changed).problems)


def test_headers_are_those_that_safetensors_writes() -> None:
    data = save({"a": np.zeros((2, 3), np.float32), "b": np.ones(5, np.int64), "none": np.zeros((0, 4), np.uint8)})
    header = header_of(data, "a.safetensors")
    assert {name: (row["dtype"], row["shape"]) for name, row in header.items()} == {
        "a": ("F32", [2, 3]),
        "b": ("I64", [5]),
        "none": ("U8", [0, 4]),
    }


def packed(header: object, room: int = 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(room)


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        struct.pack("<Q", 2**60) + b"{}",
        packed(b"{"),
        packed([1]),
        packed({"a": 1}),
        packed({"a": {**TENSOR, "dtype": "OBJECT"}}),
        packed({"a": {**TENSOR, "dtype": ["F32"]}}),
        packed({"a": {**TENSOR, "shape": [-2]}}),
        packed({"a": {**TENSOR, "shape": [2**70]}}),
        packed({"a": {**TENSOR, "shape": ["2"]}}),
        packed({"a": {**TENSOR, "data_offsets": [0, 16]}}),
        packed({"a": {**TENSOR, "data_offsets": [0]}}),
        packed({"a": TENSOR}, room=12),
        packed({"a": TENSOR, "b": TENSOR}),
        packed(b'{"a": ' + b"[" * 100_000),
    ],
)
def test_other_headers_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^a\.safetensors: ") as error:
        header_of(data, "a.safetensors")
    assert "\n" not in str(error.value)
