"""The samples of a generator that exist before it is fitted, as its class in this environment says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synthbench.errors import PluginError, SynthbenchError
from synthbench.plugin.api import Context, ExistingSamples
from synthbench.plugin.registry import one_line, registry
from synthbench.samples import Task

__all__ = ["existing_samples"]


def existing_samples(
    name: str, config: Mapping[str, Any], task: Task, classes: Sequence[str], context: Context
) -> ExistingSamples | None:
    """Return the samples that a generator will return, for datasets of a task; see `synthbench.Generator.existing`.

    Parameters
    ----------
    name, config
        The generator, and its complete configuration.
    task, classes, context

    Raises
    ------
    SynthbenchError
        With one line that names the generator, if they can't be used.
    """
    cls: Any = registry().load("generator", name)
    owner = f"generator {name!r}"
    try:
        found = cls.existing(cls.Config.model_validate(dict(config)), task, list(classes), context)
    except SynthbenchError as error:
        raise type(error)(f"{owner}: {error}") from None
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        raise PluginError(f"{owner}: existing() failed: {one_line(error)}") from error
    if found is not None and (not isinstance(found, ExistingSamples) or not found.folders):
        raise PluginError(f"{owner}: existing() returned {found!r}; expected ExistingSamples with a folder, or None")
    return found
