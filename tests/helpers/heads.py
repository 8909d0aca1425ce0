"""What the processes do that the tests start: importable, so that they can be spawned."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection

from synthbench.processes.child import become_leader, die_with_parent, spawn

SLEEP = "import time; time.sleep(600)"


def head(pipe: Connection, orphaned: bool) -> None:
    """Lead a family of three: a child, one in a session of its own, and one that was forked twice."""
    become_leader()
    die_with_parent()
    plain = subprocess.Popen([sys.executable, "-c", SLEEP])
    apart = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if (twice := os.fork()) == 0:
            time.sleep(600)
        os.write(writing, str(twice).encode())
        os._exit(0)
    pipe.send([plain.pid, apart.pid, int(os.read(reading, 20))])
    if orphaned:
        os._exit(0)
    time.sleep(600)


def parent(pipe: Connection, mark: str) -> None:
    multiprocessing.current_process().daemon = False
    ours, theirs = multiprocessing.Pipe()
    leader = spawn(head, (theirs, False), mark)
    pipe.send([leader.pid, *ours.recv()])
    time.sleep(600)


def terminates_a_child(pipe: Connection) -> None:
    become_leader()
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join(10)
    pipe.send(child.exitcode)
