"""What a plugin author writes against: the base classes, and what the core hands them.

Nothing here imports torch or tensorflow; a plugin imports what it needs in its own module.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from synthbench.errors import ConfigError, StoreError, suggest
from synthbench.samples import Sample, SampleSet, Task
from synthbench.types import Features, FloatArray, Image, LabelMap

__all__ = [
    "BUDGET_NAMES",
    "Budget",
    "CONFIG_FILE",
    "Config",
    "ConfigT",
    "Context",
    "Dataset",
    "Encoder",
    "Generator",
    "Instances",
    "LOG",
    "Progress",
    "Segmenter",
    "Stopped",
    "TrainingMix",
    "ignore_message",
    "silent",
]

CONFIG_FILE = "config.json"


class Config(BaseModel):
    """Base of every plugin's configuration: unknown keys are refused, values can't be changed later.

    Attributes
    ----------
    renamed : mapping
        Old name → new name, for keys that were renamed; a configuration with an old one is refused in one line that
        names the new one. Subclasses inherit the entries of their bases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    renamed: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for old, new in cls.__dict__.get("renamed", {}).items():
            if new not in cls.model_fields or old in cls.model_fields:
                raise TypeError(f"{cls.__name__}.renamed: {old!r} must be no field, and {new!r} one")

    @model_validator(mode="before")
    @classmethod
    def _refuse_renamed(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        renamed = {old: new for base in reversed(cls.__mro__) for old, new in base.__dict__.get("renamed", {}).items()}
        for key in values:
            if key in renamed and key not in cls.model_fields:
                raise PydanticCustomError(
                    "renamed_key", "{old}: was renamed; use {new}", {"old": key, "new": renamed[key]}
                )
        return values

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with what it leaves open filled in for a budget; as it is, unless overridden.

        It is asked before anything runs, so that a budget that doesn't fit is refused at once. A plugin asks it itself
        in `fit`.

        Raises
        ------
        ConfigError
            If the budget doesn't fit the configuration, with a hint.
        """
        return self

    def files(self) -> Mapping[str, Path]:
        """Return the files that fitting reads beside the training samples, like pretrained weights, by a short name.

        It is asked of the resolved configuration before anything runs. What is in the files is part of every key, so
        another file under the same name makes results new.

        Raises
        ------
        PluginError
            If one is missing, with where it comes from.
        """
        return {}

    def unsupported_reason(self, task: Task) -> str:
        """Return why this configuration doesn't suit one of the plugin's tasks, with a hint; "" where it does.

        It is asked before anything runs, so that a study with a dataset of that task is refused at once.
        """
        return ""


@dataclass(frozen=True)
class Budget:
    """How much training an arm gets: the same in every arm.

    Parameters
    ----------
    steps
        Optimiser steps; 0 for what doesn't train.
    batch_size
        Patches in a step.
    patch_size
        Side of a square patch, in pixels.
    """

    steps: int
    batch_size: int = 1
    patch_size: int = 128

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "patch_size"):
            value = getattr(self, name)
            low = 0 if name == "steps" else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ConfigError(f"budget: {name} is {value!r}; give a whole number from {low} up")


BUDGET_NAMES = ("smoke", "quick", "standard", "paper")
"""`smoke`: seconds, for tests. `quick`: minutes on two CPU cores. `standard`: one GPU. `paper`: as published;
for an unpublished method, a budget of full training."""


LOG = "log"
"""Name of the folder of losses and pictures; see `Context.folder`."""

Progress = Callable[[int, int, str], None]
"""Called with (done, total, note): the unit is the caller's, `note` is short (``"loss 0.31"``)."""


def silent(done: int, total: int, note: str = "") -> None:
    """Show no progress."""


def ignore_message(line: str) -> None:
    """Do nothing with a message to the user."""


@dataclass(frozen=True)
class Context:
    """What the core hands a plugin for one piece of work.

    Attributes
    ----------
    seed : int
        Every random choice derives from it.
    budget : Budget
    device : str
        ``"cpu"``, ``"cuda"`` or ``"cuda:n"``, already resolved.
    folder : Path or None
        A private folder for checkpoints, that outlives a killed process and is removed when the task succeeds. What
        lies in its folder `LOG` is kept beside the trained model, for people.
    progress : Progress
    should_stop : callable
        True when the user asked to stop: leave a checkpoint and raise `Stopped`.
    threads : int
        CPU threads this task may use.
    notify : callable
        Called with a line that the user should read though nothing failed: a checkpoint that can't be used.
    task : str
        The key of the task, to which its checkpoints belong; empty outside of a run.
    """

    seed: int = 0
    budget: Budget = field(default_factory=lambda: Budget(steps=0))
    device: str = "cpu"
    folder: Path | None = None
    progress: Progress = silent
    should_stop: Callable[[], bool] = lambda: False
    threads: int = 1
    notify: Callable[[str], None] = ignore_message
    task: str = ""

    def with_seed(self, seed: int) -> Context:
        """Return the same context with another seed."""
        return replace(self, seed=seed)


class Stopped(Exception):
    """Raised by a plugin that stopped because `Context.should_stop` said so."""


@dataclass(frozen=True)
class TrainingMix:
    """What a segmenter trains on: real samples, and perhaps synthetic ones.

    Attributes
    ----------
    real : SampleSet
        May be empty when the arm is synthetic only.
    synthetic : SampleSet or None
    synthetic_ratio : float
        Fraction of each batch that synthetic samples fill, 0 … 1, in the mean.
    """

    real: SampleSet
    synthetic: SampleSet | None = None
    synthetic_ratio: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.synthetic_ratio <= 1.0:
            raise ConfigError(f"synthetic_ratio is {self.synthetic_ratio}; give 0 … 1")
        if self.synthetic_ratio > 0 and not self.synthetic:
            raise ConfigError(f"synthetic_ratio is {self.synthetic_ratio}, and there are no synthetic samples")
        if self.synthetic_ratio < 1 and len(self.real) == 0:
            raise ConfigError("there are no real training samples")

    @property
    def task(self) -> str:
        """The task of the samples: ``instances`` or ``semantic``."""
        return self.reference.task

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of a semantic task."""
        return self.reference.classes

    @property
    def reference(self) -> SampleSet:
        """The real samples, or the synthetic ones where there are no real ones."""
        return self.real if len(self.real) or self.synthetic is None else self.synthetic


@dataclass(frozen=True, eq=False)
class Instances:
    """What a segmenter says of one image.

    Parameters
    ----------
    labels
        ``(height, width)`` integers. Task `instances`: 0 and 1 … n without gaps. Task `semantic`: classes.
    scores
        ``(n,)`` float, the confidence of instance k + 1 at k; None where the method has none.
    """

    labels: LabelMap
    scores: FloatArray | None = None


_Config = Config

ConfigT = TypeVar("ConfigT", bound=Config)
"""The configuration of a plugin's class: ``class Method(Generator[MethodConfig])`` types `self.config`."""


class _Configured(Generic[ConfigT]):
    """Configuration, named budgets, and a folder that remembers the configuration."""

    Config: ClassVar[type[_Config]] = _Config
    budgets: ClassVar[Mapping[str, Budget]] = {}

    def __init__(self, config: ConfigT | None = None) -> None:
        self.config: ConfigT = config if config is not None else cast("ConfigT", self.Config())

    @classmethod
    def budget(cls, name: str) -> Budget:
        """Return the budget of this name; what doesn't train has one for every name.

        Raises
        ------
        ConfigError
            If the plugin trains and has no budget of this name.
        """
        if not cls.budgets and name in BUDGET_NAMES:
            return Budget(steps=0)
        try:
            return cls.budgets[name]
        except KeyError:
            known = cls.budgets or dict.fromkeys(BUDGET_NAMES)
            hint = suggest(name, known) or f"; there are: {', '.join(known)}"
            raise ConfigError(f"there is no budget {name!r}{hint}") from None

    def fingerprint(self) -> str:
        """Return what else the results depend on: text that becomes part of the key; none, unless overridden.

        For what neither the plugin's source nor the versions in its own environment tell: those of another environment,
        or of a command that it calls. It is called whenever a study is planned, and again before each task; if it has
        changed, the task stops.

        Raises
        ------
        PluginError
            If it can't be determined, with a hint.
        """
        return ""

    def save(self, folder: Path) -> None:
        """Write everything `load` needs into `folder`, which exists. Call ``super().save(folder)`` first.

        Weights are safetensors; nothing is pickled.
        """
        text = json.dumps(self.config.model_dump(mode="json"), indent=1, sort_keys=True)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return what `save` wrote. Override, and begin with ``new = super().load(folder, context)``.

        Raises
        ------
        StoreError
            If the folder holds no configuration.
        """
        try:
            text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise StoreError(f"{CONFIG_FILE} is missing in {folder}; call super().save(folder) in save") from None
        return cls(cast("ConfigT", cls.Config.model_validate_json(text)))


class Generator(_Configured[ConfigT], ABC):
    """Learns from training samples, then draws new annotated samples.

    The class attributes `Config` (a subclass of `synthbench.Config`) and `budgets` (name → `Budget`) describe it.
    A generator that doesn't train leaves `budgets` empty. `sample` is what an author writes; `sample_batch` is
    overridden where several samples at once are faster than one by one.

    Attributes
    ----------
    sample_batch_size : int
        How many samples a run asks `sample_batch` for at once.
    counts : Counter
        What fitting and drawing have come to so far, by name; a run keeps it beside the synthetic set. Leaderboards
        show ``lost`` objects of the training masks, which the generator can't learn; ``removed`` pieces of drawn masks;
        and objects of new masks that were ``unplaced``. Drawn masks that are ``empty`` a run counts itself.
    supports_ignore : bool
        Whether pixels without a known label (`synthbench.samples.Sample.ignore`) are not taken for background: they
        are not learnt from, or the drawn samples have them in their own ignore region. Studies refuse training samples
        that have some to a generator that doesn't.
    """

    supports_ignore: ClassVar[bool] = False
    sample_batch_size: ClassVar[int] = 1

    def __init__(self, config: ConfigT | None = None) -> None:
        super().__init__(config)
        self.counts: Counter[str] = Counter()

    @abstractmethod
    def fit(self, train: SampleSet, context: Context) -> None:
        """Learn from the training samples; they are all it ever sees.

        Takes exactly ``context.budget.steps`` optimiser steps if it trains. Checkpoints go to ``context.folder``.
        """

    @abstractmethod
    def sample(self, index: int, seed: int) -> Sample:
        """Return one synthetic sample.

        Parameters
        ----------
        index
            Position in the synthetic set, 0 or more.
        seed
            Seed of the synthetic set.

        Returns
        -------
        Sample
            A function of ``(seed, index)`` alone, whatever was drawn before. Its image has the dtype and the channels
            of the training images; its id is ``f"{index:06d}"``.
        """

    def sample_batch(self, indices: Sequence[int], seed: int) -> list[Sample]:
        """Return several samples, in the order of `indices`: to the bit those that `sample` returns one by one."""
        return [self.sample(index, seed) for index in indices]


class Segmenter(_Configured[ConfigT], ABC):
    """Learns from samples, then maps an image to a label map.

    Attributes
    ----------
    supports_ignore : bool
        Whether training and tuning leave out pixels without a known label (`synthbench.samples.Sample.ignore`).
        Studies refuse samples that have some to a segmenter that doesn't.
    """

    supports_ignore: ClassVar[bool] = False

    @abstractmethod
    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Learn from the mix in exactly ``context.budget.steps`` optimiser steps.

        Patches come from `synthbench.toolkit.training.patches.PatchStream`, so that every segmenter of a seed sees the
        same real patches in the same order. Thresholds are tuned on `validation` and nothing else.
        """

    @abstractmethod
    def predict(self, image: Image) -> Instances:
        """Segment one image, ``(height, width[, 3])``, uint8 or uint16, of any size."""


class Encoder(_Configured[ConfigT], ABC):
    """Maps images to feature vectors."""

    def prepare(self, context: Context) -> None:
        """Load weights and move to ``context.device``; called once before `encode`."""

    @abstractmethod
    def encode(self, images: Iterable[Image]) -> Features:
        """Return features, ``(n, dimension)`` float32 or float64, a row per image; sizes and dtypes may differ."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Name the network and its weights, e.g. ``"inception-v3 sha256:6726…"``; part of every key.

        And the versions of what it uses from elsewhere, if anything.
        """

    @classmethod
    def unavailable(cls, config: ConfigT) -> str:
        """Why it can't run with this configuration (missing weights); an empty string when it can."""
        return ""


class Dataset(_Configured[ConfigT], ABC):
    """A dataset that is drawn or downloaded.

    Attributes
    ----------
    source, licence, citation : str
        Shown before anything is downloaded, and stored with the samples.
    classes : tuple of str
        Names of the classes of a semantic dataset, background first.
    """

    source: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    classes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield all samples in a fixed order; official splits go to ``groups["split"]``.

        Downloads go to ``context.folder``, and resume from what is there.
        """
