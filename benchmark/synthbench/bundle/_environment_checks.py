"""Do versions, methods and costs of a bundle agree with its tables and its plan?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthbench.bundle import layout
from synthbench.bundle._machines import WEIGHTS, costs_of, plugins_of, versions_of
from synthbench.bundle._table_checks import RUNS, label_of, rows_by_training
from synthbench.bundle.contents import Contents, training_of
from synthbench.bundle.findings import Findings
from synthbench.bundle.reading import BundleFile

__all__ = ["check_environment"]


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
        maker = file.json(layout.MANIFEST)["synthbench"]
        if maker not in known.get("synthbench", ()):
            findings.add(layout.MANIFEST, f"synthbench is {maker!r}, expected {_listed(known, 'synthbench')}")
        for text in sorted(set(contents.results.runs["code"])):
            for part in filter(None, text.split(", ")):
                _check_code(written, known, part, findings)
        needed = {pair for task in contents.plan.values() for pair in versions_of(task["content"])}
        all_known = {**written["requirements"], **written["distributions"]}
        for each, version in sorted(needed):
            if not any(found == version or found.startswith(f"{version}.") for found in all_known.get(each, ())):
                findings.add(name, f"{each} is {_listed(all_known, each)}, expected {version} as in {layout.PLAN}")
        for each, version in written["versions"].items():
            if version not in known.get(each, ()):
                findings.add(name, f"{each} of the planning is {version}, expected {_listed(known, each)}")
    with findings.check(layout.METHODS, "methods are those of the plan"):
        methods = [(row["kind"], row["name"]) for row in file.json(layout.METHODS) if row["kind"] != WEIGHTS]
        for row in file.json(layout.METHODS):
            for part, value in row.items():
                if not isinstance(value, str):
                    findings.add(layout.METHODS, f"{part} of {row['name']!r} is {value!r}, expected a text")
        findings.expect(layout.METHODS, "list of methods", methods, plugins_of(contents.plan))
    with findings.check(layout.COSTS, "costs are the sums of the tables"):
        costs, expected = file.json(layout.COSTS), costs_of(contents.results.tasks)
        for kind in expected["by_kind"].keys() | costs["by_kind"].keys():
            found, right = costs["by_kind"].get(kind), expected["by_kind"].get(kind)
            findings.expect(layout.COSTS, f"cost of {kind}", found, right)
        findings.expect(layout.COSTS, "seconds", costs["seconds"], expected["seconds"])
    with findings.check(RUNS, "costs of the trainings are those of their tasks"):
        _check_costs(contents, findings)


_COSTS = {
    "fit_seconds": "fit",
    "predict_seconds": "evaluate",
    "generator_seconds": "fit_generator",
    "draw_seconds": "draw",
}
"""Columns of the trainings, and the tasks whose seconds they are."""


def _check_costs(contents: Contents, findings: Findings) -> None:
    seconds = dict(zip(contents.results.tasks["key"], contents.results.tasks["seconds"], strict=True))
    runs = rows_by_training(contents.results.runs)
    for row in contents.trainings:
        if (run := runs.get(training_of(row))) is None:
            continue
        for name, task in _COSTS.items():
            expected = float(seconds[row[task]]) if row[task] else float("nan")
            findings.expect(RUNS, f"{label_of(row)}: {name}", float(run.iloc[0][name]), expected)


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
