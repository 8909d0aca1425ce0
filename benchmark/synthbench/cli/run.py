"""Run a study: train, draw, segment, score, and end with a leaderboard.

What the store holds isn't computed again; a run that was stopped goes on where it was. Without arguments: a small
comparison on drawn nuclei, a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from synthbench.cli._arguments import add_store, add_study, open_store, study_from

SOME_FAILED = 3
PAGE_WIDTH = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_study(parser)
    how = parser.add_argument_group("how it is run")
    how.add_argument("--engine", default="local", help="local (processes) or serial (in this process)")
    how.add_argument("--workers", type=int, metavar="N", help="tasks at a time")
    how.add_argument(
        "--threads", type=int, metavar="N", help="CPU threads for each task; another number can change last digits"
    )
    how.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    how.add_argument("--time-limit", type=float, metavar="S", help="seconds a task may take")
    how.add_argument("--out", metavar="DIR", help="run folder (default: runs/NAME)")
    how.add_argument("--quiet", action="store_true", help="no progress, only the table")
    add_store(how)


def run(args: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _stop)
    study, store = study_from(args), open_store(args)

    from rich.console import Console

    from synthbench import leaderboard
    from synthbench.errors import ConfigError
    from synthbench.running import Machine, pictures, run_study

    for option in ("workers", "threads", "time_limit"):
        if getattr(args, option) is not None and getattr(args, option) <= 0:
            raise ConfigError(f"--{option.replace('_', '-')} {getattr(args, option)}: give a number above 0")
    console = Console(stderr=True, quiet=args.quiet)
    machine = Machine(args.engine, args.workers, args.threads, args.device, args.time_limit)
    folder = Path(args.out or Path("runs") / study.name)
    ran = run_study(study, store, folder, machine, console)
    page = leaderboard.report(folder, ran.results, pictures(ran.plan, store))
    Console(width=None if sys.stdout.isatty() else PAGE_WIDTH).print(leaderboard.terminal(ran.results))
    print(f"report: {page}")
    if ran.failed:
        console.print(f"{ran.failed} task(s) failed; see {folder / 'failures.txt'}", style="red")
        return SOME_FAILED
    return 0


def _stop(number: int, frame: object) -> None:
    """Let a scheduler's SIGTERM stop a run as Ctrl-C does: what is finished is kept, checkpoints are left."""
    raise KeyboardInterrupt
