"""The sample sets that a run reads: compared with what was planned, and made again where their files are damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthbench.errors import DataError, StoreError
from synthbench.samples import SampleSet
from synthbench.store import Store, file_digest, key_of, remove_folder

__all__ = ["IMPORTED", "mark_for_rebuild", "open_real", "open_set", "open_synthetic", "weights_digest"]

IMPORTED = "imported"
"""Folder of the store with what was imported from plain folders: copies, that can be made again."""


def open_real(store: Store, where: Mapping[str, Any], fingerprint: str) -> SampleSet:
    """Open a set of real samples.

    Parameters
    ----------
    store
    where
        Its ``folder``, and the ``ids`` to take of it.
    fingerprint
        Of the set when the study was planned: what keys know of it.

    Raises
    ------
    DataError
        If it is another by now.
    """
    folder = Path(where["folder"])
    try:
        found = open_set(store, folder).subset(where["ids"])
        now = found.fingerprint
    except DataError as error:
        raise DataError(f"{error} (when the study was planned it was there); run the study again") from None
    if now != fingerprint:
        raise DataError(
            f"{folder}: its samples aren't those that the study was planned with (fingerprint {now[:12]}, "
            f"planned {fingerprint[:12]}); run the study again"
        )
    return found


def open_synthetic(store: Store, key: str, drawn: Mapping[str, Any]) -> SampleSet:
    """Open the first samples of a synthetic set.

    Parameters
    ----------
    store
    key
        Of the artifact.
    drawn
        What is planned: ``drawn``, the generator and seed by their hash, and how many to ``take``.

    Raises
    ------
    StoreError
        If it isn't there or was damaged, or is another one.
    """
    artifact = store.get("draw", key, unverified=("samples/images/", "samples/labels/", "samples/ignore/"))
    samples = open_set(store, artifact.folder / "samples")
    made = {name: artifact.record["content"].get(name) for name in ("generator", "seed")}
    same = key_of(made) == drawn["drawn"] and samples.fingerprint == artifact.record.get("fingerprint")
    if not same or len(samples) < drawn["take"]:
        raise StoreError(f"draw/{key[:12]}: isn't the synthetic set that the study was planned with; run it again")
    return samples[: drawn["take"]]


def open_set(store: Store, folder: Path) -> SampleSet:
    """Open a sample set; where a damaged file of it is met and the set can be made again, it is marked for that."""

    def damaged(error: DataError) -> Exception:
        return (
            StoreError(f"{_plain(error)}; run the study again to make it anew")
            if mark_for_rebuild(store, folder)
            else error
        )

    return SampleSet.open(folder, damaged)


def mark_for_rebuild(store: Store, folder: Path) -> bool:
    """See to it that the next run makes a damaged set again; return False if none can: it isn't the store's own."""
    owner = store.owner(folder)
    if owner is not None:
        store.invalidate(*owner)
        return True
    if folder.resolve().parent != store.root / IMPORTED:
        return False
    remove_folder(folder)
    return True


def _plain(error: DataError) -> str:
    return str(error).removesuffix("; import it again").removesuffix("; replace it, or take it out")


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of a file of weights; of a folder, that of the names and hashes of its files.

    Raises
    ------
    DataError
        If something can't be read, or the folder holds no file.
    """
    try:
        if path.is_file():
            return file_digest(path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        if not files:
            raise DataError(f"{path}: holds no file of weights")
        return key_of({file.relative_to(path).as_posix(): file_digest(file) for file in files})
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from None
