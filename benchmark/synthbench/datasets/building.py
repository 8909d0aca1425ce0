"""Datasets of plugins: created or downloaded, and written as a sample set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from synthbench.datasets.download import download_notice
from synthbench.errors import ConfigError, DataError
from synthbench.plugin.api import Context
from synthbench.plugin.config_errors import first_problem
from synthbench.plugin.registry import registry
from synthbench.samples import Sample, SampleSet

if TYPE_CHECKING:
    from synthbench.plugin.api import Dataset

__all__ = ["build_dataset", "download_terms"]


def build_dataset(name: str, config: Mapping[str, Any], folder: Path, context: Context) -> SampleSet:
    """Write the samples of a dataset plugin to a new folder, with source, licence and citation.

    Parameters
    ----------
    name
        Name of the plugin.
    config
        Its configuration; omitted keys have their defaults.
    folder
        Must not exist; appears when the last sample is written.
    context
        Downloads go to its folder.

    Raises
    ------
    PluginError
        If the plugin is unknown or disabled.
    ConfigError
        If the configuration is invalid.
    DataError
        If the data can't be obtained, or contains no samples.
    """
    cls: type[Dataset[Any]] = registry().load("dataset", name)
    try:
        settings = cls.Config.model_validate(dict(config))
    except ValidationError as error:
        raise ConfigError(f"dataset {name!r}: config: {first_problem(error, cls.Config)}") from None
    (task,) = registry().get("dataset", name).spec.tasks
    dataset = cls(settings)
    info: dict[str, Any] = {
        "source": cls.source,
        "licence": cls.licence,
        "citation": cls.citation,
        "plugin": name,
        "config": settings.model_dump(mode="json"),
        **({"channels": list(cls.channels)} if cls.channels else {}),
    }
    return SampleSet.write(
        folder,
        _samples(dataset, context, name, info),
        name=name,
        task="semantic" if task == "semantic" else "instances",
        classes=cls.classes,
        info=info,
    )


def download_terms(name: str, config: Mapping[str, Any]) -> str:
    """Return the notice shown before a plugin's dataset is downloaded; empty where nothing is downloaded."""
    cls: type[Dataset[Any]] = registry().load("dataset", name)
    dataset = cls(cls.Config.model_validate(dict(config)))
    return download_notice(dataset) if getattr(dataset, "remotes", tuple)() else ""


def _samples(dataset: Dataset[Any], context: Context, name: str, info: dict[str, Any]) -> Iterator[Sample]:
    """Yield the samples; then add the plugin's notes on how it imported them, if any, to `info`."""
    count = 0
    for count, sample in enumerate(dataset.samples(context), start=1):  # noqa: B007
        yield sample
    if not count:
        raise DataError(f"dataset {name!r}: the plugin yielded no samples")
    notes = [str(line) for line in getattr(dataset, "import_notes", ())]
    if notes:
        info["import"] = notes
