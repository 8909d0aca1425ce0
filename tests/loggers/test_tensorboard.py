"""A run with TensorBoard, read back by TensorFlow; and loggers that fail."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from helpers.blobs import blobs
from synthbench.errors import ConfigError, PluginError
from synthbench.loggers.choosing import make_loggers
from synthbench.runner import Machine, run_study
from synthbench.samples import SampleSet
from synthbench.store import Store
from synthbench.study.model import load_study


def study(data: Path) -> dict[str, object]:
    """A U-Net of few features and steps, and a generator that trains as briefly."""
    return {
        "name": "logged",
        "datasets": [str(data)],
        "generators": [{"name": "pix2pix", "config": {"ngf": 4, "ndf": 4, "num_downs": 3}}],
        "segmenters": [{"name": "unet", "seeds": 1, "config": {"features": [4, 4, 4, 4, 4, 4]}}],
        "synthetic": [2],
        "encoder": "untrained",
        "budget": {"name": "smoke", "steps": 6, "patch_size": 32},
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logged") / "blobs"
    SampleSet.of([blobs(seed) for seed in range(8)], name="blobs").save(folder)
    return folder


def run(data: Path, folder: Path, store: Path, *names: str, config: dict[str, object] | None = None):
    loggers = make_loggers(names, config or {})
    console = Console(file=(folder.parent / "said.txt").open("w"), markup=False, width=400)
    return run_study(
        load_study(study(data)), Store(store), folder, Machine("serial", device="cpu"), console, loggers=loggers
    )


@pytest.fixture(scope="module")
def logged(data: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tensorboard")
    return run(data, folder / "run", folder / "store", "tensorboard")


def read(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Return the steps and values of each tag: numbers, and pictures."""
    tensorflow = pytest.importorskip("tensorflow")
    found: dict[str, list[tuple[int, Any]]] = {}
    for path in sorted(folder.glob("events.out.*")):
        for event in tensorflow.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                content = value.simple_value
                if value.HasField("image"):
                    content = Image.open(io.BytesIO(value.image.encoded_image_string))
                found.setdefault(value.tag, []).append((event.step, content))
    return found


def folder_of(ran, task) -> Path:
    (found,) = (ran.folder / "logs" / "tensorboard" / task.kind).glob(f"*{task.key[:8]}")
    return found


@pytest.mark.slow
def test_event_files_have_the_losses_of_the_training_logs(logged) -> None:
    seen = 0
    for task in logged.plan.tasks.values():
        if task.kind not in ("fit-generator", "fit-segmenter"):
            continue
        events = read(folder_of(logged, task))
        for path in (logged.store.folder(task.kind, task.key) / "log").glob("*.jsonl"):
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            assert rows
            for name in set(rows[0]) - {"step"}:
                steps, values = zip(*events[f"{path.stem}/{name}"], strict=True)
                assert list(steps) == [row["step"] for row in rows]
                np.testing.assert_allclose(values, [row[name] for row in rows], rtol=1e-6)
                seen += 1
    assert seen >= 4


@pytest.mark.slow
def test_event_files_have_the_pictures_and_the_scores(logged) -> None:
    (fit,) = (task for task in logged.plan.tasks.values() if task.kind == "fit-generator")
    events = read(folder_of(logged, fit))
    kept = sorted((logged.store.folder(fit.kind, fit.key) / "log").glob("*.png"))
    (images,) = (values for values in events.values() if isinstance(values[0][1], Image.Image))
    assert [step for step, _ in images] == [int(path.stem.rpartition("-")[2]) for path in kept]
    with Image.open(kept[-1]) as picture:
        np.testing.assert_array_equal(images[-1][1].convert("RGB"), picture.convert("RGB"))
    (draw,) = (task for task in logged.plan.tasks.values() if task.kind == "draw")
    assert [step for step, _ in read(folder_of(logged, draw))["samples"]] == [0]
    board = logged.table().set_index("arm")["f1@mean"]
    for run in logged.plan.training_runs:
        ((_, score),) = read(folder_of(logged, logged.plan.tasks[run.evaluate]))["f1/mean"]
        assert score == pytest.approx(board[run.arm])


@pytest.mark.slow
def test_keys_and_results_are_those_of_a_run_without_loggers(logged, data: Path, tmp_path: Path) -> None:
    plain = run(data, tmp_path / "run", tmp_path / "store")
    assert not (plain.folder / "logs").exists()
    assert set(plain.plan.tasks) == set(logged.plan.tasks)
    for task in plain.plan.tasks.values():
        if task.kind == "fit-segmenter":
            weights = [
                (each.store.folder(task.kind, task.key) / "model" / "network.safetensors").read_bytes()
                for each in (plain, logged)
            ]
            assert weights[0] == weights[1]


def test_tensorflow_is_not_loaded_even_if_it_is_installed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from synthbench import Config, LoggedRun, LoggedTask\n"
        "from synthbench.loggers.tensorboard import TensorBoard\n"
        "logger = TensorBoard(Config()); logger.start(LoggedRun('a', Path(sys.argv[1])))\n"
        "logger.scalars(LoggedTask('0' * 64, 'evaluate', 'a', 'b'), 0, {'x': 1.0}); logger.finish('finished')\n"
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
    assert list(tmp_path.glob("evaluate/*/events.out.*"))


def test_what_can_not_be_logged_to_is_refused_before_anything_runs() -> None:
    with pytest.raises(PluginError, match="tensorboard"):
        make_loggers(["tensorbord"], {})
    with pytest.raises(ConfigError, match=r"--log-option speed=2: no logger takes this; tensorboard take none"):
        make_loggers(["tensorboard"], {"speed": "2"})
    with pytest.raises(ConfigError, match="given twice"):
        make_loggers(["tensorboard", "tensorboard"], {})
    assert make_loggers([], {}) == []
