"""What a command names: a key of the store, the trainings of a finished run, or those of a study file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from synthbench.errors import ConfigError, StoreError
from synthbench.results.sources import read_sources, trainings_of
from synthbench.runner import plan_study
from synthbench.store import Store
from synthbench.study.model import load_study

__all__ = ["Trainings", "find_key", "find_trainings", "is_key"]

SHORTEST_KEY = 6
"""Digits of a key, at least: shorter ones are more likely misspelt names."""
_KEY = re.compile(rf"[0-9a-f]{{{SHORTEST_KEY},64}}")
_USES = {"fit-generator": {"draw": "generator"}, "fit-segmenter": {"evaluate": "segmenter"}}
"""Kind of a trained model → kinds of artifacts made with one, and where their content has its key."""


@dataclass(frozen=True)
class Trainings:
    """The trainings that a run or a study has.

    Attributes
    ----------
    name : str
        What was given.
    rows : list of mapping
        See `synthbench.results.sources.trainings_of`.
    run : Path or None
        The run folder.
    study : Path
        The study file.
    """

    name: str
    rows: list[dict[str, Any]]
    run: Path | None
    study: Path


def is_key(target: str) -> bool:
    """Whether a text looks like a key, or the first digits of one, and isn't a path of something that exists."""
    return bool(_KEY.fullmatch(target)) and not Path(target).exists()


def find_key(store: Store, prefix: str, kind: str) -> str:
    """Return the whole key of a trained model.

    Parameters
    ----------
    store
    prefix
        Its first digits, or those of a synthetic set that it drew, or of an evaluation of its predictions.
    kind
        ``"fit-generator"`` or ``"fit-segmenter"``.

    Raises
    ------
    StoreError
        If no key begins so, several do, or it is that of something else.
    """
    found = [(each, path.name) for each in store.kinds() for path in (store.root / each).glob(f"{prefix}*")]
    if len(found) != 1:
        problem = "no key begins so" if not found else f"{len(found)} keys begin so; give more digits"
        hint = "" if found else "; results/tasks.csv of a run folder has the keys, and --store names another store"
        raise StoreError(f"key {prefix!r}: {problem} (looked in {store.root}){hint}")
    (of, key), what = found[0], kind.removeprefix("fit-")
    if of == kind:
        return key
    artifact = store.find(of, key) if of in _USES[kind] else None
    if artifact is None:
        raise StoreError(f"key {prefix!r}: is of the kind {of}; expected a trained {what}, of the kind {kind}")
    return str(artifact.record["content"][_USES[kind][of]])


def find_trainings(target: str, store: Store, device: str) -> Trainings:
    """Return the trainings of a run folder or a study file.

    Parameters
    ----------
    target
        A folder that ``synthbench run`` wrote, or a study file, which is planned: its datasets and plugins are read.
    store
    device
        The kind of device that a study file is planned for.

    Raises
    ------
    ConfigError
        If it is neither.
    SynthbenchError
        If the run isn't finished, or the study can't be planned.
    """
    path = Path(target).expanduser()
    if path.is_dir():
        return Trainings(target, read_sources(path)["trainings"], path, path / "study.yaml")
    if path.is_file():
        plan = plan_study(load_study(path), store, Console(stderr=True, markup=False, quiet=True), device).plan
        return Trainings(target, trainings_of(plan), None, path)
    raise ConfigError(
        f"{target}: no run folder, study file or key; give the folder that 'synthbench run' wrote, a YAML file, or the "
        f"first {SHORTEST_KEY} digits of a key at least"
    )
