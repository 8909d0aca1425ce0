"""Errors that a user can fix: one clear line each, never a traceback."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Sequence

__all__ = [
    "ConfigError",
    "DataError",
    "NotDownloaded",
    "PluginError",
    "StoreError",
    "SynthbenchError",
    "join_names",
    "join_problems",
    "message_without_path",
    "suggest",
    "write_error_reason",
]

MAX_LISTED = 10
"""How many problems or names a message lists; of the others it gives the number."""


class SynthbenchError(Exception):
    """Something the user gave is wrong; the message names it, with a hint how to fix it.

    The command line prints the message as one line and exits with `exit_code`.
    """

    exit_code = 2


class DataError(SynthbenchError, ValueError):
    """An image, a mask, or a folder of them can't be used."""


class NotDownloaded(DataError):
    """A dataset must be downloaded first; the message says from where."""


class ConfigError(SynthbenchError, ValueError):
    """A study, a configuration key or an argument is wrong."""


class PluginError(SynthbenchError):
    """A plugin is unknown, broken, or lacks what it needs."""


class StoreError(SynthbenchError):
    """The store can't be read or written."""


def message_without_path(error: Exception, path: object) -> str:
    """Return the first line of an error's message without `path`, for messages that name the path themselves."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return first.replace(repr(str(path)), "").replace(str(path), "").strip(" :") or type(error).__name__


def join_problems(problems: Sequence[str], where: object) -> str:
    """Return problems as one line: the first ten, and how many more there are.

    Parameters
    ----------
    problems
        At least one, each ``"PATH: WHAT"``, optionally followed by ``" (DETAIL)"`` and ``"; HINT"``. One alone is
        returned as it is. If all differ in the path and the detail only, what they are is written once, and if they
        differ in more, but have the same hint, the hint is.
    where
        The folder or file they are in; named once, and left out of the paths below it.
    """
    if len(problems) == 1:
        return problems[0]
    below = f"{where}{os.sep}"
    hints = {problem.partition("; ")[2] for problem in problems}
    shared = hints.pop() if len(hints) == 1 else ""
    texts = [(problem.partition("; ")[0] if shared else problem).replace(below, "") for problem in problems]
    more = f"; and {len(problems) - MAX_LISTED:,} more" if len(problems) > MAX_LISTED else ""
    kinds = {_split_detail(text)[1] for text in texts}
    if shared and len(kinds) == 1 and (kind := kinds.pop()):
        files = ", ".join(f"{path} ({detail})" for path, _, detail in map(_split_detail, texts[:MAX_LISTED]))
        return f"{where}: {len(problems):,} files: {kind}: {files}{more}; {shared}"
    listed = [f"({i}) {text}" for i, text in enumerate(texts[:MAX_LISTED], 1)]
    hint = f"; for all of them: {shared}" if shared else ""
    return f"{where}: {len(problems):,} problems: {'; '.join(listed)}{more}{hint}"


def _split_detail(text: str) -> tuple[str, str, str]:
    """Return the path, the kind and the detail of ``"PATH: KIND (DETAIL)"``; no kind in a text of another form."""
    path, _, rest = text.partition(": ")
    kind, bracket, detail = rest.partition(" (")
    return (path, kind, detail[:-1]) if bracket and detail.endswith(")") else (path, "", "")


def join_names(names: Iterable[object]) -> str:
    """Return names joined by commas: the first ten, and how many more there are."""
    known = [str(name) for name in names]
    more = f" and {len(known) - MAX_LISTED:,} more" if len(known) > MAX_LISTED else ""
    return ", ".join(known[:MAX_LISTED]) + more


def write_error_reason(error: Exception) -> str:
    """Return why something couldn't be written; for a full disk, with a hint.

    Libraries that write files put the system's message into errors of their own.
    """
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if full or "No space left" in text or "quota exceeded" in text.lower():
        return "the disk is full; free some space and run again"
    return text or type(error).__name__


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known word most similar to `word`, or an empty string.

    There is no suggestion for a path.
    """
    if "/" in word or "\\" in word:
        return ""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5 if len(word) < 4 else 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
