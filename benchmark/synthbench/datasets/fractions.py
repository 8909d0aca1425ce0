"""Nested, stratified fractions of the training samples, chosen by ids, groups and object counts, never by pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from synthbench.datasets._ordering import rank, round_half_up, units_of
from synthbench.errors import ConfigError, DataError
from synthbench.samples import Entry, SampleSet

__all__ = ["STRATA", "take_fraction"]

STRATA = 4
"""Number of quantiles of the object count by which fractions are stratified."""


def take_fraction(
    samples: SampleSet, ids: Sequence[str], amount: float, seed: int = 0, *, stratify: str | None = None
) -> tuple[str, ...]:
    """Return a stratified fraction of some ids; with the same seed, smaller fractions are subsets of larger ones.

    Parameters
    ----------
    samples
        The set that the ids are from.
    ids
        Usually the training ids.
    amount
        A float is a fraction, 0 … 1; an int is a number of samples (``1.0`` is all of them, ``1`` is one).
    seed
    stratify
        Name of a group; by default four quantiles of the object count (of the covered fraction, for semantic sets).

    Returns
    -------
    tuple of str
        In the order of `ids`.

    Raises
    ------
    DataError
        If no sample remains, or more are requested than available.
    ConfigError
        If the amount is neither a fraction nor a number.
    """
    count = _count(amount, len(ids))
    strata = _strata(samples, ids, seed, stratify)
    keys: dict[str, tuple[float, str]] = {}
    for names in strata:
        names.sort(key=lambda name: rank(name, seed, "fraction"))
        keys.update({name: ((i + 0.5) / len(names), rank(name, seed, "tie")) for i, name in enumerate(names)})
    chosen = set(sorted(ids, key=lambda name: keys[name])[:count])
    return tuple(name for name in ids if name in chosen)


def _count(amount: float, available: int) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
        raise ConfigError(f"fraction {amount!r}: expected a fraction above 0 and up to 1.0, or a number of samples")
    if isinstance(amount, float):
        if amount > 1:
            raise ConfigError(f"fraction {amount}: expected at most 1.0, or an integer (number of samples)")
        count = round_half_up(amount * available)
        if count == 0:
            raise DataError(
                f"fraction {amount:g} of {available} samples leaves no samples; use a larger fraction or a number"
            )
        return count
    if amount > available:
        raise DataError(
            f"fractions: {amount} real images requested, but only {available} are for training; use at most "
            f"{available}, or 1.0 for all"
        )
    return amount


def _strata(samples: SampleSet, ids: Sequence[str], seed: int, stratify: str | None) -> list[list[str]]:
    entries = [samples.entries[samples.position(name)] for name in ids]
    if stratify is not None:
        return list(units_of(samples, entries, stratify).values())

    def key(entry: Entry) -> tuple[float, str]:
        amount = entry.objects if samples.task == "instances" else entry.covered
        return (amount, rank(entry.id, seed, "quantile"))

    ordered = [entry.id for entry in sorted(entries, key=key)]
    cuts = [len(ordered) * i // STRATA for i in range(STRATA + 1)]
    return [ordered[a:b] for a, b in pairwise(cuts) if b > a]
