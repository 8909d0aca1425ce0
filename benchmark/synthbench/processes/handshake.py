"""The first message of an interpreter that serves: by it, the other side sees whether they understand each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthbench.version import __version__

__all__ = ["PROTOCOL", "hello", "hello_problem"]

PROTOCOL = 1
"""Version of all messages; both sides must have the same."""


def hello() -> dict[str, Any]:
    """Return the first message of who serves."""
    return {"type": "hello", "protocol": PROTOCOL, "synthbench": __version__}


def hello_problem(message: Mapping[str, Any]) -> str:
    """Return why an interpreter that begins with this message can't be used; an empty string if it can."""
    if message.get("type") != "hello" or message.get("protocol") != PROTOCOL:
        spoken = message.get("protocol", "none")
        return f"it speaks protocol {spoken}, and this is {PROTOCOL}: install synthbench {__version__} there"
    if message.get("synthbench") != __version__:
        return f"it has synthbench {message.get('synthbench')}, and this is {__version__}: install the same version"
    return ""
