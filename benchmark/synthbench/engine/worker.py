"""A worker process: takes tasks from a pipe, one at a time, and says how they go."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from synthbench.engine.base import Event, Options
from synthbench.engine.perform import perform


def work(pipe: Connection, stop: Any, options: Options) -> None:
    """Serve until the pipe closes. Ctrl-C is the parent's to handle; when the parent dies, so does this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()

    def report(event: Event) -> None:
        pipe.send(event)

    with open(os.devnull, "w") as nothing:
        sys.stdout = nothing
        while True:
            try:
                task = pipe.recv()
            except EOFError:
                return
            pipe.send(perform(task, options, report, lambda: bool(stop.value)))


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
