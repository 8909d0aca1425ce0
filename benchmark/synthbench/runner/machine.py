"""How a study is run: engine, workers, threads, device, precision, time limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from synthbench.engine import resource_monitor
from synthbench.engine.base import Engine, Options
from synthbench.engine.devices import choose, share_cores
from synthbench.environments.registered import interpreters
from synthbench.errors import ConfigError
from synthbench.plugin.config_errors import first_problem
from synthbench.plugin.precision import PRECISIONS, Precision, bfloat16_problem
from synthbench.plugin.registry import registry
from synthbench.processes.count import usable_processors
from synthbench.store import Store

__all__ = ["Machine"]


@dataclass(frozen=True)
class Machine:
    """How a study is run: what ``--engine`` and the options beside it say.

    Attributes
    ----------
    engine : str
        Name of an engine plugin.
    workers, threads : int or None
    device : str
    precision : str
        ``"auto"``, ``"fp32"`` or ``"bf16"``.
    time_limit : float or None
    config : mapping
        The engine's own options.
    """

    engine: str = "local"
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    time_limit: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    precision: Precision = "auto"

    def check(self) -> None:
        """Raise `ConfigError` if it can't be had, before anything is opened or written.

        Raises
        ------
        PluginError
            If there is no such engine, or it is disabled.
        """
        cls = self._engine_class()
        self._check_precision(cls)
        for option in ("workers", "threads", "time_limit"):
            value = getattr(self, option)
            if value is not None and not value > 0:
                raise ConfigError(f"--{option.replace('_', '-')} {value}: give a number above 0")
        if self.time_limit is not None and not cls.has_time_limit:
            raise ConfigError(f"--time-limit: the {self.engine} engine can't stop a task; use --engine local")
        if cls.most_workers is not None and (self.workers or 1) > cls.most_workers:
            raise ConfigError(
                f"--workers {self.workers}: the {self.engine} engine runs {cls.most_workers} task(s) at a time; "
                "use --engine local"
            )
        if self.workers is not None and cls.runs_elsewhere(self._engine_config(cls)):
            raise ConfigError(
                f"--workers {self.workers}: tasks run on other machines, which say how many; leave it out"
            )

    def _check_precision(self, cls: Any) -> None:
        kind, _ = self._devices()
        if self.precision not in PRECISIONS:
            raise ConfigError(f"--precision {self.precision}: give {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}")
        computes_here = kind == "cpu" and not cls.runs_elsewhere(self._engine_config(cls))
        if self.precision == "bf16" and computes_here and (problem := bfloat16_problem()):
            raise ConfigError(f"--precision bf16: {problem}; use --precision fp32")

    def kind(self) -> str:
        """Return the kind of device that tasks will compute on: ``"cpu"``, or ``"cuda"`` where a GPU is used."""
        return self._devices()[0]

    def _devices(self) -> tuple[str, list[str]]:
        """Return the kind of device that tasks compute on, and the GPUs of this machine among them."""
        cls = self._engine_class()
        if self.device.startswith("cuda") and cls.runs_elsewhere(self._engine_config(cls)):
            if self.device != "cuda":
                raise ConfigError(f"--device {self.device}: tasks run on other machines; give cuda or cpu")
            return "cuda", []
        gpus = choose(self.device)
        return ("cuda" if gpus else "cpu"), gpus

    def build(self, store: Store) -> Engine[Any]:
        """Return the engine.

        Raises
        ------
        ConfigError
            If it can't be used with these options.
        """
        cls = self._engine_class()
        kind, gpus = self._devices()
        workers, threads = share_cores(usable_processors(), len(gpus))
        options = Options(
            store=str(store.root),
            device=self.device if gpus else kind,
            threads=self.threads or threads,
            facts=resource_monitor.facts(),
            time_limit=self.time_limit,
            workers=self.workers or workers,
            gpus=tuple(gpus),
            interpreters=interpreters(),
        )
        engine: Engine[Any] = cls(options, self._engine_config(cls))
        return engine

    def _engine_class(self) -> Any:
        return registry().load("engine", self.engine)

    def _engine_config(self, cls: Any) -> Any:
        try:
            return cls.Config.model_validate(dict(self.config))
        except ValidationError as error:
            raise ConfigError(f"engine {self.engine!r}: {first_problem(error, cls.Config)}") from None
