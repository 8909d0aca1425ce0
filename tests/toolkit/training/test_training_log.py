"""The log of a training: the same with and without an interruption, and of no effect on what is learned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from synthbench import Budget, Context, Sample, Stopped
from synthbench.errors import StoreError
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.training_log import MAX_LOSS_ROWS, PREVIEWS, TrainingLog, preview_of

STEPS = 450


def learn(folder: Path | None, *, stop: int | None = None, every: float = 20.0, steps: int = STEPS) -> nn.Linear:
    asked = iter(range(10**6))
    context = Context(
        seed=5,
        budget=Budget(steps, 2, 8),
        folder=folder,
        should_stop=lambda: stop is not None and next(asked) >= stop,
    )
    noise = loop.prepare_torch(context)
    network = nn.Linear(2, 1)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)

    def step(number: int) -> dict[str, torch.Tensor]:
        x = torch.randn(4, 2, generator=noise)
        loss = ((network(x) - x.sum(dim=1, keepdim=True)) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"loss": loss, **({"rare": loss * 2} if number % 30 == 0 else {})}

    def draw() -> list[Sample]:
        grey = np.full((16, 16), int(abs(float(network.weight.detach().sum())) * 100) % 256, np.uint8)
        return [Sample("0", grey, np.zeros((16, 16), np.uint8))]

    parts = {"network": network, "optimiser": optimiser, "noise": noise}
    loop.train(context, state=parts, step=step, checkpoint_seconds=every, preview=draw)
    return network


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "log").iterdir())}


def test_losses_and_pictures_are_kept_and_readable(tmp_path: Path) -> None:
    learn(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log" / "training.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [*range(0, STEPS, 3), STEPS - 1][: len(rows)]
    assert rows[-1]["step"] == STEPS - 1
    assert len(rows) <= MAX_LOSS_ROWS + 1
    assert rows[0]["rare"] == 2 * rows[0]["loss"]
    assert rows[-1]["loss"] < rows[0]["loss"]
    pictures = sorted((tmp_path / "log").glob("*.png"))
    assert [int(path.stem.rpartition("-")[2]) for path in pictures] == [STEPS * k // PREVIEWS for k in range(1, 6)]
    assert Image.open(pictures[0]).size[0] > 100


def test_an_interrupted_training_leaves_the_same_log_and_weights(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole")
    with pytest.raises(Stopped):
        learn(tmp_path / "parts", stop=200)
    with (tmp_path / "parts" / "log" / "training.jsonl").open("a") as file:
        file.write('{"step": 207, "loss": 1.0}\n{"step": 2')  # what a run killed after its checkpoint had written
    rest = learn(tmp_path / "parts")
    assert torch.equal(whole.weight, rest.weight)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert torch.equal(learn(None).weight, whole.weight), "without a log it learns the same"


def test_fewer_steps_than_pictures_are_no_trouble(tmp_path: Path) -> None:
    learn(tmp_path, steps=2)
    assert sorted(files(tmp_path)) == ["training-000001.png", "training-000002.png", "training.jsonl"]


def test_a_log_that_cannot_be_written_is_said_by_name(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(StoreError, match=r"log: the log can't be written"):
        TrainingLog(Context(folder=tmp_path), "training", 10)


def test_drawing_amid_training_leaves_the_networks_as_they_were() -> None:
    network, still = nn.Dropout(), nn.Dropout().eval()
    seen = []

    class Draws:
        def sample_batch(self, indices: range, seed: int) -> list[Sample]:
            seen.append((indices, seed, network.training, still.training))
            return []

    preview_of(Draws(), 7, network, still)()
    assert seen == [(range(3), 7, False, False)]
    assert (network.training, still.training) == (True, False)


def test_nothing_is_drawn_of_networks_that_are_broken(tmp_path: Path) -> None:
    network = nn.Linear(1, 1)

    def step(number: int) -> dict[str, torch.Tensor]:
        nn.init.constant_(network.weight, float("nan"))
        return {"loss": torch.zeros(())}

    def draw() -> list[Sample]:
        raise AssertionError("drawn")

    context = Context(budget=Budget(1, 1, 8), folder=tmp_path)
    with pytest.raises(loop.Diverged, match="network has weights that aren't finite"):
        loop.train(context, state={"network": network}, step=step, preview=draw)


@pytest.mark.parametrize("line", ["{", '{"step": "x"}', "[3]", '{"stop": 3}', "\udcff", "null"])
def test_a_damaged_line_of_losses_is_dropped_and_stops_no_training(tmp_path: Path, line: str) -> None:
    with pytest.raises(Stopped):
        learn(tmp_path, stop=90)
    log = tmp_path / "log" / "training.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    rows[4] = line.encode("utf-8", "surrogateescape") + b"\n"
    log.write_bytes(b"".join(rows))
    learn(tmp_path)
    assert [json.loads(text)["step"] for text in log.read_text().splitlines()][:6] == [0, 3, 6, 9, 15, 18]
