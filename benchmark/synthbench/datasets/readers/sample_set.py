"""synthbench's own format: a folder with samples.json, or a folder whose only subfolder has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthbench.datasets.files import subfolders
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.errors import ConfigError
from synthbench.samples import INDEX, Sample, SampleSet

__all__ = ["open_set", "read", "sniff"]


def sniff(path: Path) -> str | None:
    """Describe the samples if the folder, or the index file itself, is a sample set."""
    folder = _folder(path)
    if folder is None:
        return None
    samples = SampleSet.open(folder)
    return f"a sample set of {len(samples)} samples, task {samples.task}"


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield the samples unchanged.

    Raises
    ------
    ConfigError
        If `options` ask for another task or other classes, or for a conversion.
    DataError
        If samples are damaged.
    """
    samples = open_set(path)
    if samples.task != options.task or (options.task == "semantic" and samples.classes != tuple(options.classes)):
        actual = " ".join([samples.task, ", ".join(samples.classes)]).strip()
        requested = " ".join([options.task, ", ".join(options.classes)]).strip()
        raise ConfigError(f"{path}: the sample set is {actual}, not {requested}; omit --task and --classes")
    for given, option in ((options.components, "--components"), (options.white is not None, "--white")):
        if given:
            raise ConfigError(f"{path}: {option} doesn't apply to a sample set; omit it")
    log.total = len(samples)
    for name in samples.ids:
        with log.collecting_errors():
            yield samples[name]
    log.raise_problems(path)


def open_set(path: Path) -> SampleSet:
    """Open the sample set that `sniff` detects."""
    return SampleSet.open(_folder(path) or path)


def _folder(path: Path) -> Path | None:
    if path.is_dir():
        children = subfolders(path)
        candidates = [path, *children] if len(children) == 1 else [path]
        return next((folder for folder in candidates if (folder / INDEX).is_file()), None)
    return path.parent if path.name == INDEX and path.is_file() else None
