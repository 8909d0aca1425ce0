"""What a bundle must not tell: paths of the machine that the run was made on, its name, and that of its user."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synthbench.errors import ConfigError
from synthbench.study.model import Study

__all__ = ["check_private", "without_paths"]

_ABSOLUTE = re.compile(
    r"""(?:^|(?<=[\s"'=:(,\[{>]))(?:/[^/\s"'<>,;)]+/[^\s"'<>,;)]+|~[\w.-]*/[^\s"']+|file:///?[^\s"']+)"""
    r"""|(?<![A-Za-z])[A-Za-z]:\\{1,2}[^\s"']+|\\\\[\w.-]+\\[^\s"']+""",
    re.MULTILINE,
)


def without_paths(study: Study) -> dict[str, Any]:
    """Return a study as a mapping in which paths are replaced by the names of what they lead to.

    What tables call datasets, generators, segmenters and inits stays the same.
    """
    content = study.model_dump(mode="json", exclude_none=True)
    for segmenter, choice in zip(content["segmenters"], study.segmenters, strict=True):
        segmenter["label"] = choice.title if _is_path(choice.name) else choice.label
    _label_inits(content, study)
    return {key: _replace(key, value) for key, value in content.items()}


def _label_inits(content: dict[str, Any], study: Study) -> None:
    owners = [(content, study.init), *zip(content["segmenters"], (s.init for s in study.segmenters), strict=True)]
    for owner, inits in owners:
        for written, init in zip(owner.get("init", ()), inits or (), strict=True):
            if isinstance(written, dict) and not init.is_scratch:
                written["label"] = init.title


_NAMES = ("name", "file", "datasets", "test_on", "dataset")
"""Keys whose texts are paths where they have a slash."""
_WORDS = ("label", "derived_from", "trained_on", "group", "classes")
"""Keys whose texts are never paths."""


def _replace(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _replace(inner, each) for inner, each in value.items()}
    if isinstance(value, list):
        return [_replace(key, each) for each in value]
    if not isinstance(value, str) or key in _WORDS or not (_is_path(value) or (key in _NAMES and "/" in value)):
        return value
    return Path(value).expanduser().resolve().name


def _is_path(text: str) -> bool:
    """Whether a text is a path beyond doubt: one that begins at a root, at home, or at the current folder."""
    return bool(re.match(r"/|~|\.\.?(?:/|$)|[A-Za-z]:\\", text)) and "\n" not in text


def check_private(texts: Iterable[tuple[str, str]], machine_made: Iterable[str] = ()) -> None:
    """Raise `ConfigError` if a text holds an absolute path, or tells of the user or the machine.

    Parameters
    ----------
    texts
        Name and content of each text file.
    machine_made
        Names of files that hold no word that a user chose: there the names of user and machine are looked for by
        themselves, elsewhere as parts of paths and addresses.
    """
    strict = set(machine_made)
    owners = {getpass.getuser(), Path.home().name} - {""}
    hosts = {socket.gethostname(), socket.gethostname().partition(".")[0]} - {"", "localhost"}
    alone = _words(owners | hosts)
    address = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, owners))})@\w") if owners else None
    for name, text in texts:
        found = _ABSOLUTE.search(text) or (address and address.search(text)) or (name in strict and alone.search(text))
        if found:
            raise ConfigError(
                f"{name}: would tell {found.group().strip()[:120]!r}, a path or a name of this machine or its user; "
                "give what it stands for a name or a label in the study, and run the study again"
            )


def _words(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(names))) or '(?!)'})(?![\w.-])")
