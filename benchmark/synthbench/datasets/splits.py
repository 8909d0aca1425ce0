"""Splits: which samples train, validate and test.

Everything is decided from ids and groups, never from pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthbench.datasets._ordering import digest, group_of, rank, round_half_up, units_of
from synthbench.datasets.unlabelled import labelled_samples
from synthbench.errors import ConfigError, DataError, suggest
from synthbench.samples import SampleSet

__all__ = ["PARTS", "SCHEMES", "Split", "make_splits"]

PARTS = ("train", "validation", "test")
SCHEMES = ("auto", "official", "holdout", "kfold")


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
                    raise DataError(
                        f"split: {name!r} is in {where[name]} and in {part}; each id may be in one part only"
                    )
                where[name] = part

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The ids of the samples by part: train, validation and test."""
        return {part: getattr(self, part) for part in PARTS}

    @property
    def sha256(self) -> str:
        """SHA-256 over the three lists of ids."""
        return digest({part: list(ids) for part, ids in self.parts.items()})

    def check(self, samples: SampleSet, group: str | None = None) -> Split:
        """Return the split; raise `DataError` if `samples` lacks an id, or if a group is in two parts.

        Images without labels can't be in a part: they count as ids that the set lacks.
        """
        samples = labelled_samples(samples)
        owner: dict[str, tuple[str, str]] = {}
        for part, ids in self.parts.items():
            for name in ids:
                entry = samples.entries[samples.position(name)]
                if group is None:
                    continue
                value = group_of(entry, group, samples.name)
                first_part, first_id = owner.setdefault(value, (part, name))
                if first_part != part:
                    raise DataError(
                        f"sample set {samples.name!r}: the split leaks {group} {value!r}: {first_id!r} is in "
                        f"{first_part}, {name!r} in {part}; use scheme 'holdout' or 'kfold' with group: {group}"
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
        Images without labels (`synthbench.datasets.unlabelled`) are in no part.
    scheme
        ``official`` (the dataset's own, from ``groups["split"]``; samples without one are left out), ``holdout``
        (a fraction for testing), ``kfold``; ``auto`` is official where the dataset has a test split, else holdout.
    folds
        Number of folds of ``kfold``; every sample is tested once.
    test, validation
        Fractions, between 0 and 1. Validation is taken from the training samples, unless the dataset has a validation
        split of its own. Each part gets at least one sample (or group).
    group
        Name of a group that stays together; a part's size is then only close to its fraction.
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
        raise ConfigError(f"split scheme {scheme!r}{suggest(scheme, SCHEMES) or '; available: ' + ', '.join(SCHEMES)}")
    for name, share in (("test", test), ("validation", validation)):
        if not 0 < share < 1:
            raise ConfigError(f"split: {name} is {share}; expected a fraction between 0 and 1")
    samples = labelled_samples(samples)
    if scheme == "auto":
        scheme = "official" if any(e.groups.get("split") == "test" for e in samples.entries) else "holdout"
    if scheme == "official":
        splits = [_official(samples, validation, group, seed)]
    elif scheme == "holdout":
        units = units_of(samples, samples.entries, group)
        tested = _take(units, test, (seed, "test"), f"sample set {samples.name!r}: testing")
        splits = [_with_validation(samples, set(tested), validation, group, (seed, "validation"))]
    else:
        splits = _k_fold(samples, folds, validation, group, seed)
    return tuple(split.check(samples, group) for split in splits)


def _official(samples: SampleSet, validation: float, group: str | None, seed: int) -> Split:
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for entry in samples.entries:
        part = entry.groups.get("split")
        if part is not None and part not in parts:
            raise DataError(
                f"sample set {samples.name!r}: {entry.id!r} has the split {part!r}; expected one of {', '.join(PARTS)}"
            )
        if part is not None:
            parts[part].append(entry.id)
    for part in ("train", "test"):
        if not parts[part]:
            raise DataError(
                f"sample set {samples.name!r}: has no official {part} split; use scheme 'holdout' or 'kfold'"
            )
    if parts["validation"]:
        return Split(**{part: tuple(ids) for part, ids in parts.items()})
    Split(tuple(parts["train"]), (), tuple(parts["test"])).check(samples, group)
    return _with_validation(
        samples, set(parts["test"]), validation, group, (seed, "validation"), among=set(parts["train"])
    )


def _k_fold(samples: SampleSet, folds: int, validation: float, group: str | None, seed: int) -> list[Split]:
    """Assign units, the largest first, to the fold with the fewest samples."""
    units = units_of(samples, samples.entries, group)
    if not 2 <= folds <= len(units):
        what = f"groups by {group}" if group else "samples"
        raise DataError(
            f"sample set {samples.name!r}: can't make {folds} folds of {len(units)} {what}; use 2 … {len(units)}"
        )
    fold_ids: list[list[str]] = [[] for _ in range(folds)]
    for unit in sorted(units, key=lambda u: (-len(units[u]), rank(u, seed, "fold"))):
        min(fold_ids, key=len).extend(units[unit])
    return [
        _with_validation(samples, set(ids), validation, group, (seed, f"validation of fold {fold}"))
        for fold, ids in enumerate(fold_ids)
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
    held = set(_take(units_of(samples, rest, group), share, key, f"sample set {samples.name!r}: validation"))
    return Split(
        train=tuple(e.id for e in rest if e.id not in held),
        validation=tuple(e.id for e in rest if e.id in held),
        test=tuple(e.id for e in samples.entries if e.id in tested),
    )


def _take(units: Mapping[str, Sequence[str]], share: float, key: tuple[int, str], what: str) -> list[str]:
    """Return the ids of units that together come close to a share; at least one unit is taken and one left."""
    if len(units) < 2:
        raise DataError(f"{what} needs at least two samples or groups; there is {len(units)}")
    total = sum(map(len, units.values()))
    target = max(1, round_half_up(share * total))
    order = sorted(units, key=lambda unit: rank(unit, *key))
    taken: list[str] = []
    ids = 0
    for unit in order:
        if ids + len(units[unit]) / 2 <= target and len(taken) < len(units) - 1 and ids < target:
            taken.append(unit)
            ids += len(units[unit])
    taken = taken or [min(order, key=lambda unit: len(units[unit]))]
    return [name for unit in taken for name in units[unit]]
