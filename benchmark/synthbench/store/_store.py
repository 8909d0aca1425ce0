"""`Store`: find, claim and write artifacts."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthbench.errors import StoreError
from synthbench.store._claims import Claim, Claims, Holder, Sighting
from synthbench.store._disk import disk_errors, remove_folder
from synthbench.store._records import RECORD, file_state, is_intact, read_record, write_record

POLL = 0.1
"""Seconds between two tries to claim an artifact."""

_KIND = re.compile(r"[a-z][a-z-]*")
_KEY = re.compile(r"[0-9a-f]{64}")


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
    create
        Whether it may be created and written to. If False it is only read, and nothing is created.

    Raises
    ------
    StoreError
        If the folder can't be made or written, or isn't there to be read.
    """

    def __init__(self, root: str | Path, *, create: bool = True) -> None:
        self.root = Path(root).expanduser().resolve()
        self._claims = Claims(self.root / ".locks")
        if not create:
            if not self.root.is_dir():
                raise StoreError(
                    f"{self.root}: there is no store; name one with --store: where the run kept its results"
                )
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
        """Return where an artifact is, or would be.

        Raises
        ------
        StoreError
            If kind or key aren't names of one.
        """
        if not _KIND.fullmatch(kind) or not _KEY.fullmatch(key):
            raise StoreError(f"{kind}/{key}: not a kind and a key of 64 hexadecimal digits")
        return self.root / kind / key

    # -- reading ------------------------------------------------------------------------------------------------

    def find(self, kind: str, key: str, *, thorough: bool = False, unverified: tuple[str, ...] = ()) -> Artifact | None:
        """Return an artifact, or None if there is none or it was damaged.

        A file whose size and time of change are those of its writing is trusted, unless `thorough`; any other is
        hashed. So an artifact truncated or altered by any ordinary means is found out here, for the price of a stat.

        Parameters
        ----------
        kind, key
        thorough
            Hash every file.
        unverified
            Prefixes of file names that are not hashed even then: their reader verifies them, as sample sets do.
        """
        folder = self.folder(kind, key)
        record = read_record(folder)
        if record is None or record.get("key") != key:
            return None
        try:
            intact = all(
                is_intact(folder / name, recorded, thorough and not name.startswith(unverified))
                for name, recorded in record["files"].items()
            )
        except (KeyError, TypeError, AttributeError):
            return None
        return Artifact(folder, record) if intact else None

    def get(self, kind: str, key: str, *, unverified: tuple[str, ...] = ()) -> Artifact:
        """Return an artifact that is about to be read, verified.

        What is damaged is removed, so that the next run computes it again. See `find` for `unverified`.

        Raises
        ------
        StoreError
            If it isn't there, or was damaged.
        """
        artifact = self.find(kind, key, thorough=True, unverified=unverified)
        if artifact is not None:
            return artifact
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

    def claim(self, kind: str, key: str) -> Claim | None:
        """Claim an artifact, to compute it; return None if another process does so. Doesn't wait.

        Raises
        ------
        StoreError
            If the file system refuses.
        """
        self.folder(kind, key)
        return self._claims.take(f"{kind}-{key}")

    def holder(self, kind: str, key: str) -> Holder | None:
        """Return who computes an artifact, or None if nobody does.

        Where the file system has no working locks, a holder that died on another machine is found out only by who asks
        again and again, after ``SYNTHBENCH_LEASE`` seconds.
        """
        self.folder(kind, key)
        return self._claims.holder(f"{kind}-{key}")

    def look(self, kind: str, key: str) -> Sighting | None:
        """Return what the claim to an artifact looks like, or None if there is none; nothing is changed."""
        self.folder(kind, key)
        return self._claims.look(f"{kind}-{key}")

    @contextlib.contextmanager
    def locked(self, kind: str, key: str, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Claim]:
        """Hold the claim to an artifact; wait while another process computes it.

        Raises
        ------
        StoreError
            If `should_stop` turned true while waiting, or the file system refuses.
        """
        self.folder(kind, key)
        claim = self._claims.wait(f"{kind}-{key}", should_stop, POLL)
        if claim is None:
            raise StoreError(f"{kind}/{key[:12]}: another process is still computing it")
        with claim:
            yield claim

    def work_folder(self, kind: str, key: str) -> Path:
        """Return the task's folder for checkpoints; it outlives a killed process."""
        self.folder(kind, key)
        path = self.root / ".work" / f"{kind}-{key}"
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def begin(self, kind: str, key: str) -> Path:
        """Return an empty folder to write an artifact into; call with its claim held."""
        beside = self._unfinished(kind, key)
        with disk_errors(beside):
            for left in beside.parent.glob(f".{key}.*part"):
                shutil.rmtree(left)
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

        Raises
        ------
        StoreError
            If it can't be written.
        """
        folder, beside = self.folder(kind, key), self._unfinished(kind, key)
        with disk_errors(beside):
            files = {str(p.relative_to(beside)): file_state(p) for p in sorted(beside.rglob("*")) if p.is_file()}
            record = {**facts, "kind": kind, "key": key, "content": content, "files": files}
            write_record(beside / RECORD, record)
            if folder.exists():
                self.discard(kind, key)
            os.replace(beside, folder)
        checkpoints = self.root / ".work" / f"{kind}-{key}"
        if checkpoints.exists():
            shutil.rmtree(checkpoints, ignore_errors=True)
        return Artifact(folder, record)

    def _unfinished(self, kind: str, key: str) -> Path:
        """Return the folder of this process for an artifact that isn't finished: a claim may change hands."""
        return self.folder(kind, key).with_name(f".{key}.{socket.gethostname()}-{os.getpid()}.part")

    def invalidate(self, kind: str, key: str) -> None:
        """Mark an artifact as damaged, so that the next run computes it again; who is reading it isn't disturbed."""
        path = self.folder(kind, key) / RECORD
        with contextlib.suppress(FileNotFoundError), disk_errors(path):
            path.unlink()

    def discard(self, kind: str, key: str) -> None:
        """Remove an artifact, complete or damaged."""
        remove_folder(self.folder(kind, key))


def default_store_folder() -> Path:
    """Return ``$SYNTHBENCH_HOME/store``, or without that variable ``~/.local/share/synthbench/store``."""
    home = os.environ.get("SYNTHBENCH_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share" / "synthbench") / "store"
