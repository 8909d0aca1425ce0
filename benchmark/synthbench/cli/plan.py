"""Say what `run` would do with the same arguments: what is stored, what would run, what it would cost."""

from __future__ import annotations

import argparse
import json

from synthbench.cli._arguments import add_store, add_study, open_store, study_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_study(parser)
    add_store(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, with every task and its key")


def run(args: argparse.Namespace) -> int:
    study, store = study_from(args), open_store(args)

    from rich.console import Console

    from synthbench.costs import Costs, in_words
    from synthbench.running import prepare

    plan = prepare(study, store, Console(stderr=True))
    lacking = {task.key for task in plan.lacking(store)}
    costs = Costs(store, (task.kind for task in plan.tasks.values()))
    if args.json:
        rows = [
            {"key": key, "kind": task.kind, "label": task.label, "runs": key in lacking, "seconds": costs.of(task)}
            for key, task in plan.tasks.items()
        ]
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{'TASK':<16}{'STORED':>8}{'TO RUN':>8}  EXPECTED")
    for kind in dict.fromkeys(task.kind for task in plan.tasks.values()):
        tasks = [task for task in plan.tasks.values() if task.kind == kind]
        missing = [task for task in tasks if task.key in lacking]
        seconds, unknown = costs.total(missing)
        words = " + ".join(
            [in_words(seconds)] * bool(seconds or not unknown) + [f"{unknown} of unknown cost"] * bool(unknown)
        )
        print(f"{kind:<16}{len(tasks) - len(missing):>8}{len(missing):>8}  {words}")
    for task in plan.tasks.values():
        if task.key in lacking:
            print(f"{task.key[:12]}  {task.kind}: {task.label}")
    return 0
