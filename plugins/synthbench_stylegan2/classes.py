"""Classes of the training samples, from one of their groups."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from synthbench import SampleSet
from synthbench.errors import DataError, suggest
from synthbench.toolkit.training.state_files import read_state

__all__ = ["Classes"]

_DEFAULT_GROUP = "cell_type"


@dataclass(frozen=True)
class Classes:
    """Which class each training sample has.

    Attributes
    ----------
    group : str
        The group that gives it; empty without classes.
    names : tuple of str
        Sorted; empty without classes.
    members : tuple of int
        The class of each training sample, in their order; all 0 without classes.
    """

    group: str
    names: tuple[str, ...]
    members: tuple[int, ...]

    @classmethod
    def of(cls, train: SampleSet, group: str | None) -> Self:
        """Read them off the samples; see `group` of the configuration.

        Raises
        ------
        DataError
            If a sample lacks the group that was named.
        """
        name = _DEFAULT_GROUP if group is None else group
        values = [entry.groups.get(name, "") for entry in train.entries]
        if group and not all(values):
            lacking = train.entries[values.index("")]
            hint = suggest(group, lacking.groups) or f"; it has: {', '.join(lacking.groups) or 'none'}"
            raise DataError(f"sample {lacking.id!r} has no group {group!r}{hint}")
        names = tuple(sorted(set(values)))
        if not name or not all(values) or len(names) < 2:
            return cls("", (), (0,) * len(values))
        return cls(name, names, tuple(names.index(value) for value in values))

    @property
    def fractions(self) -> list[float]:
        """The fraction of the training samples that each class has; ``[1.0]`` without classes."""
        counts = Counter(self.members)
        return [counts[k] / len(self.members) for k in range(max(1, len(self.names)))]

    def groups(self, position: int) -> dict[str, str]:
        """Return the group with the class of training sample `position`; nothing without classes."""
        return {self.group: self.names[self.members[position]]} if self.names else {}

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what `save` wrote; raise `StoreError` if the file is missing or damaged."""
        return read_state(path, cls._from_json)

    @classmethod
    def _from_json(cls, rows: dict[str, Any]) -> Self:
        return cls(str(rows["group"]), tuple(rows["names"]), tuple(int(k) for k in rows["members"]))
