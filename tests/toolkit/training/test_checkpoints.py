"""Checkpoints: as they were written, or not used at all."""

from __future__ import annotations

import contextlib
import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from synthbench.errors import StoreError
from synthbench.plugin.api import Budget, Context, Stopped
from synthbench.toolkit.training import checkpoints, loop

STEPS = 6
CONTENT = {"step": 3, "state": {"network": {"weight": torch.arange(6.0), "name": "a"}}, "cpu": torch.get_rng_state()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "training.pt"


def test_what_was_written_is_read(path: Path) -> None:
    digest = checkpoints.write(path, CONTENT)
    found = checkpoints.read(path)
    assert found["step"] == 3
    assert torch.equal(found["state"]["network"]["weight"], torch.arange(6.0))
    assert torch.equal(found["cpu"], CONTENT["cpu"])
    assert checkpoints.stored_digest(path) == digest
    assert [file.name for file in path.parent.iterdir()] == ["training.pt"]


def test_no_flipped_bit_is_read(path: Path) -> None:
    """Every byte of the head, and 400 places of the rest: weights, random numbers, the archive's own tables."""
    checkpoints.write(path, CONTENT)
    whole = path.read_bytes()
    places = [*range(100), *np.random.default_rng(0).integers(100, len(whole), 400), len(whole) - 1]
    for number, place in enumerate(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << number % 8
        path.write_bytes(flipped)
        with pytest.raises(checkpoints.UnusableCheckpoint):
            checkpoints.read(path)


@pytest.mark.parametrize("kept", [0, 10, 60, 89, 500, -1])
def test_no_cut_file_is_read(path: Path, kept: int) -> None:
    checkpoints.write(path, CONTENT)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(checkpoints.UnusableCheckpoint):
        checkpoints.read(path)


def test_nor_one_that_was_prolonged(path: Path) -> None:
    checkpoints.write(path, CONTENT)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(checkpoints.UnusableCheckpoint, match="was damaged"):
        checkpoints.read(path)


def test_a_plain_torch_archive_is_of_another_version(path: Path) -> None:
    torch.save(CONTENT, path)
    with pytest.raises(checkpoints.UnusableCheckpoint, match="another version"):
        checkpoints.read(path)


def test_a_pickle_behind_a_right_checksum_is_not_loaded(path: Path) -> None:
    checkpoints.write(path, {"harmful": io.StringIO()})
    with pytest.raises(checkpoints.UnusableCheckpoint, match="can't be read by torch"):
        checkpoints.read(path)


class Full:
    """A file on a disk that is full after so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: Any) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self.file.write(data))

    def seek(self, place: int) -> None:
        self.file.seek(place)


@pytest.mark.parametrize("room", [0, 100, 2000])
def test_a_full_disk_is_named_and_leaves_the_last_checkpoint(path: Path, monkeypatch, room: int) -> None:
    checkpoints.write(path, CONTENT)
    before, opened = path.read_bytes(), Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode="r", **how: Full(opened(self, mode, **how), room))
    with pytest.raises(StoreError, match=r"checkpoint can't be written: the disk is full"):
        checkpoints.write(path, CONTENT | {"step": 4})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["training.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_the_systems_own_full_disk_is_named(path: Path) -> None:
    path.with_suffix(".tmp").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="the disk is full"):
        checkpoints.write(path, CONTENT)


# -- in the training loop ---------------------------------------------------------------------------------------------


def fit(folder: Path, stop: int = STEPS, **changes: Any) -> tuple[list[int], list[str], torch.Tensor]:
    """Train, or stop before a step; return the steps taken, what was told, and the weights."""
    told: list[str] = []
    asked = iter(range(10**6))
    fields = {"seed": 3, "budget": Budget(STEPS, 2, 4), "folder": folder, "task": "a" * 64, **changes}
    name = fields.pop("name", "training")
    context = Context(**fields, notify=told.append, should_stop=lambda: next(asked) >= stop)
    noise = loop.prepare_torch(context)
    network = nn.Linear(4, 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    taken: list[int] = []

    def step(number: int) -> dict[str, torch.Tensor]:
        taken.append(number)
        loss = network(torch.randn(2, 4, generator=noise)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"loss": loss}

    parts = {"network": network, "optimiser": optimiser, "noise": noise}
    with contextlib.suppress(Stopped):
        loop.train(context, state=parts, step=step, name=name)
    return taken, told, network.weight.detach().clone()


def test_a_flipped_bit_anywhere_begins_again_and_is_told(tmp_path: Path) -> None:
    _, _, expected = fit(tmp_path / "whole")
    fit(tmp_path, 3)
    path = tmp_path / "training.pt"
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        flipped = bytearray(whole)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        taken, told, weights = fit(tmp_path)
        assert taken == list(range(STEPS))
        assert torch.equal(weights, expected)
        assert len(told) == 1
        assert told[0].startswith("the checkpoint training.pt was damaged")
        assert told[0].endswith("training begins again at step 0")
    path.write_bytes(whole)
    taken, told, weights = fit(tmp_path)
    assert (taken, told) == ([3, 4, 5], [])
    assert torch.equal(weights, expected)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "b" * 64}, "belongs to another training"),
        ({"seed": 4}, "belongs to another training"),
        ({"budget": Budget(STEPS, 3, 4)}, "belongs to another training"),
    ],
)
def test_a_checkpoint_of_another_task_is_not_taken_up(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    fit(tmp_path, 3)
    taken, told, _ = fit(tmp_path, **changes)
    assert taken == list(range(STEPS))
    assert told == [f"the checkpoint training.pt {reason}; training begins again at step 0"]


def test_a_checkpoint_of_another_phase_is_not_taken_up(tmp_path: Path) -> None:
    fit(tmp_path, 3)
    (tmp_path / "training.pt").rename(tmp_path / "second.pt")
    taken, told, _ = fit(tmp_path, name="second")
    assert taken == list(range(STEPS))
    assert "belongs to another training" in told[0]


def test_a_checkpoint_of_another_torch_is_not_taken_up(tmp_path: Path) -> None:
    fit(tmp_path, 3)
    path = tmp_path / "training.pt"
    content = checkpoints.read(path)
    content["run"]["torch"] = "1.9.0"
    checkpoints.write(path, content)
    taken, told, _ = fit(tmp_path)
    assert taken == list(range(STEPS))
    assert "was written with torch 1.9.0, and this is" in told[0]


def test_a_checkpoint_that_fits_in_part_leaves_no_part_behind(tmp_path: Path) -> None:
    """Its network would be taken up, and its optimiser not: that is no beginning."""
    _, _, expected = fit(tmp_path / "whole")
    fit(tmp_path, 3)
    path = tmp_path / "training.pt"
    content = checkpoints.read(path)
    content["state"]["optimiser"]["param_groups"] = []
    checkpoints.write(path, content)
    taken, told, weights = fit(tmp_path)
    assert taken == list(range(STEPS))
    assert "doesn't fit this training" in told[0]
    assert torch.equal(weights, expected)


def test_a_second_phase_begins_again_where_the_first_has_become_another(tmp_path: Path) -> None:
    """It has learned from what the first came to."""
    fit(tmp_path, name="first")
    fit(tmp_path, 3, name="second")
    loop.finished_phases.clear()  # another process
    first = checkpoints.read(tmp_path / "first.pt")
    assert fit(tmp_path, name="first")[0] == []
    assert fit(tmp_path, 0, name="second")[1] == []
    loop.finished_phases.clear()
    first["state"]["network"]["weight"] += 1
    checkpoints.write(tmp_path / "first.pt", first)
    assert fit(tmp_path, name="first")[0] == []
    taken, told, _ = fit(tmp_path, name="second")
    assert taken == list(range(STEPS))
    (note,) = told
    assert "second.pt belongs to another training" in note
