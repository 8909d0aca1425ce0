"""Whether the file system of a folder has locks that other processes, on other machines too, respect."""

from __future__ import annotations

import contextlib
import fcntl
import re
import tempfile
from functools import cache
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

LOCAL_OPTIONS = frozenset({"localflock", "noflock", "nolock", "nobrl", "local_lock=all", "local_lock=flock"})
"""Mount options of Lustre, NFS and SMB with which a lock is refused, or holds on one machine alone."""

LOCAL_TYPES = frozenset({"9p", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse"})
"""Shared file systems whose locks hold on one machine alone."""


@cache
def has_working_locks(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Whether a lock on a file in `folder` keeps every other process out; tried once per process.

    The locks of one machine can be tried. Whether a shared file system takes them to its server is known from how it
    is mounted.
    """
    return not _is_local_only(folder, mounts) and _try_locks(folder)


def _try_locks(folder: Path) -> bool:
    try:
        with tempfile.NamedTemporaryFile(prefix=".probe-", dir=folder) as held, open(held.name, "rb") as other:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
            return True
    except OSError:
        return False


def _is_local_only(folder: Path, mounts: Path) -> bool:
    kind, options = _mount_of(folder, mounts)
    return kind in LOCAL_TYPES or not LOCAL_OPTIONS.isdisjoint(options)


def _mount_of(folder: Path, mounts: Path) -> tuple[str, set[str]]:
    """Return type and options of the mount that a folder is on; nothing where the system doesn't say."""
    best, found = Path(), ("", set[str]())
    with contextlib.suppress(OSError):
        place = folder.resolve()
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            fields, _, rest = line.partition(" - ")
            words, after = fields.split(" "), rest.split(" ")
            if len(words) < 6 or len(after) < 3:
                continue
            point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), words[4]))
            if place.is_relative_to(point) and len(point.parts) >= len(best.parts):
                best, found = point, (after[0], {*words[5].split(","), *after[2].split(",")})
    return found
