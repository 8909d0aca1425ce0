"""The harness that generators and segmenters are tried on: small sets, contexts, fits that are made once and kept."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from synthbench.plugin.api import Budget, Context
from synthbench.samples import SampleSet, Task
from synthbench.testing.check_results import Skipped, plugin_call
from synthbench.testing.data import discs
from synthbench.testing.folders import check_saved
from synthbench.testing.learning import Numbers, numbers

__all__ = ["FEW_STEPS", "Harness", "SEED", "Value", "perturbed_global_rng"]

Value = TypeVar("Value")

SEED = 7
FEW_STEPS = 2
"""Steps of the fits that only have to work; those whose results are compared take the whole smoke budget."""


class Harness:
    """One plugin class, and what the checks share.

    Parameters
    ----------
    cls
        A generator or a segmenter.
    tasks
        The tasks its spec claims.
    folder
        An empty folder that the harness may fill.
    config
        Its configuration; by default the defaults.
    """

    def __init__(self, cls: type, tasks: Iterable[str], folder: Path, config: Mapping[str, Any] | None = None) -> None:
        self.cls: Any = cls
        self.tasks = sorted(tasks)
        self.folder = folder
        self.keys = dict(config or {})
        self._made: dict[str, Any] = {}
        self._failed: set[str] = set()

    @property
    def task(self) -> Task:
        """The task that most checks are made with."""
        return "instances" if "instances" in self.tasks else "semantic"

    @property
    def trains(self) -> bool:
        """Whether the plugin trains: it has budgets."""
        return bool(self.cls.budgets)

    @property
    def budget(self) -> Budget:
        """The smoke budget of the plugin."""
        budget: Budget = self.cls.budget("smoke")
        return budget

    @property
    def few(self) -> Budget:
        """The smoke budget, with fewer steps."""
        whole = self.budget
        return replace(whole, steps=min(whole.steps, FEW_STEPS))

    @property
    def side(self) -> int:
        """A side of images on which a patch fits."""
        return max(64, self.budget.patch_size if self.trains else 0)

    def make(self) -> Any:
        """Return a new object of the class, unfitted."""
        with plugin_call(f"{self.cls.__name__}(config)"):
            return self.cls(self.cls.Config(**self.keys))

    def once(self, key: str, make: Callable[[], Value]) -> Value:
        """Return what `make` gives, made at the first call. Once it failed, what needs it is skipped."""
        if key in self._failed:
            raise Skipped(f"{key} failed above")
        if key not in self._made:
            self._failed.add(key)
            self._made[key] = make()
            self._failed.discard(key)
        value: Value = self._made[key]
        return value

    def pictures(self, count: int = 6, **how: Any) -> SampleSet:
        """Draw a small set of the harness's own task and size."""
        return discs(count, **{"size": self.side, "task": self.task, **how})

    def context(self, budget: Budget | None = None, **fields: Any) -> Context:
        """Return a context with the seed of the checks; by default with the smoke budget."""
        return Context(seed=SEED, budget=budget or self.budget, **fields)

    def new_folder(self, name: str) -> Path:
        """Make a new empty folder."""
        folder = self.folder / f"{len(list(self.folder.iterdir()))}-{name}"
        folder.mkdir()
        return folder

    def saved(self, fitted: Any) -> Path:
        """Save a fitted object into a new folder, look for pickles there, and return the folder."""
        folder = self.new_folder("saved")
        with plugin_call("save"):
            fitted.save(folder)
        check_saved(folder)
        return folder

    def numbers(self, fitted: Any) -> Numbers:
        """Save a fitted object, and return the numbers that it has learnt."""
        return numbers(self.saved(fitted))


@contextlib.contextmanager
def perturbed_global_rng(seed: int) -> Iterator[None]:
    """Put the global random generators into another state, and back: what draws from them gives itself away."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None
    if torch:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torch_state)
