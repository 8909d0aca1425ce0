"""The tables of several results as one: each training once, generators of the same name but other keys apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from synthbench.board.entries import Entry
from synthbench.bundle.contents import TRAINING, training_of
from synthbench.results import TABLES, Results
from synthbench.study.model import GeneratorConfig, PluginConfig, Study

__all__ = ["Merging", "Repeats"]

Key = tuple[Any, ...]
_SET = ("dataset", "fold", "fraction", "generator", "generator_seed")
_TOLERANCE = 1e-9
_COUNTS = ("tp", "fp", "fn", "iou_sum", "dice", "cldice")
_ALL, _VERIFIED, _REPORTED = "re-run", "verified", "self-reported"


@dataclass
class Repeats:
    """Trainings that several entries have.

    Attributes
    ----------
    same : int
        Those that are one training: they took the same time to the last digit.
    confirmed : int
        Those that were trained independently, with the same scores.
    differing : list of str
        Those that were trained independently, with other scores: a sentence each.
    """

    same: int = 0
    confirmed: int = 0
    differing: list[str] = field(default_factory=list)


@dataclass
class _Training:
    key: str
    entry: str
    verified: bool
    seconds: float
    rows: pd.DataFrame
    repeated: bool = False
    others: list[str] = field(default_factory=list)


class Merging:
    """Joins results that can be paired, one after the other.

    Parameters
    ----------
    study
        Without generators.

    Attributes
    ----------
    notes : list of str
    repeats : Repeats
    """

    def __init__(self, study: Study) -> None:
        self.notes: list[str] = []
        self.repeats = Repeats()
        self._study = study
        self._generators: dict[str, GeneratorConfig] = {}
        self._convergence: dict[str, dict[str, dict[int, float]]] = {}
        self._known: dict[Key, _Training] = {}
        self._tables: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}

    def add(self, entry: Entry) -> None:
        """Add what an entry has that is not known yet, and compare the rest."""
        keys = {training_of(row): str(row["evaluate"]) for row in entry.contents.trainings}
        names = {title: self._name(title, keys, entry) for title in _generators(keys)}
        results = entry.contents.results
        tables = {name: _renamed(getattr(results, name), names) for name in TABLES}
        keys = {training_of(_renamed_row(dict(zip(TRAINING, key, strict=True)), names)): k for key, k in keys.items()}
        rows = _by_training(tables["images"])
        seconds = {training_of(row): float(row["fit_seconds"]) for _, row in tables["runs"].iterrows()}
        new = set()
        for key, evaluate in keys.items():
            verified = dict(zip(TRAINING, key, strict=True))["tested_on"] in entry.verified
            own = _Training(evaluate, entry.name, verified, seconds.get(key, np.nan), rows.get(key, pd.DataFrame()))
            if key in self._known:
                self._compare(self._known[key], own, key)
            else:
                self._known[key] = own
                new.add(key)
        for choice in entry.contents.study.generators:
            title = names.get(choice.title, choice.title)
            self._generators.setdefault(
                title, choice.model_copy(update={"label": title}) if title != choice.title else choice
            )
        for segmenter in entry.contents.study.segmenters:
            if segmenter.budget is not None and segmenter.budget.score_by_steps is not None:
                self._convergence.setdefault(segmenter.title, segmenter.budget.score_by_steps)
        for name in ("runs", "images"):
            self._tables[name].append(_only(tables[name], new))
        for name in ("fidelity", "label_consistency", "tasks"):
            self._tables[name].append(tables[name])

    def _name(self, title: str, keys: Mapping[Key, str], entry: Entry) -> str:
        """Return what a generator of an entry is called: its title, that of the same generator, or a new one."""
        own = {key: evaluate for key, evaluate in keys.items() if _generator(key) == title}
        common = [key for key in own if key in self._known]
        if common:
            if all(self._known[key].key == own[key] for key in common):
                return title
        elif title not in self._generators:
            return self._same_generator(title, own, entry)
        new, number = f"{title} ({entry.name})", 1
        while new in self._generators:
            number += 1
            new = f"{title} ({entry.name} {number})"
        self.notes.append(
            f"{title} of {entry.name} is another method than {title} of an earlier entry (other configuration, source "
            f"or versions), and is called {new}"
        )
        return new

    def _same_generator(self, title: str, own: Mapping[Key, str], entry: Entry) -> str:
        known: dict[str, set[str]] = {}
        for key, training in self._known.items():
            if _generator(key):
                known.setdefault(_generator(key), set()).add(training.key)
        for other, evaluated in known.items():
            if set(own.values()) <= evaluated:
                self.notes.append(f"{title} of {entry.name} has the keys of {other}, and is counted once, as {other}")
                return other
        return title

    def _compare(self, first: _Training, other: _Training, key: Key) -> None:
        first.others.append(other.entry)
        if first.seconds == other.seconds:
            self.repeats.same += 1
            first.verified |= other.verified
            return
        if _agree(first.rows, other.rows):
            self.repeats.confirmed += 1
            first.repeated |= first.verified and other.verified
            return
        about = dict(zip(TRAINING, key, strict=True))
        self.repeats.differing.append(
            f"{about['segmenter']} on {about['arm']}, seed {about['seed']}, {about['dataset']} with "
            f"{about['fraction']} images: {other.entry} has other scores than {first.entry} for the same key"
        )

    def results(self) -> Results:
        """Return the joined results."""
        tables = {name: _concatenated(parts) for name, parts in self._tables.items()}
        runs = tables["runs"]
        known = [self._known[training_of(row)] for _, row in runs.iterrows()]
        runs = runs.assign(
            entry=[", ".join(dict.fromkeys([each.entry, *each.others])) for each in known],
            verification=[_ALL if each.repeated else _VERIFIED if each.verified else _REPORTED for each in known],
        )
        about_images = [name for name in ("image", "iou", "class") if name in tables["label_consistency"]]
        unique = {
            "fidelity": _unique(tables["fidelity"], _SET),
            "label_consistency": _unique(tables["label_consistency"], (*_SET, "segmenter", "seed", *about_images)),
            "tasks": _unique(tables["tasks"], ("key",)),
        }
        parts = {"generators": list(self._generators.values()), "segmenters": list(self._segmenters())}
        study = self._study.model_copy(update=parts)
        return Results(study, images=tables["images"], runs=runs, **unique)

    def _segmenters(self) -> Iterator[PluginConfig]:
        """Yield the segmenters of the study, with the scores by steps of the first entry that has them."""
        for choice in self._study.segmenters:
            found = self._convergence.get(choice.title)
            if found is None or choice.budget is None:
                yield choice
                continue
            budget = choice.budget.model_copy(update={"score_by_steps": found})
            yield choice.model_copy(update={"budget": budget})


def _generators(keys: Iterable[Key]) -> list[str]:
    return [title for title in dict.fromkeys(_generator(key) for key in keys) if title]


def _generator(key: Key) -> str:
    return str(key[TRAINING.index("generator")])


def _renamed(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    if "generator" not in table or all(title == new for title, new in names.items()):
        return table
    out = table.assign(generator=table["generator"].map(lambda title: names.get(title, title)))
    if "arm" in table:
        pairs = zip(table["arm"], table["generator"], strict=True)
        out["arm"] = [_arm(arm, title, names.get(title, title)) for arm, title in pairs]
    return out


def _renamed_row(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    title = row["generator"]
    return {**row, "generator": names.get(title, title), "arm": _arm(row["arm"], title, names.get(title, title))}


def _arm(arm: str, title: str, new: str) -> str:
    """Return the name of an arm with another name of its generator."""
    if not title:
        return arm
    head = "real + " if arm.startswith(f"real + {title}") else ""
    return f"{head}{new}{arm[len(head) + len(title) :]}"


def _by_training(table: pd.DataFrame) -> dict[Key, pd.DataFrame]:
    if table.empty:
        return {}
    groups = table.groupby(list(TRAINING), sort=False, dropna=False).indices
    return {training_of(table.iloc[places[0]]): table.iloc[places] for places in groups.values()}


def _only(table: pd.DataFrame, keys: set[Key]) -> pd.DataFrame:
    """Return the rows of some trainings."""
    if table.empty:
        return table
    numbers = table.groupby(list(TRAINING), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    kept = np.array([training_of(table.iloc[place]) in keys for place in first])
    return table.iloc[np.flatnonzero(kept[numbers])]


def _concatenated(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _unique(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    columns = [name for name in names if name in table]
    return table.drop_duplicates(columns, ignore_index=True) if columns else table


def _agree(first: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two trainings have the same scores on every test image, but for rounding."""
    order = [name for name in ("image", "iou", "class") if name in first and name in other]
    if len(first) != len(other) or not order:
        return False
    left, right = (table.sort_values(order).reset_index(drop=True) for table in (first, other))
    if not all(left[name].equals(right[name]) for name in order):
        return False
    counts = [name for name in _COUNTS if name in left and name in right]
    return all(np.allclose(left[n], right[n], rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True) for n in counts)
