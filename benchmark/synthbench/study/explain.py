"""Why a key is what it is: what it is made of, and which part differs from the nearest one that is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthbench.errors import StoreError
from synthbench.store import Store

__all__ = ["Explained", "differences", "explain", "flat"]


@dataclass(frozen=True)
class Explained:
    """A key and its nearest stored neighbour.

    Attributes
    ----------
    key, kind, label : str
    stored : bool
    content : mapping
        What the key is the SHA-256 of.
    nearest : str or None
        The key of the stored artifact of this kind, other than this one, that differs least.
    differences : list of (where, here, there)
        Dotted path, this key's value, the neighbour's.
    """

    key: str
    kind: str
    label: str
    stored: bool
    content: Mapping[str, Any]
    nearest: str | None
    differences: list[tuple[str, Any, Any]]


def explain(prefix: str, store: Store, plans: Iterable[Path] = ()) -> Explained:
    """Explain a key, given by its first digits, that is stored or planned.

    Raises
    ------
    StoreError
        If no key begins so, or several do.
    """
    known = {record["key"]: dict(record) for kind in store.kinds() for record in store.records(kind)}
    stored = set(known)
    for path in plans:
        try:
            planned = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StoreError(f"{path}: no such file; give a run folder, which 'synthbench run' writes") from None
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{path}: can't be read as a plan: {error}") from None
        for key, row in planned.items():
            known.setdefault(key, {"key": key, **row})
    found = [key for key in known if key.startswith(prefix)]
    if len(found) != 1:
        problem = "no key begins so" if not found else f"{len(found)} keys begin so; give more digits"
        raise StoreError(
            f"key {prefix!r}: {problem} (looked in {store.root}); what is stored or in a run folder has keys: "
            "see results/tasks.csv there, or give --run DIR"
        )
    row = known[found[0]]
    mine = flat(row["content"])
    others = [known[key] for key in stored if key != row["key"] and known[key]["kind"] == row["kind"]]
    nearest = min(
        others, key=lambda other: (len(differences(mine, flat(other["content"]))), other["key"]), default=None
    )
    return Explained(
        key=row["key"],
        kind=row["kind"],
        label=row.get("label", ""),
        stored=row["key"] in stored,
        content=row["content"],
        nearest=nearest["key"] if nearest else None,
        differences=differences(mine, flat(nearest["content"])) if nearest else [],
    )


def flat(content: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings as one: dotted path → value."""
    if isinstance(content, Mapping) and content:
        return {
            k: v for name, value in content.items() for k, v in flat(value, f"{path}.{name}" if path else name).items()
        }
    return {path: content}


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return where two flat contents differ: path, value here, value there (None where there is none)."""
    paths = sorted(here.keys() | there.keys())
    return [(path, here.get(path), there.get(path)) for path in paths if here.get(path) != there.get(path)]
