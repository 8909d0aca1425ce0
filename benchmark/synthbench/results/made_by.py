"""What made a result: devices, versions and code, from the records of the artifacts behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["made_by"]

_COMMIT = 10


def made_by(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return columns of what made a row: each a list in text, in which what differs between artifacts occurs twice.

    Returns
    -------
    dict
        ``device``: ``"cuda (NVIDIA H100)"``, with the precision where it isn't the usual one there:
        ``"cpu in bfloat16"``; ``versions``: ``"numpy 2.0.1, torch 2.14.1"``; ``code``:
        ``"synthbench 0.1.0 at 0b3f037ac2+"``, with a plus where changes weren't committed.
    """
    devices: dict[str, set[str]] = {}
    versions: set[str] = set()
    code: set[str] = set()
    for record in records:
        known = dict(record.get("versions") or {})
        code.add(_code("synthbench", known.pop("synthbench", ""), record.get("source_state") or {}))
        versions |= {f"{name} {version}" for name, version in known.items()}
        if plugin := record.get("plugin_source"):
            code.add(_code(plugin["distribution"], plugin["version"], plugin["state"]))
        if record.get("device"):
            device = record["device"] + (f" ({record['gpu']})" if record.get("gpu") else "")
            devices.setdefault(device, set()).add(_unusual_precision(record))
    # what never computes in bfloat16, like a control, is no difference beside what does
    named = {device + precision for device, precisions in devices.items() for precision in precisions - {""} or {""}}
    return {name: ", ".join(sorted(v)) for name, v in (("device", named), ("versions", versions), ("code", code))}


def _unusual_precision(record: Mapping[str, Any]) -> str:
    """Return the precision of a record's task where a run has chosen it: not bfloat16 on a GPU, or on a CPU."""
    types = ((record.get("content") or {}).get("compute") or {}).get("precision", "")
    usual = "bfloat16" if record["device"] == "cuda" else "float32"
    used = "bfloat16" if "bfloat16" in types else "float32"
    return f" in {used}" if types and used != usual else ""


def _code(distribution: str, version: str, state: Mapping[str, Any]) -> str:
    commit = f"at {state['commit'][:_COMMIT]}{'+' * bool(state.get('changed'))}" if state.get("commit") else ""
    return " ".join(part for part in (distribution, version, commit) if part)
