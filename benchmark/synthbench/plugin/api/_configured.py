"""What all plugins' classes have: configuration, named budgets, and a folder to save to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar, cast

from synthbench.errors import ConfigError, StoreError, suggest
from synthbench.plugin.api._budget import BUDGET_NAMES, Budget
from synthbench.plugin.api._config import Config
from synthbench.plugin.api._context import Context

__all__ = ["CONFIG_FILE", "ConfigT", "Configured"]

CONFIG_FILE = "config.json"
"""Name of the file that `save` writes the configuration to."""

_Config = Config

ConfigT = TypeVar("ConfigT", bound=Config)
"""The configuration of a plugin's class: ``class Method(Generator[MethodConfig])`` types `self.config`."""


class Configured(Generic[ConfigT]):
    """Configuration, named budgets, and a folder that remembers the configuration.

    Attributes
    ----------
    bfloat16_on_cpu : bool
        Whether it computes in bfloat16 on a CPU where a run asks for that; if False, always in float32 there. A class
        that never enters `synthbench.toolkit.training.loop.autocast` says False, and so does one that bfloat16 makes
        slower or worse.
    """

    bfloat16_on_cpu: ClassVar[bool] = True
    Config: ClassVar[type[_Config]] = _Config
    budgets: ClassVar[Mapping[str, Budget]] = {}

    def __init__(self, config: ConfigT | None = None) -> None:
        self.config: ConfigT = config if config is not None else cast("ConfigT", self.Config())

    @classmethod
    def budget(cls, name: str) -> Budget:
        """Return the budget of this name; a plugin that doesn't train has one of 0 steps for every name.

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
