"""What splits and fractions share: units that stay together, and an order that depends on seed and id alone.

The order is that of SHA-256 digests rather than of a random generator: the same on every machine and with every version
of NumPy.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from synthbench.errors import DataError
from synthbench.samples import Entry, SampleSet


def units_of(samples: SampleSet, entries: Iterable[Entry], group: str | None) -> dict[str, list[str]]:
    """Return the units that stay together: ids by group, or each id alone."""
    units: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        units[entry.id if group is None else group_of(entry, group, samples.name)].append(entry.id)
    return units


def group_of(entry: Entry, group: str, name: str) -> str:
    try:
        return entry.groups[group]
    except KeyError:
        known = ", ".join(sorted(entry.groups)) or "none"
        raise DataError(
            f"sample set {name!r}: {entry.id!r} has no group {group!r}; its groups: {known}; add groups "
            "with 'synthbench dataset add --groups' (a table) or '--group-from' (file names)"
        ) from None


def round_half_up(number: float) -> int:
    """Round half up, forgiving the last bits of a product such as 0.7 × 45."""
    return int(number + 0.5 + 1e-9)


def rank(name: str, seed: int, tag: str) -> str:
    return digest([tag, seed, name])


def digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
