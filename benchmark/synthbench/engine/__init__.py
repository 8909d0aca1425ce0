"""Engines carry out the tasks of a study: the built-in ones, and what another one is written with."""

from synthbench.engine.base import Engine, Event, Options, Outcome
from synthbench.engine.worker_process import WorkerProcess, wait_for_workers

__all__ = ["Engine", "Event", "Options", "Outcome", "WorkerProcess", "wait_for_workers"]
