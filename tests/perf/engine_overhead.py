"""What an engine adds to a task: ``python tests/perf/engine_overhead.py [TASKS] [WORKERS] [ENGINE …]``.

The tasks are of a kind that doesn't exist, so they fail at once in the process that is to run them: what is left is
the way there and back. Elapsed time and processor time of this process, per task, after each worker has had some.
"""

from __future__ import annotations

import sys
import tempfile
import time
from typing import Any

from synthbench.engine.base import Options, Outcome
from synthbench.plugin.registry import registry
from synthbench.store import key_of
from synthbench.study.plan import Task


def tasks(name: str, count: int) -> list[Task]:
    return [Task("trial", key_of([name, i]), {"number": i}, (), {}, f"trial {i}") for i in range(count)]


def run(engine: Any, listed: list[Task]) -> None:
    """Run tasks that need nothing, as the scheduler would."""
    left, waiting = len(listed), listed[::-1]
    while left:
        while waiting and engine.free():
            engine.start(waiting.pop())
        left -= sum(isinstance(message, Outcome) for message in engine.wait(1.0))


def main() -> None:
    words = sys.argv[1:]
    count, workers = (int(word) for word in [*words[:2], *("1000", "2")[len(words[:2]) :]])
    for name in words[2:] or registry().names("engine"):
        engine_class: Any = registry().load("engine", name)
        with tempfile.TemporaryDirectory() as folder:
            engine = engine_class(Options(folder, device="cpu", workers=workers), engine_class.Config())
            run(engine, tasks("first", 10 * workers))
            began, worked = time.perf_counter(), time.process_time()
            run(engine, tasks(name, count))
            elapsed, work = time.perf_counter() - began, time.process_time() - worked
            engine.close()
        print(f"{name}: {elapsed / count * 1e3:.2f} ms a task, of them {work / count * 1e3:.2f} ms work here")


if __name__ == "__main__":
    main()
