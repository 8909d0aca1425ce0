"""The numbers that a plugin saves, whatever the file; texts aren't learned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from synthbench.testing._learning import arrays, changed, numbers


def write(folder: Path, weight: float, told: str = "") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"rate": weight}))
    (folder / "state.json").write_text(json.dumps({"level": [weight, 2], "set": told, "seed": 7}))
    (folder / "note.txt").write_text(f"{told} loss, {weight}")
    np.save(folder / "a.npy", np.array([weight]))
    np.savez(folder / "b.npz", x=np.array([weight]), y=np.zeros(2))
    save_file({"w": np.array([weight], np.float32), "v": np.zeros(3, np.float32)}, folder / "c.safetensors")
    (folder / "d.bin").write_bytes(bytes([int(weight)]))
    return folder


def test_only_numbers_that_differ_are_named(tmp_path: Path) -> None:
    one, other = numbers(write(tmp_path / "one", 1.0)), numbers(write(tmp_path / "two", 3.0))
    assert changed(one, other) == {
        "state.json:.level[0]", "note.txt:1", "a.npy:", "b.npz:x", "c.safetensors:w", "d.bin:",
    }  # fmt: skip
    assert changed(one, one) == set()


def test_the_name_of_a_set_is_no_number(tmp_path: Path) -> None:
    one, other = (numbers(write(tmp_path / told, 1.0, told)) for told in ("abc", "def"))
    assert changed(one, other) == set()


def test_what_was_given_is_not_learned() -> None:
    assert changed({"seed": 7.0, "level": 1.0}, {"seed": 8.0, "level": 2.0}, (7, 8)) == {"level"}
    assert changed({"share": 0.5}, {}, (0.5,)) == set()
    assert changed({"level": 0.5}, {}, ()) == {"level"}


def test_arrays_are_those_with_a_hash(tmp_path: Path) -> None:
    found = arrays(numbers(write(tmp_path / "one", 1.0)))
    assert set(found) == {"a.npy:", "b.npz:x", "b.npz:y", "c.safetensors:w", "c.safetensors:v", "d.bin:"}


@pytest.mark.parametrize("name", ["x.json", "x.npy", "x.npz", "x.safetensors"])
def test_a_file_that_is_not_what_it_is_called_counts_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x01\x02\x03 nothing of the kind")
    assert list(numbers(tmp_path)) == [f"{name}:"]
