"""Show what `run` would do: what is stored, what would run, how long it would take, and what the study could detect.

Nothing is trained, but datasets that the study names are generated or downloaded if they are not there yet.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from synthbench.cli._arguments import (
    add_machine,
    add_study,
    columns_from,
    machine_from,
    open_store,
    run_folder,
    study_from,
)
from synthbench.cli._budget_text import budget_text
from synthbench.cli._decisions_text import decisions_lines, expected_as_json
from synthbench.cli._detectable_effects_text import detectable_effects_lines
from synthbench.cli._tables import table_lines

if TYPE_CHECKING:
    from synthbench.study.plan import Plan
    from synthbench.study.resolve import Resolved

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_study(parser)
    add_machine(parser)
    parser.add_argument(
        "--pilot", metavar="RUN", help="an earlier run, to estimate the smallest detectable difference from"
    )
    parser.add_argument("--keys", action="store_true", help="list each task that would run, with its key")
    parser.add_argument("--json", action="store_true", help="print JSON, with every task and its key")


def run(args: argparse.Namespace) -> int:
    columns_from(args)
    study, store = study_from(args), open_store(args)

    from rich.console import Console

    from synthbench.results import load_results
    from synthbench.runner import check_folder, plan_study
    from synthbench.study.runtime_estimates import format_duration

    machine = machine_from(args)
    machine.check()
    check_folder(run_folder(args, study))
    pilot = load_results(args.pilot) if args.pilot else None
    planned = plan_study(study, store, Console(stderr=True, markup=False), machine.kind(), pilot, machine.precision)
    plan, estimates, seen = planned.plan, planned.estimates, planned.detectable_effects
    lacking = {task.key for task in planned.missing}
    if args.json:
        tasks_as_json = [
            {
                "key": key,
                "kind": task.kind,
                "label": task.label,
                "runs": key in lacking,
                "seconds": estimates.seconds(task),
                "compute": task.content.get("compute"),
            }
            for key, task in plan.tasks.items()
        ]
        smallest = [asdict(o) | {"difference": o.difference if isfinite(o.difference) else None} for o in seen]
        out: dict[str, Any] = {
            "tasks": tasks_as_json,
            "scales": _scales(plan.resolved),
            "detectable_effects": smallest,
            "warnings": planned.warnings,
        }
        if study.decide is not None:
            out["expected_trainings"] = expected_as_json(seen, study.decide)
        print(json.dumps(out, indent=1))
        return 0
    if args.keys:
        for task in plan.tasks.values():
            if task.key in lacking:
                print(f"{task.key[:12]}  {task.kind}: {task.label}")
        print()
    rows = []
    for kind in dict.fromkeys(task.kind for task in plan.tasks.values()):
        tasks = [task for task in plan.tasks.values() if task.kind == kind]
        missing = [task for task in tasks if task.key in lacking]
        seconds, unknown = estimates.total(missing)
        costs = [format_duration(seconds)] if seconds or not unknown else []
        costs += [f"{unknown} not yet timed"] if unknown else []
        rows.append([kind, str(len(tasks) - len(missing)), str(len(missing)), " + ".join(costs)])
    print("\n".join(table_lines(["TASK", "STORED", "TO RUN", "EXPECTED"], rows, left=(0, 3))))
    if any(estimates.seconds(task) is None for task in plan.tasks.values() if task.key in lacking):
        print("not yet timed: no similar task has run with this store")
    _print_budgets(plan.resolved)
    if args.precision != "auto":
        _print_precision(plan)
    for line in planned.scales:
        print(line)
    if study.decide is None:
        lines = detectable_effects_lines(seen)
    else:
        print(
            f"tasks are counted for the largest number of seeds; --decide {study.decide:g} stops earlier where it can"
        )
        lines = decisions_lines(seen, study.decide, len({run.fit for run in plan.training_runs}))
    for line in lines:
        print(line)
    for warning in planned.warnings:
        print(f"! {warning}")
    return 0


def _scales(resolved: Resolved) -> list[dict[str, Any]]:
    """Return how the images of each dataset and fold are scaled; a diameter of 0 wasn't measured."""
    found = {(each.dataset, each.fold): each.scaling for each in resolved.conditions}
    return [
        {"dataset": dataset, "fold": fold, "factor": scaling.factor, "median_diameter": scaling.diameter}
        for (dataset, fold), scaling in found.items()
    ]


def _print_budgets(resolved: Resolved) -> None:
    """Print how long each plugin trains."""
    for choice in (*resolved.generators, *resolved.segmenters):
        budget = choice.plugin.budget
        if budget["steps"]:
            print(f"{choice.title}: {budget_text(**budget)}")


def _print_precision(plan: Plan) -> None:
    """Print in which types each plugin computes, as some leave no choice."""
    by_types: dict[str, list[str]] = {}
    for choice in (*plan.resolved.generators, *plan.resolved.segmenters):
        by_types.setdefault(plan.compute(choice.plugin)["precision"], []).append(choice.title)
    for types, titles in by_types.items():
        print(f"in {types}: {', '.join(dict.fromkeys(titles))}")
