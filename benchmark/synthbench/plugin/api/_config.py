"""The base of plugins' configurations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from synthbench.plugin.api._budget import Budget
from synthbench.samples import Task

__all__ = ["Config"]


class Config(BaseModel):
    """Base of every plugin's configuration: unknown keys are refused, values can't be changed later.

    Attributes
    ----------
    renamed : mapping
        Old name → new name, for keys that were renamed; a configuration with an old one is refused in one line that
        names the new one. Subclasses inherit the entries of their bases.
    locations : tuple of str
        Keys that only say where the `files` are: they aren't part of any key of the store, so that files can be moved.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    renamed: ClassVar[Mapping[str, str]] = {}
    locations: ClassVar[tuple[str, ...]] = ()

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
        another file under the same name makes results new. Of a folder, all files count that aren't hidden, with their
        names; not the name of the folder.

        Raises
        ------
        PluginError
            If one is missing, with where it comes from.
        """
        return {}

    def required_groups(self) -> tuple[str, ...]:
        """Return the names of the groups that every training sample must have, such as ``cell_type``.

        It is asked of the resolved configuration before anything runs, so that a study whose dataset lacks one is
        refused at once.
        """
        return ()

    def learns_from_unlabelled(self) -> bool:
        """Return whether a generator with this configuration learns from images without labels.

        It is asked of the resolved configuration, and only where the class says `Generator.uses_unlabelled`.
        """
        return True

    def unsupported_reason(self, task: Task) -> str:
        """Return why this configuration doesn't suit one of the plugin's tasks, with a hint; "" where it does.

        It is asked before anything runs, so that a study with a dataset of that task is refused at once.
        """
        return ""
