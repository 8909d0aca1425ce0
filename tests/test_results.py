"""Tidy tables, in memory and in a run folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from synthbench import load_results
from synthbench.errors import DataError
from synthbench.results import Results, image_rows, save_results
from synthbench.study import make_study

STUDY = make_study({"datasets": ["discs"], "segmenters": ["unet"]}, "test")


HEAD = {
    "dataset": "d",
    "fold": 0,
    "fraction": 9,
    "arm": "real",
    "generator": "",
    "synthetic": 0,
    "segmenter": "s",
    "generator_seed": None,
    "seed": 0,
}


def results() -> Results:
    scores = {
        "task": "instances",
        "iou": [0.5, 0.75],
        "images": [
            {
                "image": "001",
                "groups": {"well": "07", "cell": "NA"},
                "difficulty": "easy",
                "true": 5,
                "predicted": 6,
                "tp": [4, 2],
                "iou_sum": [3.5, 1.7],
                "dice": 0.875,
            }
        ],
    }
    images = pd.DataFrame([HEAD | row for row in image_rows(scores)])
    runs = pd.DataFrame([HEAD | {"status": "ok", "error": "", "coco_ap": 0.1 + 0.2}])
    tasks = pd.DataFrame([{"kind": "evaluate", "key": "0123", "status": "done"}])
    return Results(STUDY, images, runs, pd.DataFrame(), pd.DataFrame(), tasks)


def test_counts_are_told_by_threshold() -> None:
    rows = results().images
    assert rows[["iou", "tp", "fp", "fn"]].to_numpy().tolist() == [[0.5, 4, 2, 1], [0.75, 2, 4, 3]]


def test_classes_are_told_by_pixels() -> None:
    image = {"image": "a", "groups": {}, "confusion": [[90, 2], [3, 5]], "cldice": 0.5}
    rows = list(image_rows({"task": "semantic", "images": [image]}))
    assert [(r["class"], r["tp"], r["fp"], r["fn"]) for r in rows] == [(0, 90, 3, 2), (1, 5, 2, 3)]
    assert rows[1]["dice"] == pytest.approx(10 / 15)


def test_a_run_folder_gives_back_what_was_saved(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.to_yaml())
    save_results(results(), tmp_path)
    found = load_results(tmp_path)
    assert found.study == STUDY
    assert found.images.loc[0, ["image", "group:well", "group:cell", "generator"]].tolist() == ["001", "07", "NA", ""]
    assert found.images["generator_seed"].isna().all()
    assert found.runs.loc[0, "coco_ap"] == 0.1 + 0.2
    assert found.tasks.loc[0, "key"] == "0123"
    assert found.fidelity.empty


@pytest.mark.parametrize(
    ("table", "content", "line"),
    [
        ("images", "x\n", "images.csv: no column 'dataset'; the file is damaged, run the study again"),
        ("images", None, "images.csv, line 2: iou is 'abc', not a number; run the study again"),
        ("runs", "arm\nreal\n", "runs.csv: no column 'dataset'"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, table: str, content: str | None, line: str) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.to_yaml())
    save_results(results(), tmp_path)
    path = tmp_path / "results" / f"{table}.csv"
    path.write_text(content or path.read_text().replace(",0.5,", ",abc,", 1))
    with pytest.raises(DataError) as error:
        load_results(tmp_path)
    assert line in str(error.value)


@pytest.mark.parametrize(("value", "told"), [("", "missing"), ("-4", "-4"), ("1.5", "1.5")])
def test_what_is_no_count_is_refused(tmp_path: Path, value: str, told: str) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.to_yaml())
    save_results(results(), tmp_path)
    path = tmp_path / "results" / "images.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[1, "tp"] = value
    table.to_csv(path, index=False)
    with pytest.raises(DataError, match=rf"images\.csv, line 3: tp is {told}, not a count of 0 or more"):
        load_results(tmp_path)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no run folder"):
        load_results(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY.to_yaml())
    with pytest.raises(DataError, match=r"images\.csv: is missing"):
        load_results(tmp_path)
