"""What a generator is conditioned on beside the noise or the mask: groups of the samples, such as cell type and stage.

The values of a training sample's groups are its condition. A generator learns with the conditions of the training
samples, and draws new samples with conditions in the proportions of the training set, or in others that the
configuration asks for. How a network gets a condition is the method's matter: as one of the combinations of values
(`Conditions.classes`), as a value for each group (`Conditions.members`), or as planes (`Conditions.one_hot`).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from synthbench.errors import ConfigError, DataError, suggest
from synthbench.plugin.api import Config
from synthbench.samples import SampleSet
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training.state_files import read_state

__all__ = ["DEFAULT_GROUP", "UNKNOWN", "ConditionConfig", "Conditions", "apportion"]

DEFAULT_GROUP = "cell_type"
"""What generators that draw the mask as well are conditioned on, unless the configuration says otherwise."""
UNKNOWN = -1
"""Index of a value that isn't known, such as the cell type of an unlabelled image."""

_SUM_TOLERANCE = 1e-6


class ConditionConfig(Config):
    """Base of the configuration of a generator that is conditioned on groups of the samples."""

    condition_on: tuple[str, ...] | None = Field(
        None,
        description="groups of the samples, such as [cell_type, stage], that the network is conditioned on; []: none. "
        "By default those of draw; without it cell_type in generators that draw the mask as well, if all training "
        "samples have it and it has two values or more, and none in the others",
    )
    draw: Literal["training"] | dict[str, dict[str, float]] = Field(
        "training",
        description="conditions of the drawn samples: training, as often as in the training set, or proportions by "
        "group and value, such as {cell_type: {A172: 0.5, BT474: 0.5}}; groups that aren't named follow the training "
        "samples with these values",
    )

    @field_validator("condition_on", mode="before")
    @classmethod
    def _accept_a_single_group(cls, value: object) -> object:
        return ([value] if value else []) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_draw(self) -> Self:
        for group, proportions in self.proportions.items():
            if self.condition_on is not None and group not in self.condition_on:
                named = ", ".join(self.condition_on) or "empty"
                raise ValueError(f"draw: {group!r} isn't in condition_on, which is {named}; add it there")
            if not all(math.isfinite(p) and p >= 0 for p in proportions.values()):
                raise ValueError(f"draw: the proportions of {group} must be numbers of 0 or more")
            total = sum(proportions.values())
            if abs(total - 1) > _SUM_TOLERANCE:
                raise ValueError(f"draw: the proportions of {group} sum to {total:g}; they must sum to 1")
        return self

    def required_groups(self) -> tuple[str, ...]:
        """Return the groups that the configuration names; see `synthbench.Config.required_groups`."""
        return tuple(self.proportions) if self.condition_on is None else self.condition_on

    @property
    def proportions(self) -> Mapping[str, Mapping[str, float]]:
        """What `draw` asks for; empty for ``training``."""
        return {} if self.draw == "training" else self.draw


@dataclass(frozen=True)
class Conditions:
    """The conditions of the training samples, and how often each is drawn.

    Attributes
    ----------
    groups : tuple of str
        The groups that the network is conditioned on; without those that have the same value in all training samples.
    values : tuple of tuple of str
        The values of each group, sorted.
    members : tuple of tuple of int
        For each training sample, the index of its value of each group.
    proportions : mapping
        Group → value → how often it is drawn; a group that isn't there is drawn as in the training set.
    """

    groups: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    members: tuple[tuple[int, ...], ...]
    proportions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, train: SampleSet, config: Config, default: str = "") -> Self:
        """Return the conditions that a configuration asks for; none if it isn't a `ConditionConfig`.

        Parameters
        ----------
        train
        config
        default
            Group to use if the configuration names none and all training samples have it.

        Raises
        ------
        DataError
            If a sample doesn't have a group that is named.
        ConfigError
            If a value, or a combination of values, is to be drawn that no training sample has.
        """
        if not isinstance(config, ConditionConfig):
            return cls.none(len(train))
        names = config.condition_on
        if names is None:
            names = tuple(config.proportions) or _default_groups(train, default)
        rows = [[_value(train, position, name) for name in names] for position in range(len(train))]
        all_values = {name: sorted(set(column)) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        for name, asked in config.proportions.items():
            _check_values(name, asked, all_values[name])
        varied = [k for k, name in enumerate(names) if len(all_values[name]) > 1]
        conditions = cls(
            groups=tuple(names[k] for k in varied),
            values=tuple(tuple(all_values[names[k]]) for k in varied),
            members=tuple(tuple(all_values[names[k]].index(row[k]) for k in varied) for row in rows),
            proportions={names[k]: config.proportions[names[k]] for k in varied if names[k] in config.proportions},
        )
        for wanted in conditions.wanted:
            conditions.candidates(wanted)
        return conditions

    @classmethod
    def none(cls, count: int) -> Self:
        """Return no conditions, for `count` training samples."""
        return cls((), (), ((),) * count)

    # -- what a network gets -----------------------------------------------------------------------------------------

    @cached_property
    def combinations(self) -> tuple[tuple[int, ...], ...]:
        """The combinations of values that training samples have, sorted; a single empty one without conditions."""
        return tuple(sorted(set(self.members)))

    @property
    def class_count(self) -> int:
        """Number of combinations; 0 without conditions."""
        return len(self.combinations) if self.groups else 0

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """Index of each training sample's combination; 0 without conditions."""
        number = {combination: k for k, combination in enumerate(self.combinations)}
        return tuple(number[member] for member in self.members)

    @property
    def fractions(self) -> list[float]:
        """The fraction of the training samples that each combination has; ``[1.0]`` without conditions."""
        return [self.classes.count(k) / len(self.classes) for k in range(max(1, self.class_count))]

    @cached_property
    def one_hot(self) -> NDArray[np.float32]:
        """``(samples, values of all groups)``: 1 for the values that a training sample has, else 0."""
        return np.stack([self.encode(self.groups_of(position)) for position in range(len(self.members))])

    def encode(self, groups: Mapping[str, str]) -> NDArray[np.float32]:
        """Return a row as those of `one_hot` for the groups of any sample; unknown values are 0 everywhere."""
        indices = self.indices(groups)
        rows = [np.arange(len(of_group)) == k for of_group, k in zip(self.values, indices, strict=True)]
        row: NDArray[np.float32] = np.concatenate([np.zeros(0, bool), *rows]).astype(np.float32)
        return row

    def indices(self, groups: Mapping[str, str]) -> tuple[int, ...]:
        """Return the index of a sample's value of each group; `UNKNOWN` where training samples don't have it."""
        named = zip(self.groups, self.values, strict=True)
        return tuple(of.index(groups[name]) if groups.get(name) in of else UNKNOWN for name, of in named)

    def groups_of(self, position: int) -> dict[str, str]:
        """Return the groups of a training sample that the network is conditioned on: name → value."""
        named = zip(self.groups, self.values, self.members[position], strict=True)
        return {name: values[k] for name, values, k in named}

    # -- what is drawn ------------------------------------------------------------------------------------------------

    def choose(self, index: int, seed: int) -> int | None:
        """Return the training sample whose condition a drawn sample gets; None if any may be taken.

        After n samples of a seed, each combination that is asked for has been chosen as often as its proportion says,
        give or take less than one; see `apportion`. Which training sample with that combination is chosen is random.

        Parameters
        ----------
        index, seed
            Of the drawn sample.
        """
        if not self.proportions:
            return None
        length = max(64, 1 << index.bit_length())  # index < length, in steps that a cache can keep
        order = _order(tuple(self.wanted.values()), seed, length)
        found = self.candidates(tuple(self.wanted)[order[index]])
        return found[int(stream(seed, "conditions.sample", index).integers(len(found)))]

    @cached_property
    def wanted(self) -> dict[tuple[tuple[str, str], ...], float]:
        """The combinations that are asked for, each as ``((group, value), …)``, with their proportions above 0.

        If several groups are asked for, a combination's proportion is the product of its values'.
        """
        if not self.proportions:
            return {}
        choices = [[(name, value) for value in asked] for name, asked in self.proportions.items()]
        found = {
            combination: math.prod(self.proportions[name][value] for name, value in combination)
            for combination in itertools.product(*choices)
        }
        return {combination: p for combination, p in found.items() if p > 0}

    def candidates(self, combination: Iterable[tuple[str, str]]) -> list[int]:
        """Return the training samples that have these values; raise `ConfigError` if there are none."""
        asked = dict(combination)
        found = [k for k in range(len(self.members)) if asked.items() <= self.groups_of(k).items()]
        if not found:
            named = " and ".join(f"{name} {value!r}" for name, value in asked.items())
            raise ConfigError(f"draw: no training sample has {named}; set the proportion of one of them to 0")
        return found

    # -- files --------------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write them to a JSON file, for `load`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote; raise `StoreError` if the file is missing or damaged."""
        return read_state(path, cls._from_json)

    @classmethod
    def _from_json(cls, rows: dict[str, Any]) -> Self:
        values, members = (tuple(tuple(row) for row in rows[name]) for name in ("values", "members"))
        return cls(tuple(rows["groups"]), values, members, dict(rows["proportions"]))


def apportion(proportions: tuple[float, ...], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a sequence in which each of K choices is as frequent as its proportion from the beginning on.

    After n terms, a choice with the proportion p has occurred n · p times, give or take 1 − 1 / (2K − 2) at most: of
    the choices that may occur without being too frequent, the one is taken that must occur soonest (Tijdeman 1980, "The
    chairman assignment problem").

    Parameters
    ----------
    proportions
        Above 0, with the sum 1.
    count
        Number of terms, 0 or more; a longer sequence begins with the shorter one.
    rng
        Decides between choices that are alike.

    Returns
    -------
    ndarray
        ``(count,)`` int64, 0 … K − 1.
    """
    shares, slack = np.array(proportions) / sum(proportions), 1 / max(2, 2 * len(proportions) - 2)
    rank = rng.permutation(len(shares))
    taken, order = np.zeros(len(shares)), np.zeros(count, np.int64)
    for n in range(count):
        due = (n + 1) * shares - taken
        deadline = np.where(due >= slack - _SUM_TOLERANCE, (1 - slack - due) / shares, np.inf)
        soonest = np.flatnonzero(deadline <= deadline.min() + _SUM_TOLERANCE)
        order[n] = soonest[rank[soonest].argmin()]
        taken[order[n]] += 1
    return order


@lru_cache(maxsize=16)
def _order(proportions: tuple[float, ...], seed: int, length: int) -> NDArray[np.int64]:
    return apportion(proportions, length, stream(seed, "conditions.order"))


def _default_groups(train: SampleSet, default: str) -> tuple[str, ...]:
    return (default,) if default and all(entry.groups.get(default) for entry in train.entries) else ()


def _value(train: SampleSet, position: int, name: str) -> str:
    entry = train.entries[position]
    if not entry.groups.get(name):
        hint = suggest(name, entry.groups) or f"; it has: {', '.join(entry.groups) or 'none'}"
        raise DataError(f"condition_on: sample {entry.id!r} has no group {name!r}{hint}")
    return entry.groups[name]


def _check_values(name: str, asked: Mapping[str, float], known: list[str]) -> None:
    for value in asked:
        if value not in known:
            hint = suggest(value, known) or f"; there are: {', '.join(known)}"
            raise ConfigError(f"draw: no training sample has {name} {value!r}{hint}")
