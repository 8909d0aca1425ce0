"""Run a study: train, draw, segment, score, and end with a leaderboard.

Results in the store are not computed again, and a run that was stopped is resumed. Without arguments, it runs a small
comparison on procedural nuclei, which takes about five minutes on two cores. Ctrl-C, SIGTERM or closing the terminal
stops a run, which leaves checkpoints; the exit codes are 130, 143 and 129. If tasks failed, the exit code is 3.
'synthbench status' shows from another terminal how far a run is; so does the page 'progress.html' in its folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from synthbench.cli._arguments import (
    add_machine,
    add_study,
    columns_from,
    known_baselines,
    loggers_from,
    machine_from,
    open_store,
    run_folder,
    study_from,
    within_from,
)
from synthbench.cli._run_json import run_as_json

__all__ = ["add_arguments", "run"]

SOME_FAILED = 3
PAGE_WIDTH = 120

RESUMES = True
"""A run that was stopped keeps its finished tasks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_study(parser)
    add_machine(parser)
    parser.add_argument(
        "--log", metavar="A,B", help="loggers that get losses, pictures and scores: tensorboard, mlflow, or a plugin's"
    )
    parser.add_argument(
        "--log-option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="option of a logger; repeatable; 'synthbench show LOGGER' lists them",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON at the end: tasks, failures, trainings, leaderboard"
    )
    parser.add_argument(
        "--reuse-baseline",
        action="store_true",
        help="of a board: leave out trainings on real images alone that the board has with the same keys",
    )


def run(args: argparse.Namespace) -> int:
    columns = columns_from(args)
    study, store = study_from(args), open_store(args)
    known = known_baselines(args.study) if args.reuse_baseline else ()

    from rich.console import Console

    from synthbench import leaderboard
    from synthbench.runner import run_study

    console = Console(stderr=True, markup=False, quiet=args.quiet)
    folder = run_folder(args, study)
    loggers, within = loggers_from(args), within_from(args)
    with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):  # plugins may print
        ran = run_study(study, store, folder, machine_from(args), console, within, loggers, known)
    page = ran.write_report(columns)
    if args.json:
        print(json.dumps(run_as_json(ran, page, columns), indent=1, ensure_ascii=False, allow_nan=False))
        return SOME_FAILED if ran.failed else 0
    Console(width=None if sys.stdout.isatty() else PAGE_WIDTH, markup=False).print(
        leaderboard.terminal(ran.results, columns=columns)
    )
    print(f"report: {page}")
    if ran.failed:
        console.print(f"{ran.failed} task(s) failed; see {folder / 'failures.txt'}", style="red")
        return SOME_FAILED
    return 0
