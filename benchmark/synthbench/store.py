"""The store: artifacts found by key, written atomically, verified when read, shared by studies.

On disk::

    <root>/<kind>/<key>/record.json     what made it, what it cost, and the SHA-256 of every other file
    <root>/<kind>/<key>/…               the artifact's files
    <root>/.work/<kind>-<key>/          checkpoints of a task that hasn't finished
    <root>/.locks/<kind>-<key>          held by whoever computes that artifact

An artifact appears by one rename, so a half-written one can't be seen. Locks are the operating system's and die
with their process. Keys are SHA-256 over canonical JSON.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthbench.errors import StoreError

RECORD = "record.json"
_KIND = re.compile(r"[a-z][a-z-]*")
_KEY = re.compile(r"[0-9a-f]{64}")


def canonical(content: Any) -> str:
    """Return JSON with one spelling per value: sorted keys, no spaces, ASCII, no NaN.

    Raises
    ------
    ValueError, TypeError
        If the content isn't JSON.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_of(content: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `content`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


@dataclass(frozen=True)
class Artifact:
    """A stored artifact.

    Attributes
    ----------
    folder : Path
    record : mapping
        See `Store.commit`.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """What it cost to make, in seconds, whenever that was."""
        return float(self.record.get("seconds", 0.0))


class Store:
    """Artifacts under a root folder.

    Parameters
    ----------
    root
    make
        Whether it may be made, and written to; else it is there to be read, and nothing is created.

    Raises
    ------
    StoreError
        If the folder can't be made or written, or isn't there to be read.
    """

    def __init__(self, root: str | Path, *, make: bool = True) -> None:
        self.root = Path(root).expanduser().resolve()
        if not make:
            if not self.root.is_dir():
                raise StoreError(f"{self.root}: there is no store; name one with --store, which a run has made")
            return
        try:
            for part in (".work", ".locks"):
                (self.root / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self.root}: no store can be made here: {error.strerror}; name another with --store"
            ) from None
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise StoreError(
                f"{self.root}: the store can't be written; change its permissions, or name another with --store"
            )

    def folder(self, kind: str, key: str) -> Path:
        """Return where an artifact is, or would be."""
        if not _KIND.fullmatch(kind) or not _KEY.fullmatch(key):
            raise StoreError(f"{kind}/{key}: not a kind and a key of 64 hexadecimal digits")
        return self.root / kind / key

    # -- reading ------------------------------------------------------------------------------------------------

    def find(self, kind: str, key: str, *, thorough: bool = False, later: tuple[str, ...] = ()) -> Artifact | None:
        """Return an artifact, or None if there is none or it was damaged.

        A file whose size and time of change are those of its writing is trusted, unless `thorough`; any other is
        hashed. So an artifact truncated or altered by any ordinary means is found out here, for the price of a stat.

        Parameters
        ----------
        kind, key
        thorough
            Hash every file.
        later
            Beginnings of names of files that aren't hashed even so: who reads them verifies them, as sample sets do.
        """
        folder = self.folder(kind, key)
        record = read_record(folder)
        if record is None or record.get("key") != key:
            return None
        try:
            intact = all(
                _intact(folder / name, known, thorough and not name.startswith(later))
                for name, known in record["files"].items()
            )
        except (KeyError, TypeError, AttributeError):
            return None
        return Artifact(folder, record) if intact else None

    def get(self, kind: str, key: str, *, later: tuple[str, ...] = ()) -> Artifact:
        """Return an artifact that is about to be read, verified; raise `StoreError` if it isn't there.

        What is damaged is removed, so that the next run computes it again. See `find` for `later`.
        """
        found = self.find(kind, key, thorough=True, later=later)
        if found is not None:
            return found
        if self.folder(kind, key).exists():
            self.discard(kind, key)
            raise StoreError(f"{kind}/{key[:12]}: was damaged, and is removed; run the study again to compute it")
        raise StoreError(f"{kind}/{key[:12]}: not in {self.root}; run the study again to compute it")

    def owner(self, path: Path) -> tuple[str, str] | None:
        """Return kind and key of the artifact that a path lies in, or None if it lies in none."""
        try:
            kind, key, *_ = path.resolve().relative_to(self.root).parts
        except ValueError:
            return None
        return (kind, key) if _KIND.fullmatch(kind) and _KEY.fullmatch(key) else None

    def records(self, kind: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of a kind, their files unverified."""
        folder = self.root / kind
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _KEY.fullmatch(path.name) and (record := read_record(path)) is not None:
                yield record

    def kinds(self) -> list[str]:
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and _KIND.fullmatch(p.name))

    # -- writing ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self, kind: str, key: str, should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold an artifact's lock; wait while another process computes it.

        Raises
        ------
        StoreError
            If `should_stop` turned true while waiting, or the file system refuses.
        """
        self.folder(kind, key)
        path = self.root / ".locks" / f"{kind}-{key}"
        with writing(path):
            handle = path.open("w")
        with handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if should_stop():
                        raise StoreError(f"{kind}/{key[:12]}: another process is still computing it") from None
                    time.sleep(0.1)
            yield

    def work_folder(self, kind: str, key: str) -> Path:
        """Return the task's folder for checkpoints; it outlives a killed process."""
        self.folder(kind, key)
        path = self.root / ".work" / f"{kind}-{key}"
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def begin(self, kind: str, key: str) -> Path:
        """Return an empty folder to write an artifact into; call with its lock held."""
        folder = self.folder(kind, key)
        beside = folder.with_name(f".{key}.part")
        with writing(beside):
            if beside.exists():
                shutil.rmtree(beside)
            beside.mkdir(parents=True)
        return beside

    def commit(self, kind: str, key: str, content: Any, facts: Mapping[str, Any]) -> Artifact:
        """Seal what was written since `begin`, and make it visible by one rename.

        Parameters
        ----------
        content
            What the key is the SHA-256 of.
        facts
            What isn't part of the key: seconds, peak memory, versions, hardware, label …
        """
        folder = self.folder(kind, key)
        beside = folder.with_name(f".{key}.part")
        with writing(beside):
            files = {str(p.relative_to(beside)): _measure(p) for p in sorted(beside.rglob("*")) if p.is_file()}
            record = {**facts, "kind": kind, "key": key, "content": content, "files": files}
            write_record(beside / RECORD, record)
            if folder.exists():
                self.discard(kind, key)
            os.replace(beside, folder)
        checkpoints = self.root / ".work" / f"{kind}-{key}"
        if checkpoints.exists():
            shutil.rmtree(checkpoints, ignore_errors=True)
        return Artifact(folder, record)

    def spoil(self, kind: str, key: str) -> None:
        """Mark an artifact as damaged, so that the next run computes it again; who is reading it isn't disturbed."""
        path = self.folder(kind, key) / RECORD
        with contextlib.suppress(FileNotFoundError), writing(path):
            path.unlink()

    def discard(self, kind: str, key: str) -> None:
        """Remove an artifact, complete or damaged."""
        remove(self.folder(kind, key))


def remove(folder: Path) -> None:
    """Rename a folder aside and remove it, if it is there."""
    doomed = folder.with_name(f".{folder.name}.doomed-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError), writing(folder):
        os.replace(folder, doomed)
        shutil.rmtree(doomed)


@contextlib.contextmanager
def writing(path: Path, way: str = "name another store with --store") -> Iterator[None]:
    """Turn a full or read-only disk into one line, with a way out."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        out = "free some space" if error.errno == errno.ENOSPC else way
        raise StoreError(f"{error.filename or path}: can't be written: {error.strerror or error}; {out}") from None


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record with a seal: the SHA-256 of everything else in it."""
    sealed = {**record, "seal": key_of(record)}
    path.write_text(json.dumps(sealed, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return a folder's record, or None if there is none or its seal is broken."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        seal = record.pop("seal")
        return record if seal == key_of(record) else None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _measure(path: Path) -> dict[str, Any]:
    state = path.stat()
    return {"sha256": file_digest(path), "bytes": state.st_size, "changed_ns": state.st_mtime_ns}


def _intact(path: Path, known: Mapping[str, Any], thorough: bool) -> bool:
    try:
        state = path.stat()
        if state.st_size != known["bytes"]:
            return False
        if not thorough and state.st_mtime_ns == known["changed_ns"]:
            return True
        return file_digest(path) == known["sha256"]
    except OSError:
        return False


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
