"""Tidy tables, in memory and in a run folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from synthbench import load_results
from synthbench.errors import DataError
from synthbench.results import TABLES, Results, image_rows, save_results, split_groups, unmodelled_groups, with_units
from synthbench.study.model import make_study

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
                "pq_tp": 4,
                "pq_iou_sum": 3.5,
                "aji_shared": 70,
                "aji_union": 100,
                "aji_plus_shared": 70,
                "aji_plus_union": 90,
                "prediction": "0123456789abcdef",
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
    image = {"image": "a", "groups": {}, "confusion": [[90, 2], [3, 5]], "cldice": 0.5, "prediction": "ab"}
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
        ("images", "x\n", "images.csv: no column 'dataset'"),
        ("images", None, "images.csv, line 2: iou is 'abc'"),
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


def many(tmp_path: Path) -> pd.DataFrame:
    """Save two trainings on two images at three thresholds, and two classes of a semantic set; return the images."""
    rows = []
    for seed in (0, 1):
        for image, true in (("a", 9), ("b", 4)):
            whole = {"aji_shared": 50, "aji_union": 80, "aji_plus_shared": 50, "aji_plus_union": 70}
            tp = [3, 2, 1 + seed]
            scores = {"image": image, "groups": {}, "difficulty": "easy", "true": true, "predicted": 5, "tp": tp}
            scores |= {"iou_sum": [0.95 * n for n in tp], "dice": 0.75, "pq_tp": 3, "pq_iou_sum": 2.85, **whole}
            scores |= {"prediction": f"{seed}{image}"}
            lines = image_rows({"task": "instances", "iou": [0.5, 0.75, 0.9], "images": [scores]})
            rows += [HEAD | {"seed": seed} | line for line in lines]
        pixels = {"image": "c", "groups": {}, "confusion": [[90 - seed, 2 + seed], [3, 5]], "cldice": 0.5}
        lines = image_rows({"task": "semantic", "images": [pixels | {"prediction": f"{seed}c"}]})
        rows += [HEAD | {"seed": seed, "dataset": "lines"} | line for line in lines]
    images = pd.DataFrame(rows)
    runs = images[list(HEAD)].drop_duplicates().assign(status="ok", error="", coco_ap=0.3)
    lost = runs[:1].assign(seed=2, status="failed", coco_ap=None)
    label_consistency = (
        images[images["seed"] == 0].drop(columns=["arm", "synthetic"]).assign(generator="g", generator_seed=0)
    )
    tasks = results().tasks
    (tmp_path / "study.yaml").write_text(STUDY.to_yaml())
    save_results(Results(STUDY, images, pd.concat([runs, lost]), pd.DataFrame(), label_consistency, tasks), tmp_path)
    return images


WAY_OUT = "collect it anew from the store: synthbench run"


@pytest.mark.parametrize("table", ["images", "label_consistency"])
@pytest.mark.parametrize(
    ("line", "column", "value", "told"),
    [
        (4, "tp", 2, "line 4: tp 2 and fn 8"),
        (3, "fn", 9, "line 3: tp 2 and fn 9"),
        (2, "fp", 1, "line 2: tp 3 and fp 1"),
        (3, "dice", 0.8, "line 3: dice of image 'a'"),
        (2, "dice", 1.8, "line 2: dice is 1.8"),
        (2, "iou_sum", 3.5, "line 2: iou_sum 3.5"),
        (4, "iou_sum", 0.5, "line 4: iou_sum 0.5"),
        (2, "aji_shared", 90, "line 2: aji_shared 90 can't go with aji_union 80"),
        (2, "pq_iou_sum", 1, "line 2: pq_iou_sum 1 can't go with pq_tp 3"),
        (3, "iou", 0.5, "line 3: image 'a' occurs twice"),
        (8, "fn", 7, "line 8: true and predicted pixels"),
        (9, "dice", 0.5, "line 9: dice 0.5 isn't that of its pixels"),
        (2, "prediction", "x", "isn't that of its other thresholds"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(
    tmp_path: Path, table: str, line: int, column: str, value: object, told: str
) -> None:
    many(tmp_path)
    edit(tmp_path / "results" / f"{table}.csv", {(line, column): value}, told)


def test_counts_that_contradict_other_rows_are_refused(tmp_path: Path) -> None:
    many(tmp_path)
    path = tmp_path / "results" / "images.csv"
    more = {(4, "tp"): 3, (4, "fn"): 6, (4, "fp"): 2, (4, "iou_sum"): 2.85}
    edit(path, more, "line 4: tp of image 'a' rises with the IoU threshold")
    fewer = {(line, name): value for line in (2, 3, 4) for name, value in (("true", 8), ("fn", 8 - (5 - line)))}
    edit(path, fewer, "image 'a' has another truth in other trainings")
    pixels = {(8, "tp"): 89, (8, "fp"): 4, (9, "fn"): 4, (8, "dice"): 178 / 184, (9, "dice"): 10 / 16}
    edit(path, pixels, "image 'c' has another truth in other trainings")


def edit(path: Path, changes: dict[tuple[int, str], object], told: str) -> None:
    """Change cells by line and column, expect the refusal, and put the file back."""
    before = path.read_bytes()
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for (line, column), value in changes.items():
        table.loc[line - 2, column] = str(value)
    table.to_csv(path, index=False)
    with pytest.raises(DataError) as error:
        load_results(path.parents[1])
    assert told in str(error.value)
    assert str(error.value).startswith(str(path))
    assert WAY_OUT in str(error.value)
    path.write_bytes(before)
    load_results(path.parents[1])


def test_an_edit_that_contradicts_nothing_is_refused_too(tmp_path: Path) -> None:
    """A training made better on all images, and a score that stands alone."""
    images = many(tmp_path)
    better = images.assign(dice=images["dice"].where(images["iou"].isna(), 0.8))
    before = {name: (tmp_path / "results" / f"{name}.csv").read_bytes() for name in TABLES}
    for name, table in (("images", better), ("runs", None), ("tasks", None)):
        path = tmp_path / "results" / f"{name}.csv"
        if table is None:
            path.write_text(path.read_text().replace("0.3", "0.9").replace("0123", "0124"))
        else:
            table.to_csv(path, index=False)
        with pytest.raises(DataError, match=rf"{name}\.csv: was changed since the run wrote it; {WAY_OUT}"):
            load_results(tmp_path)
        path.write_bytes(before[name])
    load_results(tmp_path)
    (tmp_path / "results" / "seal.json").write_text("{}")
    with pytest.raises(DataError, match=r"seal\.json: can't be read"):
        load_results(tmp_path)
    (tmp_path / "results" / "seal.json").unlink()
    with pytest.raises(DataError, match=r"seal\.json: is missing"):
        load_results(tmp_path)


def test_rows_that_were_taken_out_are_missed(tmp_path: Path) -> None:
    images = many(tmp_path)
    path = tmp_path / "results" / "images.csv"
    images[images["seed"] == 0].to_csv(path, index=False)
    with pytest.raises(DataError, match=r"images\.csv and runs\.csv contradict each other: 2 trainings"):
        load_results(tmp_path)
    images.assign(seed=images["seed"] * 2).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"2 trainings that are done according to runs\.csv"):
        load_results(tmp_path)
    pd.concat([images, images[images["seed"] == 0].assign(seed=2)]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"runs\.csv contradict each other"):
        load_results(tmp_path)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no run folder"):
        load_results(tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(DataError, match=r"stopped .*synthbench run.* resumes") as raised:
        load_results(tmp_path)
    assert str(tmp_path) in str(raised.value)
    (tmp_path / "study.yaml").write_text(STUDY.to_yaml())
    with pytest.raises(DataError, match=r"images\.csv: is missing"):
        load_results(tmp_path)


# -- images that belong together ------------------------------------------------------------------------------------


def of_wells() -> pd.DataFrame:
    wells = {"1": "a", "2": "a", "3": "b", "4": "b", "5": ""}
    rows = [
        HEAD | {"image": i, "iou": iou, "group:well": w, "group:site": i} for i, w in wells.items() for iou in (5, 7)
    ]
    return pd.DataFrame(rows).assign(**{"group:plate": "p", "group:half": lambda t: (t["image"] > "3").map(str)})


def test_the_units_are_the_group_that_the_split_keeps_together() -> None:
    study = make_study({"datasets": [{"name": "in/d", "split": {"group": "well"}}], "segmenters": ["unet"]}, "test")
    assert split_groups(study) == {"d": "well"}
    frame = pd.concat([of_wells(), of_wells().assign(dataset="e")], ignore_index=True)
    found = with_units(frame, split_groups(study))
    assert found.loc[found["dataset"] == "d", "unit"].unique().tolist() == ["a", "b", ""]
    assert set(found.loc[found["dataset"] == "e", "unit"]) == {""}
    for nothing in ({}, {"d": "patient"}):
        assert "unit" not in with_units(found, nothing)


def test_a_run_folder_without_units_gets_them_from_its_study(tmp_path: Path) -> None:
    study = make_study({"datasets": [{"name": "d", "split": {"group": "well"}}], "segmenters": ["unet"]}, "test")
    (tmp_path / "study.yaml").write_text(study.to_yaml())
    save_results(results(), tmp_path)
    assert load_results(tmp_path).images["unit"].tolist() == ["07", "07"]


def test_groups_that_images_share_are_told_unless_they_are_units() -> None:
    """Not those of one value or two, nor of one image each, nor any where the split names a group."""
    frame = of_wells()
    assert unmodelled_groups(frame) == {}
    frame = pd.concat([frame, frame.assign(**{"image": "more " + frame["image"], "group:well": "c"})])
    assert unmodelled_groups(frame) == {"site": 5, "well": 3}
    assert unmodelled_groups(with_units(frame, {"d": "half"})) == {}
    assert unmodelled_groups(frame[list(HEAD)]) == {}
