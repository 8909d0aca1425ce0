"""Do the tables of a bundle agree with its trainings, its images and one another?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from synthbench import leaderboard
from synthbench.bundle import layout
from synthbench.bundle.contents import TRAINING, Contents, training_of
from synthbench.bundle.findings import Findings, same
from synthbench.bundle.reading import BundleFile, parse_json
from synthbench.metrics.matching import IOU_THRESHOLDS
from synthbench.results import GROUP, SCRATCH
from synthbench.results.sums import whole_images
from synthbench.samples import SampleSet

__all__ = ["IMAGES", "RUNS", "TASKS", "check_leaderboard", "check_tables", "label_of", "rows_by_training"]

IMAGES, RUNS, TASKS, FIDELITY, CONSISTENCY = (
    layout.table_file(name) for name in ("images", "runs", "tasks", "fidelity", "label_consistency")
)
_DONE = ("done", "stored")
_LOST = "missing"
_DIFFICULTIES = ("easy", "hard")


def label_of(row: Mapping[str, Any] | pd.Series) -> str:
    """Return what a training is called in messages."""
    where = "" if row["tested_on"] == row["dataset"] else f", tested on {row['tested_on']}"
    drawn = row["generator_seed"]
    seeds = "" if drawn is None or drawn != drawn else f", generator seed {int(drawn)}"
    return (
        f"{row['segmenter']} on {row['arm']}{seeds}, seed {int(row['seed'])}, {row['dataset']} fold {int(row['fold'])} "
        f"with {int(row['fraction'])} images{where}"
    )


def rows_by_training(table: pd.DataFrame) -> dict[tuple[Any, ...], pd.DataFrame]:
    """Return the rows of each training, by `training_of`."""
    groups = table.groupby(list(TRAINING), sort=False, dropna=False).indices
    return {training_of(table.iloc[places[0]]): table.iloc[places] for places in groups.values()}


def check_tables(contents: Contents, findings: Findings) -> None:
    """Compare tables with trainings, test images, plan, and the sums of their own counts."""
    with findings.check(RUNS, "tables have all trainings, on the test images of the splits"):
        runs = rows_by_training(contents.results.runs)
        images = rows_by_training(contents.results.images)
        rows = {training_of(row): row for row in contents.trainings}
        for name, found in ((RUNS, runs), (IMAGES, images)):
            for key in rows.keys() - found.keys():
                findings.add(name, f"lacks {label_of(rows[key])}")
            for key in found.keys() - rows.keys():
                findings.add(name, f"has {label_of(found[key].iloc[0])}, expected only trainings of {layout.SOURCES}")
        for key, row in rows.items():
            if key in runs:
                _check_run(contents, row, runs[key].iloc[0], findings)
            if key in images:
                _check_images(contents, row, images[key], findings)
    with findings.check(RUNS, "PQ, AJI and AJI+ follow from the counts per image"):
        images = rows_by_training(contents.results.images)
        for key, table in rows_by_training(contents.results.runs).items():
            first = table.iloc[0]
            for name, expected in (whole_images(images[key]) if key in images else {}).items():
                findings.expect(RUNS, f"{label_of(first)}: {name}", float(first[name]), expected)
    with findings.check(RUNS, "times aren't negative, and groups are those of the datasets"):
        _check_times_and_groups(contents, findings)
    with findings.check(TASKS, "tasks of the tables are those of the plan"):
        _check_tasks(contents, findings)
    with findings.check(CONSISTENCY, "fidelity and label consistency are of the study's synthetic sets"):
        _check_synthetic(contents, findings)


def _check_run(contents: Contents, row: Mapping[str, Any], found: pd.Series, findings: Findings) -> None:
    """What the row of a training says of itself is what study, plan and sources ask for."""
    label = label_of(row)
    scale = contents.plan[row["fit"]]["content"].get("scale")
    expected = {name: row[name] for name in ("synthetic_ratio", "schedule", "init")}
    expected["scale"] = scale["factor"] if scale else 1.0
    if row["init"] == SCRATCH:
        expected["weights_seen"] = ""
    for name, value in expected.items():
        findings.expect(RUNS, f"{label}: {name}", _plain(found[name]), value)
    tasks = [contents.plan[row[name]]["content"] for name in ("fit", "evaluate", "fit_generator", "draw") if row[name]]
    planned = {str(task["compute"]["device"]).partition(":")[0] for task in tasks if "compute" in task}
    for part in str(found["device"]).split(", "):
        if part.partition(" ")[0] not in planned:
            findings.add(
                RUNS, f"{label}: device is {part!r}, expected {' or '.join(sorted(planned))} as in {layout.PLAN}"
            )


def _check_times_and_groups(contents: Contents, findings: Findings) -> None:
    tables = ((RUNS, contents.results.runs), (TASKS, contents.results.tasks), (IMAGES, contents.results.images))
    for file, table in tables:
        for name in [each for each in table if str(each).endswith("seconds")]:
            if (lowest := pd.to_numeric(table[name], errors="coerce").min()) < 0:
                findings.add(file, f"{name} is {lowest:g} somewhere, expected 0 or more")
    groups = {name for samples in contents.datasets.values() for entry in samples.entries for name in entry.groups}
    for file, table in tables:
        for name in [str(each) for each in table if str(each).startswith(GROUP)]:
            if name.removeprefix(GROUP) not in groups:
                findings.add(file, f"has the column {name[:80]!r}, which is no group of {layout.SOURCES}")


def _check_tasks(contents: Contents, findings: Findings) -> None:
    """Every task is one of the plan, and has a result."""
    tasks = contents.results.tasks
    for row in tasks.to_dict("records"):
        key = str(row["key"])
        planned = contents.plan.get(key)
        if planned is None:
            findings.add(TASKS, f"has the task {key[:12]}, expected one of {layout.PLAN}")
            continue
        lost = planned["kind"] in layout.INTERMEDIATE and row["status"] == _LOST
        expected = {"kind": planned["kind"], "label": planned["label"], "stored": not lost}
        expected |= {"stage": "", "error": "", "traceback": ""}
        if "plugin" in planned["content"]:
            expected["plugin"] = planned["content"]["plugin"]["name"]
        for name, value in expected.items():
            findings.expect(TASKS, f"{name} of task {key[:12]}", _plain(row[name]), value)
        if row["status"] not in _DONE and not lost:
            findings.add(TASKS, f"status of task {key[:12]} is {row['status']!r}, expected {' or '.join(_DONE)}")
    if contents.study.decide is None:
        for key in sorted(contents.plan.keys() - set(tasks["key"])):
            findings.add(TASKS, f"lacks the planned task {key[:12]} ({contents.plan[key]['label']})")


def _check_synthetic(contents: Contents, findings: Findings) -> None:
    """Tables about synthetic images are of drawings and segmenters of the study, and every planned one is there."""
    set_names = ["dataset", "fold", "fraction", "generator", "generator_seed"]
    known = {tuple(row[name] for name in set_names) for row in contents.trainings if row["draw"]}
    segmenters = {(row["segmenter"], row["seed"]) for row in contents.trainings}
    for file, table in ((FIDELITY, contents.results.fidelity), (CONSISTENCY, contents.results.label_consistency)):
        for row in table.drop_duplicates(set_names).to_dict("records") if len(table) else ():
            if tuple(_plain(row[name]) for name in set_names) not in known:
                shown = ", ".join(f"{name} {row[name]}" for name in set_names)
                findings.add(file, f"has a synthetic set ({shown}), expected one of {layout.SOURCES}")
    table = contents.results.label_consistency
    by_segmenter = [*set_names, "segmenter", "seed"]
    groups = table.groupby(by_segmenter, dropna=False).indices if len(table) else {}
    for places in groups.values():
        rows = table.iloc[places]
        first = rows.iloc[0]
        if (first["segmenter"], int(first["seed"])) not in segmenters:
            shown = f"segmenter {first['segmenter']!r} of seed {first['seed']}"
            findings.add(CONSISTENCY, f"has {shown}, expected one of {layout.SOURCES}")
        left = len(rows) % rows["image"].nunique()
        findings.expect(CONSISTENCY, f"rows of {first['generator']} that belong to no image", left, 0)
    tasks = contents.results.tasks
    evaluated = {key for kind, key in zip(tasks["kind"], tasks["key"], strict=True) if kind == "evaluate"}
    planned = [key for key in evaluated if "synthetic" in contents.plan.get(key, {"content": {}})["content"]]
    if len(groups) < len(planned):  # more where generators that are the same under two labels share an evaluation
        found, expected = len(groups), len(planned)
        findings.add(CONSISTENCY, f"evaluations on synthetic images are {found}, expected at least {expected}")


def _check_images(contents: Contents, row: Mapping[str, Any], table: pd.DataFrame, findings: Findings) -> None:
    label, ids = label_of(row), contents.test_ids(row)
    found = set(table["image"])
    for name in sorted(found - set(ids)):
        findings.add(IMAGES, f"{label}: has the image {name!r}, expected test images of the split only")
    for name in sorted(set(ids) - found):
        findings.add(IMAGES, f"{label}: lacks the test image {name!r}")
    samples = contents.datasets[row["tested_on"]]
    _check_parts(label, samples, table, findings)
    first = table.drop_duplicates("image").set_index("image")
    every = contents.study.border_objects == "include"
    for name in [name for name in ids if name in found]:
        entry = samples.entries[samples.position(name)]
        if "true" in first and every and not entry.ignored:
            findings.expect(IMAGES, f"{label}: true of image {name!r}", int(first["true"][name]), entry.objects)
        if "difficulty" in first and first["difficulty"][name] not in _DIFFICULTIES:
            findings.add(
                IMAGES, f"{label}: difficulty of image {name!r} is {first['difficulty'][name]!r}, expected easy or hard"
            )
        for group, value in entry.groups.items():
            if group != "split" and f"{GROUP}{group}" in first:
                shown = first[f"{GROUP}{group}"][name]
                findings.expect(IMAGES, f"{label}: group {group} of image {name!r}", shown, value)


def _check_parts(label: str, samples: SampleSet, table: pd.DataFrame, findings: Findings) -> None:
    """Each image has a row per IoU threshold, or per class."""
    part, every = ("iou", IOU_THRESHOLDS) if samples.task == "instances" else ("class", range(len(samples.classes)))
    expected = sorted(float(value) for value in every)
    for name, rows in table.groupby("image"):
        if sorted(rows[part].astype(float)) != expected:
            findings.add(IMAGES, f"{label}: image {name!r} has {len(rows)} rows, expected one for each {part}")


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return "" if isinstance(value, float) and value != value else value


def check_leaderboard(file: BundleFile, contents: Contents, findings: Findings) -> None:
    """Compute statistics and leaderboard again, and compare every number."""
    name = layout.LEADERBOARD
    with findings.check(name, "statistics computed again: the leaderboard is the one of the bundle"):
        written = file.json(name)
        text = leaderboard.as_json(leaderboard.table(contents.results))
        if file.read(name) == text.encode():
            return
        expected = parse_json(text.encode(), name)
        findings.expect(name, "number of rows", len(written["rows"]), len(expected["rows"]))
        for number, (row, right) in enumerate(zip(written["rows"], expected["rows"], strict=False), 1):
            where = f"row {number} ({right['segmenter']}, {right['arm']})"
            for column in right.keys() | row.keys():
                findings.expect(name, f"{where}: {column}", row.get(column), right.get(column))
        for part in sorted(written.keys() - expected.keys()):
            findings.add(name, f"has {part[:80]!r}, which no leaderboard has")
        for part in expected.keys() - {"rows"}:
            if not same(written.get(part), expected[part]):
                findings.add(name, f"{part} is another text than {contents.study.name!r} gives")
