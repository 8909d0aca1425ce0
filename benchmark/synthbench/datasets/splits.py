"""Splits: which samples train, validate and test; and nested fractions of the training samples.

Everything here is decided from ids and groups, never from pixels, and ordered by SHA-256 of seed and id rather than
by a random generator: the same bytes on every machine, whatever the version of numpy.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from synthbench.errors import ConfigError, DataError, suggest
from synthbench.samples import Entry, SampleSet

PARTS = ("train", "validation", "test")
SCHEMES = ("auto", "official", "holdout", "kfold")
FORMAT = 1
STRATA = 4
"""Number of quantiles of the object count that fractions are stratified by."""


@dataclass(frozen=True)
class Split:
    """Ids of three disjoint parts of a sample set, each in the set's order.

    Raises
    ------
    DataError
        If an id is in two parts, or twice in one.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        where: dict[str, str] = {}
        for part in PARTS:
            object.__setattr__(self, part, tuple(getattr(self, part)))
            for name in getattr(self, part):
                if name in where:
                    raise DataError(f"split: {name!r} is in {where[name]} and in {part}; it may be in one part only")
                where[name] = part

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The ids of the samples by part: train, validation and test."""
        return {part: getattr(self, part) for part in PARTS}

    @property
    def sha256(self) -> str:
        """SHA-256 over the three lists of ids."""
        return _sha256({part: list(ids) for part, ids in self.parts.items()})

    def check(self, samples: SampleSet, group: str | None = None) -> Split:
        """Return the split; raise `DataError` if `samples` lacks an id, or if a group is in two parts."""
        owner: dict[str, tuple[str, str]] = {}
        for part, ids in self.parts.items():
            for name in ids:
                entry = samples.entries[samples.position(name)]
                if group is None:
                    continue
                value = _group_of(entry, group, samples.name)
                first_part, first_id = owner.setdefault(value, (part, name))
                if first_part != part:
                    raise DataError(
                        f"sample set {samples.name!r}: the split leaks the {group} {value!r}: {first_id!r} is in "
                        f"{first_part} and {name!r} in {part}; split by 'holdout' or 'kfold' with group: {group}"
                    )
        return self


def make_splits(
    samples: SampleSet,
    scheme: str = "auto",
    *,
    folds: int = 5,
    test: float = 0.2,
    validation: float = 0.15,
    group: str | None = None,
    seed: int = 0,
) -> tuple[Split, ...]:
    """Split a sample set.

    Parameters
    ----------
    samples
    scheme
        ``official`` (the dataset's own, from ``groups["split"]``; samples without one are left out), ``holdout``
        (a share for testing), ``kfold``; ``auto`` is official where the dataset has a test split, else holdout.
    folds
        Number of folds of ``kfold``; every sample is tested once.
    test, validation
        Shares, between 0 and 1. Validation is taken from the training samples, unless the dataset has a validation
        split of its own. Each part gets at least one sample (or group).
    group
        Name of a group that stays together; a part's size then only comes close to its share.
    seed

    Returns
    -------
    tuple of Split
        `folds` of them for ``kfold``, else one.

    Raises
    ------
    DataError
        If there are too few samples or groups, a sample lacks the group, there is no official split, or the official
        split leaks a group.
    ConfigError
        If the scheme is unknown or a number is out of its range.
    """
    if scheme not in SCHEMES:
        raise ConfigError(f"split scheme {scheme!r}{suggest(scheme, SCHEMES) or '; there are: ' + ', '.join(SCHEMES)}")
    for name, share in (("test", test), ("validation", validation)):
        if not 0 < share < 1:
            raise ConfigError(f"split: {name} is {share}; give a share between 0 and 1")
    if scheme == "auto":
        scheme = "official" if any(e.groups.get("split") == "test" for e in samples.entries) else "holdout"
    if scheme == "official":
        found = [_official(samples, validation, group, seed)]
    elif scheme == "holdout":
        units = _units(samples, samples.entries, group)
        tested = _take(units, test, (seed, "test"), f"sample set {samples.name!r}: testing")
        found = [_with_validation(samples, set(tested), validation, group, (seed, "validation"))]
    else:
        found = _k_fold(samples, folds, validation, group, seed)
    return tuple(split.check(samples, group) for split in found)


def _official(samples: SampleSet, validation: float, group: str | None, seed: int) -> Split:
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for entry in samples.entries:
        part = entry.groups.get("split")
        if part is not None and part not in parts:
            raise DataError(
                f"sample set {samples.name!r}: {entry.id!r} is in the split {part!r}; splits are {', '.join(PARTS)}"
            )
        if part is not None:
            parts[part].append(entry.id)
    for part in ("train", "test"):
        if not parts[part]:
            raise DataError(f"sample set {samples.name!r}: has no official {part} split; use 'holdout' or 'kfold'")
    if parts["validation"]:
        return Split(**{part: tuple(ids) for part, ids in parts.items()})
    Split(tuple(parts["train"]), (), tuple(parts["test"])).check(samples, group)
    return _with_validation(
        samples, set(parts["test"]), validation, group, (seed, "validation"), among=set(parts["train"])
    )


def _k_fold(samples: SampleSet, folds: int, validation: float, group: str | None, seed: int) -> list[Split]:
    """Deal units, the largest first, to the fold that has the fewest samples."""
    units = _units(samples, samples.entries, group)
    if not 2 <= folds <= len(units):
        what = f"groups by {group}" if group else "samples"
        raise DataError(
            f"sample set {samples.name!r}: {folds} folds of {len(units)} {what}; give 2 … {len(units)} folds"
        )
    dealt: list[list[str]] = [[] for _ in range(folds)]
    for unit in sorted(units, key=lambda u: (-len(units[u]), _rank(u, seed, "fold"))):
        min(dealt, key=len).extend(units[unit])
    return [
        _with_validation(samples, set(ids), validation, group, (seed, f"validation of fold {fold}"))
        for fold, ids in enumerate(dealt)
    ]


def _with_validation(
    samples: SampleSet,
    tested: set[str],
    share: float,
    group: str | None,
    key: tuple[int, str],
    among: set[str] | None = None,
) -> Split:
    rest = [e for e in samples.entries if e.id not in tested and (among is None or e.id in among)]
    held = set(_take(_units(samples, rest, group), share, key, f"sample set {samples.name!r}: validation"))
    return Split(
        train=tuple(e.id for e in rest if e.id not in held),
        validation=tuple(e.id for e in rest if e.id in held),
        test=tuple(e.id for e in samples.entries if e.id in tested),
    )


def _units(samples: SampleSet, entries: Iterable[Entry], group: str | None) -> dict[str, list[str]]:
    """Return what stays together: ids by group, or each id alone."""
    units: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        units[entry.id if group is None else _group_of(entry, group, samples.name)].append(entry.id)
    return units


def _group_of(entry: Entry, group: str, name: str) -> str:
    try:
        return entry.groups[group]
    except KeyError:
        known = ", ".join(sorted(entry.groups)) or "none"
        raise DataError(
            f"sample set {name!r}: {entry.id!r} has no group {group!r}; its groups: {known}. A table or the file names "
            "can tell groups: 'synthbench dataset add' takes --groups and --group-from"
        ) from None


def _take(units: Mapping[str, Sequence[str]], share: float, key: tuple[int, str], what: str) -> list[str]:
    """Return the ids of units that together come close to a share; at least one unit is taken and one left."""
    if len(units) < 2:
        raise DataError(f"{what} needs at least two samples or groups to choose from, and there are {len(units)}")
    total = sum(map(len, units.values()))
    target = max(1, _round(share * total))
    order = sorted(units, key=lambda unit: _rank(unit, *key))
    taken: list[str] = []
    ids = 0
    for unit in order:
        if ids + len(units[unit]) / 2 <= target and len(taken) < len(units) - 1 and ids < target:
            taken.append(unit)
            ids += len(units[unit])
    taken = taken or [min(order, key=lambda unit: len(units[unit]))]
    return [name for unit in taken for name in units[unit]]


def _round(number: float) -> int:
    """Round half up, forgiving the last bits of a product such as 0.7 × 45."""
    return int(number + 0.5 + 1e-9)


def _rank(name: str, seed: int, tag: str) -> str:
    return _sha256([tag, seed, name])


# -- fractions ------------------------------------------------------------------------------------------------------


def take_fraction(
    samples: SampleSet, ids: Sequence[str], amount: float, seed: int = 0, *, stratify: str | None = None
) -> tuple[str, ...]:
    """Return a stratified part of some ids; of one seed, a smaller part lies within every larger one.

    Parameters
    ----------
    samples
        The set that the ids are from.
    ids
        Usually the training ids.
    amount
        A float is a share, 0 … 1; an int is a number of samples (so ``1.0`` is all of them, and ``1`` is one).
    seed
    stratify
        Name of a group; by default four quantiles of the object count (of the covered share, for semantic sets).

    Returns
    -------
    tuple of str
        In the order of `ids`.

    Raises
    ------
    DataError
        If nothing is left, or more is asked for than there is.
    ConfigError
        If the amount is no share and no number.
    """
    count = _count(amount, len(ids))
    strata = _strata(samples, ids, seed, stratify)
    keys: dict[str, tuple[float, str]] = {}
    for names in strata:
        names.sort(key=lambda name: _rank(name, seed, "fraction"))
        keys.update({name: ((i + 0.5) / len(names), _rank(name, seed, "tie")) for i, name in enumerate(names)})
    chosen = set(sorted(ids, key=lambda name: keys[name])[:count])
    return tuple(name for name in ids if name in chosen)


def _count(amount: float, available: int) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
        raise ConfigError(f"fraction {amount!r}: give a share above 0, up to 1.0, or a number of samples")
    if isinstance(amount, float):
        if amount > 1:
            raise ConfigError(f"fraction {amount}: a share is at most 1.0; a number of samples is a whole number")
        count = _round(amount * available)
        if count == 0:
            raise DataError(
                f"fraction {amount:g} of {available} samples leaves no image; ask for more, or give a number"
            )
        return count
    if amount > available:
        raise DataError(
            f"fractions: {amount} real images were asked for, and {available} are for training; give {available} or "
            "fewer, or 1.0 for all"
        )
    return amount


def _strata(samples: SampleSet, ids: Sequence[str], seed: int, stratify: str | None) -> list[list[str]]:
    entries = [samples.entries[samples.position(name)] for name in ids]
    if stratify is not None:
        return list(_units(samples, entries, stratify).values())

    def key(entry: Entry) -> tuple[float, str]:
        amount = entry.objects if samples.task == "instances" else entry.covered
        return (amount, _rank(entry.id, seed, "quantile"))

    ordered = [entry.id for entry in sorted(entries, key=key)]
    cuts = [len(ordered) * i // STRATA for i in range(STRATA + 1)]
    return [ordered[a:b] for a, b in pairwise(cuts) if b > a]


# -- files ----------------------------------------------------------------------------------------------------------


def write_splits(path: str | Path, splits: Sequence[Split]) -> str:
    """Write splits to a JSON file, the same bytes on every machine; return the SHA-256 that it carries.

    Raises
    ------
    DataError
        If the file can't be written; an older one stays as it was.
    """
    path = Path(path)
    rows = [{part: list(ids) for part, ids in split.parts.items()} for split in splits]
    content: dict[str, Any] = {"format": FORMAT, "splits": rows}
    content["sha256"] = _sha256({"format": FORMAT, "splits": rows})
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except OSError as error:
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
        raise DataError(f"{path}: can't be written: {error.strerror or error}") from None
    return str(content["sha256"])


def read_splits(path: str | Path) -> tuple[Split, ...]:
    """Read what `write_splits` wrote; raise `DataError` if the file is missing, damaged or altered."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file of splits") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: can't be read: {error}") from None
    try:
        if content["format"] != FORMAT:
            raise DataError(f"{path}: format {content['format']}, this version reads {FORMAT}")
        rows = content["splits"]
        if content["sha256"] != _sha256({"format": FORMAT, "splits": rows}):
            raise DataError(f"{path}: was altered since it was frozen; restore it, or freeze the splits anew")
        return tuple(Split(**row) for row in rows)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged file of splits ({error!r})") from None


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
