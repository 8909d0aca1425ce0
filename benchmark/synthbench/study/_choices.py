"""What a study says of one plugin, one dataset and one budget."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from synthbench.environments.plugins import split_name
from synthbench.io.escaping import printable

__all__ = ["BudgetConfig", "DatasetConfig", "HyperParameters", "PluginConfig", "Seeds", "SplitConfig"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BudgetConfig(_Model):
    """A named budget, with any of its numbers replaced."""

    name: str = "quick"
    steps: Annotated[int, Field(ge=1, strict=True)] | None = None
    batch_size: Annotated[int, Field(ge=1, strict=True)] | None = None
    patch_size: Annotated[int, Field(ge=8, strict=True)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


Seeds = Annotated[int, Field(ge=1, le=1000, strict=True)]


def _finite(config: dict[str, Any]) -> dict[str, Any]:
    """Raise `ValueError` where a configuration holds a number that is none."""
    rest: list[tuple[str, Any]] = list(config.items())
    while rest:
        name, value = rest.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}; give a finite number")
        if isinstance(value, dict):
            rest += [(f"{name}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            rest += [(name, inner) for inner in value]
    return config


HyperParameters = Annotated[dict[str, Any], AfterValidator(_finite)]


def _split_environment(value: Any) -> Any:
    """Return a plugin's mapping with ``NAME@ENV`` as a name and an environment."""
    if isinstance(value, Mapping) and isinstance(text := value.get("name"), str) and not value.get("environment"):
        name, environment = split_name(text)
        if environment:
            return {**value, "name": name, "environment": environment}
    return value


class PluginConfig(_Model):
    """A plugin by name, with its configuration; a bare name stands for the defaults."""

    name: str
    label: str = ""
    config: HyperParameters = {}
    budget: BudgetConfig | None = None
    seeds: Seeds | None = None
    environment: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return _split_environment({"name": value} if isinstance(value, str) else value)

    @property
    def title(self) -> str:
        """What tables call it: the label, or the name, with the environment if the study names one."""
        return self.label or (f"{self.name}@{self.environment}" if self.environment else self.name)

    @field_validator("label")
    @classmethod
    def _label_fits_a_table(cls, value: str) -> str:
        if value != printable(value):
            raise ValueError("a label has no control characters, nor signs that turn the direction of writing")
        if value and not re.fullmatch(r"[^\s|,×+][^|,×+\n]{0,59}", value):
            raise ValueError("a label is at most 60 characters, without '|', ',', '×', '+' and line breaks")
        return value


class SplitConfig(_Model):
    """How a dataset is divided into training, validation and test samples.

    Attributes
    ----------
    scheme
        ``official`` (the dataset's own), ``holdout`` (a seeded share for testing) or ``kfold``. ``auto``: official
        where the dataset has a test split, else holdout.
    folds
        How many folds of ``kfold`` there are; all of them are run.
    test, validation
        Shares; validation is taken from the training samples, unless the dataset has a validation split.
    group
        Samples of one group (a well, a video, a patient) stay together.
    seed
    file
        Use the splits frozen in this file, and none of the above but `group`, which is checked for leaks.
    """

    scheme: Literal["auto", "official", "holdout", "kfold"] = "auto"
    folds: Annotated[int, Field(ge=2, le=50)] = 5
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    group: str | None = None
    seed: int = 0
    file: str | None = None


class DatasetConfig(_Model):
    """A dataset by the name of a plugin or of an imported set, or by path.

    Attributes
    ----------
    name
    config
        Of a plugin.
    task, classes
        What the label maps of a path are: ``instances`` (by default) or ``semantic``, and the names of the classes.
    ignore
        What the label maps of a path hold where the label is unknown, such as 255.
    split
    environment
        The environment of a plugin, where it isn't to be the first that has it.
    """

    name: str
    config: HyperParameters = {}
    task: Literal["instances", "semantic"] | None = None
    classes: list[str] = []
    ignore: Annotated[int, Field(ge=0, strict=True)] | None = None
    split: SplitConfig = SplitConfig()
    environment: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return _split_environment({"name": value} if isinstance(value, str) else value)
