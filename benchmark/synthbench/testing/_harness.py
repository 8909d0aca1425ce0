"""The harness that generators and segmenters are tried on: small sets, contexts, fits that are made once and kept."""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from synthbench.plugin.api import Budget, Context
from synthbench.samples import SampleSet, Task
from synthbench.testing._data import discs, partly_unknown
from synthbench.testing._folders import check_saved
from synthbench.testing._learning import Numbers, numbers
from synthbench.testing._watch import Watch
from synthbench.testing.check_results import Skipped, empty_home, plugin_call, require

__all__ = ["FEW_STEPS", "Fitted", "Harness", "SEED", "TrainingData", "Value", "perturbed_global_rng"]

Value = TypeVar("Value")
TrainingData = TypeVar("TrainingData")
Fitted = TypeVar("Fitted")

SEED = 7
FEW_STEPS = 2
"""Steps of the fits that only have to work; those whose results are compared take the whole smoke budget."""


class Harness(ABC, Generic[TrainingData, Fitted]):
    """One plugin class, what it is fitted on, and what the checks share.

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
    @abstractmethod
    def training_data(self) -> TrainingData:
        """The plain pictures, on disk, as the plugin is fitted on them."""

    @abstractmethod
    def fit(self, data: TrainingData, context: Context) -> Fitted:
        """Return a new object of the class, fitted."""

    @property
    def task(self) -> Task:
        """The task that most checks are made with."""
        return "instances" if "instances" in self.tasks else "semantic"

    @property
    def trains(self) -> bool:
        """Whether the plugin trains: it has budgets."""
        return bool(self.cls.budgets)

    @property
    def other_tasks(self) -> list[Task]:
        """The tasks that the spec claims beside `task`; skip where there are none."""
        others: list[Task] = [task for task in ("instances", "semantic") if task in self.tasks and task != self.task]
        if not others:
            raise Skipped("it claims one task, which the other checks try")
        return others

    def require_training(self) -> None:
        """Skip where the plugin doesn't train."""
        if not self.trains:
            raise Skipped("it doesn't train")

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

    @property
    def saved_pictures(self) -> SampleSet:
        """The plain pictures, in the folder ``train``."""
        return self.once("drawing the pictures", lambda: self.pictures().save(self.folder / "train"))

    def poor_sets(self) -> dict[str, SampleSet]:
        """Return training sets that are hard to learn from, by what they are."""
        return {
            "one image": self.pictures(1),
            "images that are all background": self.pictures(3, objects=0),
            "images of 24×20": self.pictures(3, size=(24, 20)),
        }

    def sets_with_unknown_pixels(self) -> Iterator[tuple[str, SampleSet, SampleSet]]:
        """Yield for each task what the sets are, a set with an ignore region, and it with background there instead.

        Skip where the plugin doesn't support ignore regions.
        """
        if not self.cls.supports_ignore:
            raise Skipped("supports_ignore is false, so studies refuse samples with an ignore region for it")
        for task in self.tasks:
            yield f"images of the task {task!r}, much of them unknown", *partly_unknown(self.pictures(4, task=task))

    @property
    def watch(self) -> Watch:
        """What was seen of the plain fit."""
        return self.once("fit", self._plain_fit)[0]

    @property
    def fitted(self) -> Fitted:
        """The object fitted on `training_data`."""
        return self.once("fit", self._plain_fit)[1]

    def _plain_fit(self) -> tuple[Watch, Fitted]:
        watch, folder, data = Watch(), self.new_folder("checkpoints"), self.training_data
        with plugin_call("fit"), perturbed_global_rng(1), watch.counting():
            context = self.context(folder=folder, progress=watch.progress, should_stop=watch.should_stop)
            return watch, self.fit(data, context)

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

    @contextlib.contextmanager
    def loaded_elsewhere(self, fitted: Any, budget: Budget, when: str = "") -> Iterator[Any]:
        """Save a fitted object, and load it from another place while the training pictures are out of sight.

        Parameters
        ----------
        fitted
        budget
            Of the context that it is loaded with.
        when
            Begins messages, as in ``"trained on RGB images, "``.
        """
        moved = self.saved(fitted).rename(self.folder / "moved")
        hidden = (self.folder / "train").rename(self.folder / "hidden")
        try:
            with (
                plugin_call(f"{when}load from a moved folder, without the training samples,"),
                perturbed_global_rng(6),
                empty_home(),
            ):
                loaded = self.cls.load(moved, self.context(budget))
                require(loaded.config == fitted.config, f"{when}load gave another configuration than was saved")
                yield loaded
        finally:
            hidden.rename(self.folder / "train")
            shutil.rmtree(moved)

    def numbers(self, fitted: Any) -> Numbers:
        """Save a fitted object, and return the numbers that it has learned."""
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
