"""The machine that a study runs on: engine, workers, threads, device, time limit."""

from __future__ import annotations

from dataclasses import dataclass

from synthbench.engine import resource_monitor
from synthbench.engine.base import Engine, Options
from synthbench.engine.devices import choose, share_cores
from synthbench.engine.local import LocalEngine
from synthbench.engine.serial import SerialEngine
from synthbench.errors import ConfigError
from synthbench.processes.count import usable_processors
from synthbench.store import Store

__all__ = ["ENGINES", "Machine"]

ENGINES = ("local", "serial")


@dataclass(frozen=True)
class Machine:
    """How a study is run: what ``--engine``, ``--workers``, ``--threads``, ``--device`` and ``--time-limit`` say."""

    engine: str = "local"
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    time_limit: float | None = None

    def check(self) -> None:
        """Raise `ConfigError` if it can't be had, before anything is opened or written."""
        choose(self.device)
        if self.engine not in ENGINES:
            raise ConfigError(f"--engine {self.engine}: there are {', '.join(ENGINES)}")
        for option in ("workers", "threads", "time_limit"):
            value = getattr(self, option)
            if value is not None and value <= 0:
                raise ConfigError(f"--{option.replace('_', '-')} {value}: give a number above 0")
        if self.engine == "serial" and self.time_limit is not None:
            raise ConfigError("--time-limit: the serial engine can't stop a task; use --engine local")
        if self.engine == "serial" and (self.workers or 1) > 1:
            raise ConfigError(
                f"--workers {self.workers}: the serial engine runs one task at a time; use --engine local"
            )

    def kind(self) -> str:
        """Return the kind of device that tasks will compute on: ``"cpu"``, or ``"cuda"`` where a GPU is used."""
        return "cuda" if choose(self.device) else "cpu"

    def build(self, store: Store) -> tuple[Engine, int]:
        """Return the engine, and how many tasks it runs at a time."""
        gpus = choose(self.device)
        workers, threads = share_cores(usable_processors(), len(gpus))
        options = Options(
            store=str(store.root),
            device=self.device if gpus else "cpu",
            threads=self.threads or threads,
            time_limit=self.time_limit,
            facts=resource_monitor.facts(),
        )
        if self.engine == "serial":
            return SerialEngine(options, gpus), 1
        count = self.workers or workers
        return LocalEngine(options, count, gpus), min(count, len(gpus)) if gpus else count
