"""A worker process: takes tasks from a pipe, one at a time, and says how they go."""

from __future__ import annotations

import os
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from synthbench.engine.base import Event, Options
from synthbench.engine.run_task import run_task
from synthbench.processes.child import become_leader

__all__ = ["work"]


def work(pipe: Connection, stop: Any, options: Options) -> None:
    """Serve until the pipe closes. A task is asked to stop by the parent, or by a signal to this process."""
    asked = threading.Event()
    become_leader(asked.set)

    def report(event: Event) -> None:
        pipe.send(event)

    with open(os.devnull, "w") as nothing:
        sys.stdout = nothing
        while True:
            try:
                task = pipe.recv()
            except EOFError:
                return
            asked.clear()
            pipe.send(run_task(task, options, report, lambda: bool(stop.value) or asked.is_set()))
