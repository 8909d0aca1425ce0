"""What a study says of one dataset, and what all parts of a study have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from synthbench.environments.plugins import split_name

__all__ = ["DatasetConfig", "HyperParameters", "SplitConfig", "StudyPart", "split_environment"]


class StudyPart(BaseModel):
    """Base of the parts of a study: without unknown keys, and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


def split_environment(value: Any) -> Any:
    """Return a plugin's mapping with ``NAME@ENV`` as a name and an environment."""
    if isinstance(value, Mapping) and isinstance(text := value.get("name"), str) and not value.get("environment"):
        name, environment = split_name(text)
        if environment:
            return {**value, "name": name, "environment": environment}
    return value


class SplitConfig(StudyPart):
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


class DatasetConfig(StudyPart):
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
    derived_from
        Names of published datasets that its images come from: weights that were trained on one of these have seen it.
        Empty: they are in no published dataset. None: what the dataset was added with; a plugin names its own.
    fingerprint
        The fingerprint that its samples must have; another dataset of this name is refused before anything is trained.
    """

    name: str
    config: HyperParameters = {}
    task: Literal["instances", "semantic"] | None = None
    classes: list[str] = []
    ignore: Annotated[int, Field(ge=0, strict=True)] | None = None
    split: SplitConfig = SplitConfig()
    environment: str = ""
    derived_from: list[Annotated[str, Field(pattern="[A-Za-z0-9]")]] | None = None
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return split_environment({"name": value} if isinstance(value, str) else value)

    @field_validator("name")
    @classmethod
    def _has_a_name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("give the name of a dataset, or a path; the current folder is '.'")
        return value
