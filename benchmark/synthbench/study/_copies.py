"""Copies between image sets of a study, remembered by the store: looking for them reads all images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from synthbench.datasets.copies import MAX_SHIFT, NEAR, Copy, find_copies, pixel_hash
from synthbench.io.atomic import atomic_write
from synthbench.plugin.api import Progress
from synthbench.samples import SampleSet
from synthbench.store import OTHER_STORE, Store, disk_errors, key_of

__all__ = ["copies_between", "repeated_images"]


def copies_between(store: Store, images: SampleSet, originals: SampleSet, progress: Progress) -> Sequence[Copy]:
    """Return which images are copies of originals; see `synthbench.datasets.copies.find_copies`."""
    question = {"images": images.fingerprint, "originals": originals.fingerprint, "near": NEAR, "shifted": MAX_SHIFT}
    memo = store.root / ".memo" / f"copies-{key_of(question)}.json"
    found = _read(memo)
    if found is None:
        found = find_copies(images, originals, progress)
        _write(memo, [asdict(copy) for copy in found])
    return found


def repeated_images(store: Store, sets: Sequence[SampleSet], progress: Progress) -> list[tuple[str, str]]:
    """Return which images of the sets are equal in every pixel to one before them: (id of the first, id)."""
    first: dict[str, str] = {}
    repeated = []
    for samples in sets:
        for name, pixels in zip(samples.ids, _pixel_hashes(store, samples, progress), strict=True):
            if pixels in first:
                repeated.append((first[pixels], name))
            first.setdefault(pixels, name)
    return repeated


def _pixel_hashes(store: Store, samples: SampleSet, progress: Progress) -> list[str]:
    """Return the hash of each image's pixels, which the store remembers."""
    memo = store.root / ".memo" / f"pixels-{key_of({'images': samples.fingerprint})}.json"
    try:
        found = [str(value) for value in json.loads(memo.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        found = []
    if len(found) != len(samples):
        found = []
        for number, sample in enumerate(samples, start=1):
            found.append(pixel_hash(sample.image))
            progress(number, len(samples), "looking for repeated images")
        _write(memo, found)
    return found


def _write(memo: Path, content: object) -> None:
    with disk_errors(memo):
        memo.parent.mkdir(exist_ok=True)
    atomic_write(memo, json.dumps(content), OTHER_STORE)


def _read(path: Path) -> list[Copy] | None:
    try:
        return [Copy(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None
