"""Copies between image sets of a study, remembered by the store: looking for them reads all images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from synthbench.datasets.copies import NEAR, Copy, find_copies
from synthbench.io.atomic import atomic_write
from synthbench.plugin.api import Progress
from synthbench.samples import SampleSet
from synthbench.store import OTHER_STORE, Store, disk_errors, key_of

__all__ = ["copies_between"]


def copies_between(store: Store, images: SampleSet, originals: SampleSet, progress: Progress) -> Sequence[Copy]:
    """Return which images are copies of originals; see `synthbench.datasets.copies.find_copies`."""
    question = {"images": images.fingerprint, "originals": originals.fingerprint, "near": NEAR}
    memo = store.root / ".memo" / f"copies-{key_of(question)}.json"
    found = _read(memo)
    if found is None:
        found = find_copies(images, originals, progress)
        with disk_errors(memo):
            memo.parent.mkdir(exist_ok=True)
        atomic_write(memo, json.dumps([asdict(copy) for copy in found]), OTHER_STORE)
    return found


def _read(path: Path) -> list[Copy] | None:
    try:
        return [Copy(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None
