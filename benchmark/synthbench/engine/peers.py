"""What machines that share a study must have in common: the store, and the versions of what computes."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from synthbench.plugin.registry import distribution_version, registry
from synthbench.processes.handshake import PROTOCOL
from synthbench.store import Store, disk_errors
from synthbench.version import __version__

__all__ = ["Probe", "peer_problem", "peer_versions"]


class Probe:
    """A file in a store that other machines look for, to show that they see the same store; removed on leaving.

    Parameters
    ----------
    store : Store

    Attributes
    ----------
    path : Path
    token : str
        The file's content.
    """

    def __init__(self, store: Store) -> None:
        self.token = uuid.uuid4().hex
        self.path = store.root / f".probe-{socket.gethostname()}-{self.token}"
        with disk_errors(self.path):
            self.path.write_text(self.token, encoding="utf-8")

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def peer_versions() -> dict[str, str]:
    """Return the versions of synthbench, of torch, and of each distribution that brings plugins."""
    brought = {entry.distribution: entry.version for entry in registry().entries.values()}
    torch = (distribution_version("torch") or "none").partition("+")[0]
    return {**brought, "synthbench": __version__, "messages": str(PROTOCOL), "torch": torch}


def peer_problem(probe: Path, token: str, versions: Mapping[str, str]) -> str:
    """Return why this machine can't compute for another one; an empty string if it can.

    Parameters
    ----------
    probe, token
        The path of the other machine's `Probe`, and what is in it.
    versions
        The other machine's `peer_versions`.
    """
    try:
        seen = probe.read_text(encoding="utf-8")
    except OSError as error:
        return (
            f"it doesn't see the store {probe.parent} ({error.strerror or error}); share that folder at the same path"
        )
    if seen != token:
        return f"it sees another store at {probe.parent}; share that folder at the same path"
    here = peer_versions()
    for name, version in versions.items():
        if here.get(name) != version:
            there = f"{name} {here[name]}" if name in here else f"no {name}"
            return f"it has {there}, and this run has {name} {version}; install the same version"
    return ""
