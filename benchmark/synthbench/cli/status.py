"""Show how far a run is: tasks done, running, failed and left, what is running now, and first scores.

It reads the run folder and the store, changes nothing, and works from any terminal or machine that sees both. A run
that has died is recognised by its claims. The run also writes 'progress.html' into its folder, a page that refreshes
while it runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="RUN", help="a run folder, as 'synthbench run' writes it")
    parser.add_argument("--watch", action="store_true", help="show it again and again, until the run is over")
    parser.add_argument("--every", type=float, default=2.0, metavar="S", help="seconds between (default: 2)")
    parser.add_argument("--html", metavar="FILE", help="write the page there, instead of printing")
    parser.add_argument("--json", action="store_true", help="print JSON; with --watch, a line each time")
    parser.add_argument("--store", metavar="DIR", help="where artifacts are kept (default: where the run keeps them)")


def run(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from synthbench.cli._status_text import status_lines
    from synthbench.errors import ConfigError
    from synthbench.io.atomic import atomic_write
    from synthbench.monitor import RunStatus, read_status, status_page

    if not 0 < args.every < float("inf"):
        raise ConfigError(f"--every {args.every:g}: expected seconds above 0")
    folder = Path(args.folder).expanduser()
    store = Path(args.store).expanduser() if args.store else None
    live = Live(console=Console(markup=False), auto_refresh=False) if args.watch and sys.stdout.isatty() else None

    def show(status: RunStatus) -> None:
        if args.html:
            atomic_write(Path(args.html).expanduser(), status_page(status), "use another --html")
        elif args.json:
            indent = None if args.watch else 1
            print(json.dumps(status.as_json(), indent=indent, ensure_ascii=False, allow_nan=False), flush=True)
        elif live is not None:
            live.update(Text("\n".join(status_lines(status))), refresh=True)
        else:
            print("\n".join(status_lines(status)), flush=True)

    if live is not None and not args.json and not args.html:
        live.start()
    try:
        while True:
            status = read_status(folder, store)
            show(status)
            if not args.watch or status.is_over:
                return 0
            time.sleep(args.every)
    finally:
        if live is not None:
            live.stop()
