"""The library of datasets: a folder of sample sets by name, and how a name or path becomes samples."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthbench.datasets.building import build_dataset
from synthbench.datasets.importing import Import, prepare_import
from synthbench.datasets.unlabelled import unlabelled_folder
from synthbench.errors import ConfigError, DataError, suggest
from synthbench.plugin.api import Context, Progress, silent
from synthbench.plugin.registry import registry
from synthbench.samples import INDEX, SampleSet, Task

__all__ = ["Library", "default_root", "find_built", "open_dataset"]

HOME = "SYNTHBENCH_HOME"
ARCHIVE = "archive"
"""The key of a plugin's configuration that ``--from PATH`` sets."""
READER_VERSION = 3
"""Version of the import; when it increases, datasets given by path are imported again."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def default_root() -> Path:
    """Return ``$SYNTHBENCH_HOME/datasets``, else ``~/.local/share/synthbench/datasets``."""
    home = os.environ.get(HOME)
    return (Path(home).expanduser() if home else Path.home() / ".local" / "share" / "synthbench") / "datasets"


class Library:
    """Datasets by name, each a sample set in a folder of its own.

    Parameters
    ----------
    root
        By default `default_root`.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root) if root is not None else default_root()

    def names(self) -> list[str]:
        """Return the names of the datasets, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if (p / INDEX).is_file() and not p.name.startswith("."))

    def folder(self, name: str) -> Path:
        """Return where a dataset of this name is or would be; raise `DataError` if it can't be a name."""
        if not _NAME.fullmatch(name):
            raise DataError(f"dataset name {name!r}: use at most 80 letters, digits, '.', '_' and '-'")
        return self.root / name

    def open(self, name: str) -> SampleSet:
        """Open a dataset; raise `DataError`, with a suggestion, if there is none of this name."""
        if name not in self.names():
            raise DataError(f"no dataset named {name!r}{_hint(name, self.names())}")
        return SampleSet.open(self.folder(name))

    def add(self, prepared: Import, progress: Progress = silent) -> SampleSet:
        """Run an import, and keep its samples under its name.

        Parameters
        ----------
        prepared
            The result of `synthbench.datasets.importing.prepare_import`.
        progress
            Called after each sample.

        Raises
        ------
        DataError
            If the name is taken, or the data can't be used; nothing is written then.
        """
        return prepared.write(self.new_folder(prepared.name), progress)

    def build(
        self, plugin: str, config: Mapping[str, Any], *, name: str | None = None, progress: Progress = silent
    ) -> SampleSet:
        """Create or download the dataset of a plugin; an interrupted download is resumed."""
        import shutil

        folder = self._free(name or plugin)
        work = self.root / ".work" / plugin
        _make(work)
        samples = build_dataset(plugin, config, folder, Context(folder=work, progress=progress))
        shutil.rmtree(work, ignore_errors=True)
        return samples

    def new_folder(self, name: str, hint: str = "choose another --name") -> Path:
        """Return where a dataset goes that no plugin makes; raise `DataError`, with the hint, if the name is taken."""
        if name in registry().names("dataset"):
            raise DataError(f"dataset name {name!r} is used by a plugin; {hint}")
        return self._free(name, hint)

    def _free(self, name: str, hint: str = "choose another --name") -> Path:
        folder = self.folder(name)
        if folder.exists():
            raise DataError(f"dataset {name!r} already exists at {folder}; {hint}, or remove that folder")
        _make(self.root)
        return folder


def find_built(name: str, config: Mapping[str, Any], library: Library | None = None) -> tuple[SampleSet, Path] | None:
    """Return the set that a plugin built in the library, and its folder, if the configuration is the same.

    The path of its archive may differ: its content was verified when it was added.
    """
    library = library or Library()
    if name not in library.names():
        return None
    samples = library.open(name)
    built_config, config_asked = (
        {key: value for key, value in given.items() if key != ARCHIVE}
        for given in (samples.info.get("config", {}), config)
    )
    same = samples.info.get("plugin") == name and built_config == config_asked and not config.get(ARCHIVE)
    return (samples, library.folder(name)) if same else None


def open_dataset(
    name_or_path: str | Path,
    import_folder: Path | None = None,
    *,
    library: Library | None = None,
    task: Task | None = None,
    classes: Sequence[str] = (),
    components: bool = False,
    ignore: int | None = None,
    white: float | None = None,
    trusted: bool = False,
    progress: Progress = silent,
) -> tuple[SampleSet, Path]:
    """Return a dataset by its name in the library, or by the path of a sample set or of data that can be imported.

    An import is kept, and repeated only when the size or modification time of a file changes, so a path can be used in
    a study like a name.

    Parameters
    ----------
    name_or_path
    import_folder
        Where imports are kept; by default beside the library's datasets.
    library
        By default the one at `default_root`.
    task, classes, components, ignore, white, trusted
        How an import interprets images and masks; see `synthbench.datasets.importing.prepare_import`.

    Returns
    -------
    samples, folder
        The folder is the sample set's.

    Raises
    ------
    DataError
        If there is no such dataset; the message suggests a similar name.
    ConfigError
        If a value to ignore is given for a sample set.
    """
    library = library or Library()
    text = str(name_or_path)
    path = Path(name_or_path).expanduser()
    stored = text in library.names()
    if ignore is not None and (stored or (path / INDEX).is_file()):
        raise ConfigError(f"{text}: is a sample set, whose ignore region is already defined; remove --ignore")
    if stored:
        return library.open(text), library.folder(text)
    if not path.exists():
        known = library.names()
        if text in registry().names("dataset"):
            raise DataError(f"dataset {text!r} isn't in the library yet; add it with 'synthbench dataset add {text}'")
        known = list(dict.fromkeys([*known, *registry().names("dataset")]))
        raise DataError(f"{text}: not a path, a dataset of the library, or a dataset plugin{_hint(text, known)}")
    if (path / INDEX).is_file():
        return SampleSet.open(path), path
    detected = prepare_import(
        path, task=task, classes=classes, components=components, ignore=ignore, white=white, trusted=trusted
    )
    settings = [detected.options.task, *detected.options.classes, str(components)]
    settings += [f"ignore {ignore}"] if ignore is not None else []
    settings += [f"white {white:g}"] if white is not None else []
    settings += ["unlabelled"] if unlabelled_folder(detected.path) else []
    state = _state_of(path, [*settings, *(["trusted"] if trusted else []), f"reading {READER_VERSION}"])
    folder = (import_folder or library.root / ".imported") / f"{detected.name}-{state[:20]}"
    if (folder / INDEX).is_file():
        return SampleSet.open(folder), folder
    _make(folder.parent)
    try:
        return detected.write(folder, progress), folder
    except (DataError, OSError):
        if (folder / INDEX).is_file():  # another process finished the same import first
            return SampleSet.open(folder), folder
        raise


def _state_of(path: Path, settings: Sequence[str]) -> str:
    """Return a hash of the settings and of the names, sizes and modification times of the files at `path`."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    rows = [[p.relative_to(path).as_posix(), (s := p.stat()).st_size, s.st_mtime_ns] for p in files]
    return hashlib.sha256(json.dumps([str(path.resolve()), list(settings), rows]).encode()).hexdigest()


def _hint(name: str, known: Sequence[str]) -> str:
    return (
        suggest(name, known)
        or f"; available: {', '.join(known) or 'none'} (see 'synthbench dataset list', 'synthbench list datasets')"
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: can't be written: {error.strerror or error}; set {HOME} to another folder"
        ) from None
