"""What a study says of one plugin, what it starts from, and one budget."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from synthbench.environments.plugins import has_plugin, split_name
from synthbench.io.escaping import printable
from synthbench.study._dataset_choices import DatasetConfig, HyperParameters, StudyPart, split_environment

__all__ = [
    "AUTO",
    "BudgetConfig",
    "FLAT",
    "GeneratorConfig",
    "InitConfig",
    "PluginConfig",
    "READY_MADE",
    "Seeds",
    "is_flat",
    "is_image_folder",
]

READY_MADE = "ready-made"
"""The generator that a path stands for, in place of a name."""


AUTO = "auto"
"""A number of steps that is to be found, see `synthbench.runner.step_choice`."""

FLAT = 0.01
"""Rise of the score on validation images from doubling the steps below which a training counts as converged."""


_FOUND = 0.05
"""Score below which almost nothing is found yet, so that a rise may still come."""


def is_flat(before: float, after: float) -> bool:
    """Whether doubling the steps brought so little that a training counts as converged.

    Parameters
    ----------
    before, after
        Scores on validation images, 0 … 1.
    """
    return after - before < FLAT and after >= _FOUND


class BudgetConfig(StudyPart):
    """A named budget, with any of its numbers replaced.

    `steps` of segmenters may be ``auto``: a run then replaces it by the number from which on more steps bring less than
    `FLAT`. It keeps in `score_by_steps` what it found, as it does where a study has `check_convergence`: dataset →
    number of steps → score on validation images, 0 … 1.
    """

    name: str = "quick"
    steps: Annotated[int, Field(ge=0, strict=True)] | Literal["auto"] | None = None
    batch_size: Annotated[int, Field(ge=1, strict=True)] | None = None
    patch_size: Annotated[int, Field(ge=8, strict=True)] | None = None
    score_by_steps: dict[str, dict[int, Annotated[float, Field(ge=0, le=1)]]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


Seeds = Annotated[int, Field(ge=1, le=1000, strict=True)]


DATASET = "dataset:"
"""What an init begins with that names a dataset."""

_SCRATCH = "scratch"


class InitConfig(StudyPart):
    """What a segmenter starts from: ``scratch``, the path of a file of weights, or ``dataset:NAME``.

    Attributes
    ----------
    file
        Path of published weights: a file, or a folder of files.
    trained_on
        Names of the datasets that the file's weights were trained on; None: what stands beside the file, if anything.
    dataset
        The dataset to train on first.
    budget
        Of that training; None: the segmenter's own.
    label
        What tables call it; by default the name of the file or of the dataset.
    """

    file: str | None = None
    trained_on: list[str] | None = None
    dataset: DatasetConfig | None = None
    budget: BudgetConfig | None = None
    label: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value == _SCRATCH:
            return {}
        if value.startswith(DATASET):
            return {"dataset": value.removeprefix(DATASET)}
        return {"file": value}

    @model_validator(mode="after")
    def _keys_fit(self) -> InitConfig:
        if self.file is not None and self.dataset is not None:
            raise ValueError("give a file or a dataset, not both")
        if self.file is not None and not self.file.strip():
            raise ValueError(f"an init is {_SCRATCH}, the path of a file, or {DATASET}NAME")
        if self.trained_on is not None and self.file is None:
            raise ValueError("trained_on is for a file of weights; leave it out")
        if self.budget is not None and self.dataset is None:
            raise ValueError("budget is for training on a dataset first; leave it out")
        if self.budget is not None and self.budget.steps in (0, AUTO):
            raise ValueError("budget: training on a dataset first takes a number of steps, at least 1")
        return self

    @field_validator("label")
    @classmethod
    def _label_fits_a_table(cls, value: str) -> str:
        return _checked_label(value)

    @model_serializer(mode="wrap")
    def _as_text(self, plain: SerializerFunctionWrapHandler) -> Any:
        """Write `scratch` as the text that a study has."""
        return _SCRATCH if self.is_scratch and not self.label else plain(self)

    @property
    def is_scratch(self) -> bool:
        """Whether training starts from weights drawn from the seed."""
        return self.file is None and self.dataset is None

    @property
    def title(self) -> str:
        """What tables call it."""
        if self.label or self.is_scratch:
            return self.label or _SCRATCH
        path = Path(self.file if self.file is not None else self.dataset.name if self.dataset else "")
        name = path.expanduser().resolve().name
        return re.sub(r"[\s|,×+]+", " ", printable(name)).strip()[:40] or "weights"


class PluginConfig(StudyPart):
    """A plugin by name, with its configuration; a bare name stands for the defaults.

    `joint` is of generators: whether it is trained together with each segmenter, instead of drawing samples. `init` is
    of segmenters: what each is trained from; None: what the study says.
    """

    name: str
    label: str = ""
    config: HyperParameters = Field(default_factory=dict)
    budget: BudgetConfig | None = None
    seeds: Seeds | None = None
    environment: str = ""
    joint: bool = False
    init: Annotated[list[InitConfig], Field(min_length=1)] | None = None

    @field_validator("init", mode="before")
    @classmethod
    def _one_init_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | Mapping) else value

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return split_environment({"name": value} if isinstance(value, str) else value)

    @property
    def title(self) -> str:
        """What tables call it: the label, or the name, with the environment if the study names one."""
        name = f"{self.name}@{self.environment}" if self.environment else self.name
        return self.label or (f"{name} joint" if self.joint else name)

    @field_validator("label")
    @classmethod
    def _label_fits_a_table(cls, value: str) -> str:
        return _checked_label(value)


def _checked_label(value: str) -> str:
    if value != printable(value):
        raise ValueError("a label has no control characters, nor signs that turn the direction of writing")
    if value and not re.fullmatch(r"[^\s|,×+][^|,×+\n]{0,59}", value):
        raise ValueError("a label is at most 60 characters, without '|', ',', '×', '+' and line breaks")
    return value


def is_image_folder(name: str) -> bool:
    """Whether what stands for a generator is a path: with a slash, or ``.`` or ``~`` first, or a folder that is there.

    The name of a plugin is none, whatever is in the current folder.
    """
    if name.startswith((".", "~")) or "/" in name or os.sep in name:
        return True
    return Path(name).is_dir() and not has_plugin("generator", split_name(name)[0])


def _from_path(value: Any) -> Any:
    """Return a generator whose name is a path as `READY_MADE` with this path, labelled like its folder."""
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not isinstance(name := given.get("name"), str) or not is_image_folder(name):
        return value
    config, label = given.get("config") or {}, given.get("label")
    if not isinstance(config, Mapping) or "path" in config:
        raise ValueError(f"{name!r} is a path, so config can't have another; name it {READY_MADE}, with config.path")
    folder = Path(name).expanduser().resolve().name
    label = label or re.sub(r"[|,×+\s]+", "-", printable(folder)).strip("-")[:60] or READY_MADE
    return {**given, "name": READY_MADE, "label": label, "config": {**config, "path": name}}


GeneratorConfig = Annotated[PluginConfig, BeforeValidator(_from_path)]
"""A generator by name, or by the path of a folder of images with masks."""
