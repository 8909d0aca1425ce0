"""A worker: ``python -m synthbench.engine.worker`` takes tasks as messages, one at a time, and says how they go."""

from __future__ import annotations

import queue
import threading
from typing import Any

from synthbench.engine.base import Event
from synthbench.engine.messages import read_task, tell
from synthbench.engine.run_task import run_task
from synthbench.processes.child import become_leader, end_orphan
from synthbench.processes.handshake import hello
from synthbench.processes.messages import MessageStream

__all__ = ["serve"]


def serve() -> None:
    """Serve until the input closes. A task is asked to stop by a message, or by a signal to this process."""
    stop = threading.Event()
    become_leader(stop.set)
    stream = MessageStream()
    tasks: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(stream, tasks, stop), daemon=True).start()

    def report(event: Event) -> None:
        stream.send(tell(event))

    stream.send(hello())
    while (message := tasks.get()) is not None:
        task, options = read_task(message)
        stream.send(tell(run_task(task, options, report, stop.is_set)))


def _listen(stream: MessageStream, tasks: queue.SimpleQueue[dict[str, Any] | None], stop: threading.Event) -> None:
    """Pass on what is said; when the other side is gone, end this process and the session that it leads."""
    for message in stream:
        if message["type"] == "stop":
            stop.set()
        elif message["type"] == "task":
            stop.clear()
            tasks.put(message)
    tasks.put(None)
    end_orphan()


if __name__ == "__main__":
    serve()
