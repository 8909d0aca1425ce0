"""What loggers are given, and what becomes of those that fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import synthbench
from synthbench.engine.base import Event, Outcome
from synthbench.loggers import feeding
from synthbench.loggers._training_logs import TrainingLogReader
from synthbench.loggers.feeding import LoggerFeed
from synthbench.store import Store
from synthbench.study.plan import Task


class Notebook(synthbench.Logger):
    """Keeps what it hears; fails at a step, if it is to."""

    def __init__(self, config: synthbench.Config, fails_at: int = -1) -> None:
        super().__init__(config)
        self.heard: list[tuple[Any, ...]] = []
        self.fails_at = fails_at

    def start(self, run: synthbench.LoggedRun) -> None:
        self.heard.append(("start", run.name, run.folder.name))

    def scalars(self, task: synthbench.LoggedTask, step: int, values: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise ConnectionError("the server\nis away")
        self.heard.append((task.label, step, dict(values)))

    def image(self, task: synthbench.LoggedTask, step: int, name: str, image: np.ndarray) -> None:
        self.heard.append((task.label, step, name, image.shape))

    def finish(self, status: str) -> None:
        self.heard.append(("finish", status))


TASK = Task("fit-generator", "a" * 64, {}, (), {}, "pix2pix", "pix2pix")


def write_log(folder: Path, steps: range, torn: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"step": step, "loss": step / 10, "bad": float("nan")}) for step in steps]
    (folder / "training.jsonl").write_text("\n".join(rows) + "\n" + torn)


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feeding, "EVERY", 0.0)
    store, said = Store(tmp_path / "store"), []

    def make(*loggers: Notebook) -> LoggerFeed:
        named = [(f"log{i}", logger) for i, logger in enumerate(loggers)]
        made = LoggerFeed(named, "study", tmp_path / "run", store, 0.5, said.append)
        made.begin(SimpleNamespace(tasks={TASK.key: TASK}))  # type: ignore[arg-type]
        return made

    return make, store, said


def test_each_loss_and_picture_is_given_once_while_it_trains_and_when_it_is_done(feed) -> None:
    make, store, _ = feed
    logger = Notebook(synthbench.Config())
    work = store.root / ".work" / f"fit-generator-{TASK.key}" / "log"
    with make(logger) as listen:
        listen(Event(TASK.key, "fit", 1, 8))
        write_log(work, range(0, 4, 2), torn='{"step": 4, "lo')
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(work / "training-000002.png")
        (work / "training-000004.png").write_bytes(b"half a picture")
        listen(Event(TASK.key, "fit", 3, 8))
        listen(Event(TASK.key, "fit", 3, 8))
        kept = store.folder("fit-generator", TASK.key) / "log"
        write_log(kept, range(0, 8, 2))
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(kept / "training-000004.png")
        listen(Outcome(TASK.key, "done"))
    assert logger.heard == [
        ("start", "study", "log0"),
        ("pix2pix", 0, {"training/loss": 0.0}),
        ("pix2pix", 2, {"training/loss": 0.2}),
        ("pix2pix", 2, "training", (4, 6, 3)),
        ("pix2pix", 4, {"training/loss": 0.4}),
        ("pix2pix", 6, {"training/loss": 0.6}),
        ("pix2pix", 4, "training", (4, 6, 3)),
        ("finish", "finished"),
    ]


def test_a_logger_that_fails_is_left_out_and_named_once(feed) -> None:
    make, store, said = feed
    failing, other = Notebook(synthbench.Config(), fails_at=1), Notebook(synthbench.Config())
    write_log(store.folder("fit-generator", TASK.key) / "log", range(4))

    def stopped() -> None:
        with make(failing, other) as listen:
            listen(Outcome(TASK.key, "done"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert said == ["--log log0: ConnectionError: the server is away; nothing more is logged with it"]
    assert [entry[1] for entry in failing.heard] == ["study", 0]
    assert [entry[1] for entry in other.heard] == ["study", 0, 1, 2, 3, "stopped"]


@pytest.mark.parametrize("line", ["[1]", "{", '{"loss": 1}', '{"step": "x"}', '{"step": 1e400, "loss": 1}', "7"])
def test_damaged_rows_are_left_out(line: str, tmp_path: Path) -> None:
    (tmp_path / "training.jsonl").write_text(f'{line}\n{{"step": 3, "loss": 0.5}}\n')
    assert list(TrainingLogReader().losses(tmp_path)) == [(3, {"training/loss": 0.5})]
