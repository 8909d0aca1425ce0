"""A folder of images with masks on the command line: run, planned and checked by its path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synthbench.cli import main
from synthbench.results import load_results
from synthbench.samples import Sample, SampleSet, write_array
from synthbench.testing import CheckResult

SIDE = 32


def sample(number: int, split: str = "") -> Sample:
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[6:18, 6 + number % 8 : 18 + number % 8] = 1
    image = np.random.default_rng(number).integers(0, 60, (SIDE, SIDE)).astype(np.uint8) + labels * np.uint8(120)
    return Sample(f"{split}{number}", image, labels, {"split": split} if split else {})


def put(folder: Path, count: int) -> None:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(50, 50 + count):
        made = sample(number)
        write_array(folder / "images" / f"{made.id}.png", made.image)
        write_array(folder / "masks" / f"{made.id}.png", made.labels)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    parts = ["train"] * 6 + ["validation"] * 2 + ["test"] * 3
    SampleSet.of([sample(n, part) for n, part in enumerate(parts)]).save(tmp_path / "cells")
    return tmp_path / "cells"


def test_one_line_runs_a_folder_and_says_what_is_not_declared(trial, cells: Path) -> None:
    put(trial.folder / "fakes", 7)
    words = ["--dataset", cells, "--generators", "./fakes", "--segmenters", "threshold", "--encoder", "moments"]
    words += ["--seeds", "2", "--budget", "smoke"]
    plan = trial.call("plan", *words)
    assert "! fakes on cells: training images not declared" in plan.stdout
    run = trial.call("run", *words, "--engine", "serial")
    assert "fakes × 6" in run.stdout
    assert "fakes (cells, 6 real images): training images not declared" in " ".join(run.stdout.split())
    runs = load_results(trial.folder / "runs" / "cells").runs
    assert dict(runs.groupby("arm")["generator_seen"].first()) == {"real": "", "real + fakes × 6": "not declared"}
    board = json.loads(trial.call("leaderboard", "runs/cells", "--format", "json").stdout)
    assert "not declared" in json.dumps(board)
    again = trial.call("run", "runs/cells/study.yaml", "--out", "runs/cells", "--engine", "serial")
    assert "0 to run" in again.stderr


def test_near_copies_of_test_images_are_in_plan_board_and_report_in_one_sentence(trial, cells: Path) -> None:
    put(trial.folder / "fakes", 7)
    write_array(trial.folder / "fakes" / "images" / "50.png", sample(9).image + np.uint8(1))
    words = ["--dataset", cells, "--generators", "./fakes", "--segmenters", "threshold", "--encoder", "moments"]
    words += ["--seeds", "1", "--budget", "smoke"]
    sentence = "fakes on cells: 1 of its images are copies of test images, or nearly"
    assert f"! {sentence}" in trial.call("plan", *words).stdout.splitlines()
    run = trial.call("run", *words, "--engine", "serial")
    board = run.stdout[run.stdout.index("fakes × 6") :]
    assert sentence in " ".join(board.split())
    runs = load_results(trial.folder / "runs" / "cells").runs.set_index("arm")
    assert runs.loc["real + fakes × 6", ["test_copies", "validation_copies"]].tolist() == [1, 0]
    assert runs.loc["real", ["test_copies", "validation_copies"]].isna().all()
    assert sentence in trial.call("leaderboard", "runs/cells", "--format", "md").stdout
    assert sentence in (trial.folder / "runs" / "cells" / "report.html").read_text(encoding="utf-8")


def test_check_takes_a_folder_and_a_dataset(tmp_path: Path, cells: Path, capsys, monkeypatch) -> None:
    put(tmp_path / "fakes", 3)
    monkeypatch.chdir(tmp_path)
    tried = []

    def examine(*given: object) -> list[CheckResult]:
        tried.append(given)
        return []

    monkeypatch.setattr("synthbench.testing.subprocess.iter_contract_in_subprocess", examine)
    assert main(["check", "fakes", "--dataset", "cells", "--config", "trust_masks=true"]) == 0
    assert tried == [("generator", "ready-made", {"path": "fakes", "trust_masks": "true"}, Path("cells"))]
    (tmp_path / "unet").mkdir()
    assert main(["check", "unet"]) == 0
    assert tried[1][:2] == ("segmenter", "unet")
    assert main(["check", "classic", "--dataset", "cells"]) == 2
    assert "--dataset cells" in capsys.readouterr().err


def test_what_a_check_found_is_printed_where_it_passed(capsys, monkeypatch) -> None:
    results = [CheckResult("one", "It learns", "passed", "3 images")]
    monkeypatch.setattr("synthbench.testing.subprocess.iter_contract_in_subprocess", lambda *_: iter(results))
    assert main(["check", "duplicate"]) == 0
    assert "  ✓ It learns: 3 images" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("kind", ["missing folder", "empty folder", "unknown key", "dangling link"])
def test_an_error_names_the_generator_by_its_label_and_the_file(trial, cells: Path, kind: str) -> None:
    folder = trial.folder / "fakes"
    named = str(folder)
    config = {"path": str(folder)}
    if kind == "empty folder":
        folder.mkdir()
    elif kind != "missing folder":
        put(folder, 7)
    if kind == "unknown key":
        config["wite"], named = 3, "wite"
    elif kind == "dangling link":
        link = folder / "images" / "52.png"
        link.unlink()
        link.symlink_to("nowhere.png")
        named = f"{link}: can't be read"
    own = {"name": "ready-made", "label": "mytool", "config": config}
    done = trial.call("plan", trial.study(datasets=[str(cells)], generators=[own]), code=2)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("synthbench: error: generator 'mytool': ")
    assert named in last
    assert "ready-made" not in last
