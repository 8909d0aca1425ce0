"""Do the tables of a bundle agree with its trainings, its images and one another?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from synthbench import leaderboard
from synthbench.bundle import layout
from synthbench.bundle._contents import TRAINING, Contents, training_of
from synthbench.bundle._machines import costs_of, plugins_of, versions_of
from synthbench.bundle.findings import Findings, same
from synthbench.bundle.reading import BundleFile, parse_json
from synthbench.results import GROUP
from synthbench.results.sums import whole_images

__all__ = ["check_environment", "check_leaderboard", "check_tables", "label_of", "rows_by_training"]

IMAGES, RUNS, TASKS = (layout.table_file(name) for name in ("images", "runs", "tasks"))


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
                for name in ("synthetic_ratio", "schedule", "init"):
                    value = runs[key].iloc[0][name]
                    findings.expect(RUNS, f"{label_of(row)}: {name}", _plain(value), row[name])
            if key in images:
                _check_images(contents, row, images[key], findings)
    with findings.check(RUNS, "PQ, AJI and AJI+ follow from the counts per image"):
        images = rows_by_training(contents.results.images)
        for key, table in rows_by_training(contents.results.runs).items():
            first = table.iloc[0]
            for name, expected in (whole_images(images[key]) if key in images else {}).items():
                findings.expect(RUNS, f"{label_of(first)}: {name}", float(first[name]), expected)
    with findings.check(TASKS, "tasks of the tables are those of the plan"):
        tasks = contents.results.tasks
        planned = {key: task["kind"] for key, task in contents.plan.items()}
        for kind, task in zip(tasks["kind"], tasks["key"], strict=True):
            findings.expect(TASKS, f"kind of task {str(task)[:12]}", kind, planned.get(task, "none of the plan"))
        if contents.study.decide is None:
            for task in sorted(planned.keys() - set(tasks["key"])):
                findings.add(TASKS, f"lacks the planned task {task[:12]} ({planned[task]})")


def _check_images(contents: Contents, row: Mapping[str, Any], table: pd.DataFrame, findings: Findings) -> None:
    label, ids = label_of(row), contents.test_ids(row)
    found = set(table["image"])
    for name in sorted(found - set(ids)):
        findings.add(IMAGES, f"{label}: has the image {name!r}, expected test images of the split only")
    for name in sorted(set(ids) - found):
        findings.add(IMAGES, f"{label}: lacks the test image {name!r}")
    samples = contents.datasets[row["tested_on"]]
    first = table.drop_duplicates("image").set_index("image")
    every = contents.study.border_objects == "include"
    for name in [name for name in ids if name in found]:
        entry = samples.entries[samples.position(name)]
        if "true" in first and every and not entry.ignored:
            findings.expect(IMAGES, f"{label}: true of image {name!r}", int(first["true"][name]), entry.objects)
        for group, value in entry.groups.items():
            if group != "split" and f"{GROUP}{group}" in first:
                shown = first[f"{GROUP}{group}"][name]
                findings.expect(IMAGES, f"{label}: group {group} of image {name!r}", shown, value)


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
        for part in expected.keys() - {"rows"}:
            if not same(written.get(part), expected[part]):
                findings.add(name, f"{part} is another text than {contents.study.name!r} gives")


def check_environment(file: BundleFile, contents: Contents, findings: Findings) -> None:
    """Compare versions, methods and costs with tables and plan."""
    name = layout.ENVIRONMENT
    with findings.check(name, "versions are those of the tables and of the plan"):
        written = file.json(name)
        known = {str(each): set(found) for each, found in written["distributions"].items()}
        for text in sorted(set(contents.results.runs["versions"])):
            for part in filter(None, text.split(", ")):
                each, _, version = part.partition(" ")
                if version not in known.get(each, ()):
                    findings.add(name, f"{each} is {_listed(known, each)}, expected {version} as in {RUNS}")
        for text in sorted(set(contents.results.runs["code"])):
            for part in filter(None, text.split(", ")):
                _check_code(written, known, part, findings)
        needed = {pair for task in contents.plan.values() for pair in versions_of(task["content"])}
        all_known = {**written["requirements"], **written["distributions"]}
        for each, version in sorted(needed):
            if not any(found == version or found.startswith(f"{version}.") for found in all_known.get(each, ())):
                findings.add(name, f"{each} is {_listed(all_known, each)}, expected {version} as in {layout.PLAN}")
    with findings.check(layout.METHODS, "methods are those of the plan"):
        methods = [(row["kind"], row["name"]) for row in file.json(layout.METHODS)]
        findings.expect(layout.METHODS, "list of methods", methods, plugins_of(contents.plan))
    with findings.check(layout.COSTS, "costs are the sums of the tables"):
        costs, expected = file.json(layout.COSTS), costs_of(contents.results.tasks)
        for kind in expected["by_kind"].keys() | costs["by_kind"].keys():
            found, right = costs["by_kind"].get(kind), expected["by_kind"].get(kind)
            findings.expect(layout.COSTS, f"cost of {kind}", found, right)
        findings.expect(layout.COSTS, "seconds", costs["seconds"], expected["seconds"])


def _check_code(written: Mapping[str, Any], known: Mapping[str, set[str]], part: str, findings: Findings) -> None:
    words = part.split(" ")
    plugins = {(row["distribution"], row["version"]) for row in written["plugins"]}
    if words[0] == "synthbench":
        right = words[1] in known.get("synthbench", ())
        commits = [str(commit) for commit in written["commits"]]
        right &= len(words) < 4 or any(commit.startswith(words[3].rstrip("+")) for commit in commits)
    else:
        right = len(words) > 1 and (words[0], words[1]) in plugins
    if not right:
        findings.add(layout.ENVIRONMENT, f"has no {part!r}, expected as in {RUNS}")


def _listed(known: Mapping[str, Any], name: str) -> str:
    return ", ".join(sorted(known.get(name, ()))) or "not listed"
