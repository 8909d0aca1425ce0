"""synthbench's own form: a folder with samples.json, perhaps the only one in another folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthbench.datasets.files import subfolders
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.errors import ConfigError
from synthbench.samples import INDEX, Sample, SampleSet

__all__ = ["open_set", "read", "sniff"]


def sniff(path: Path) -> str | None:
    """Say what is there when the folder, or the index file itself, is a sample set."""
    folder = _folder(path)
    if folder is None:
        return None
    samples = SampleSet.open(folder)
    return f"a sample set of {len(samples)} samples, task {samples.task}"


def read(path: Path, options: ImportOptions, log: ImportLog) -> Iterator[Sample]:
    """Yield the samples as they are; raise `ConfigError` when the options wants something else of them."""
    samples = open_set(path)
    if samples.task != options.task or (options.task == "semantic" and samples.classes != tuple(options.classes)):
        have = " ".join([samples.task, ", ".join(samples.classes)]).strip()
        want = " ".join([options.task, ", ".join(options.classes)]).strip()
        raise ConfigError(f"{path}: the sample set is {have}, and {want} was asked for; leave out --task and --classes")
    for given, option in ((options.components, "--components"), (options.white is not None, "--white")):
        if given:
            raise ConfigError(f"{path}: a sample set is taken as it is; leave out {option}")
    log.total = len(samples)
    for name in samples.ids:
        with log.collecting_errors():
            yield samples[name]
    log.raise_problems(path)


def open_set(path: Path) -> SampleSet:
    """Open the sample set that `sniff` saw."""
    return SampleSet.open(_folder(path) or path)


def _folder(path: Path) -> Path | None:
    if path.is_dir():
        inside = subfolders(path)
        homes = [path, *inside] if len(inside) == 1 else [path]
        return next((home for home in homes if (home / INDEX).is_file()), None)
    return path.parent if path.name == INDEX and path.is_file() else None
