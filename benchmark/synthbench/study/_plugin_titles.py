"""Errors about a plugin, under the name that the study has for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from synthbench.errors import SynthbenchError

__all__ = ["errors_named"]


@contextmanager
def errors_named(kind: str, name: str, title: str) -> Iterator[None]:
    """Let errors that begin with a plugin's kind and name, ``generator 'ready-made'``, have its title instead.

    Where several entries of a study are the same plugin, the title alone says which of them is wrong.
    """
    try:
        yield
    except SynthbenchError as error:
        owner = f"{kind} {name!r}:"
        if not str(error).startswith(owner):
            raise
        raise type(error)(f"{kind} {title!r}:{str(error).removeprefix(owner)}") from None
