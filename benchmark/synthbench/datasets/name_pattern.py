"""What images belong to, told by parts of their file names."""

from __future__ import annotations

import re
from itertools import pairwise

from synthbench.datasets.files import ImageName, nfc, without_suffix
from synthbench.errors import ConfigError, DataError

_TOKEN = re.compile(r"\{(?P<name>[^\W\d][\w-]*)(?::(?P<width>[1-9]\d?))?\}|(?P<any>\*)|(?P<text>[^{}*]+)")


class NamePattern:
    """A file name with named parts: ``{well}_{site}``.

    A part stands for one character or more, ``{row:1}`` for exactly so many; ``*`` for any text. All else stands for
    itself. With slashes the pattern tells the folders before the file as well. The suffix may be left out. It is
    compared with each name in steps that grow with the name's length only.

    Parameters
    ----------
    text

    Raises
    ------
    ConfigError
        If it has no named part, or one that nothing sets apart from the next.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.levels = [self._tokens(nfc(level)) for level in without_suffix(text).split("/")]
        names = [token["name"] for level in self.levels for token in level if token["name"]]
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f"--group-from {text!r}: name parts of the file name, each once, as in '{{well}}_{{site}}'"
            )

    def _tokens(self, text: str) -> list[dict[str, str | None]]:
        tokens, at = [], 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ConfigError(
                    f"--group-from {self.text!r}: can't be understood from {text[at:]!r} on; parts are {{name}} or "
                    "{name:3}, * is any text"
                )
            tokens.append(match.groupdict())
            at = match.end()
        for one, other in pairwise(tokens):
            if not one["text"] and not other["text"] and not one["width"] and not other["width"]:
                raise ConfigError(
                    f"--group-from {self.text!r}: nothing sets {_shown(one)} apart from {_shown(other)}; write the "
                    "text between them, or a width, as in {name:3}"
                )
        return tokens

    def of(self, named: ImageName) -> dict[str, str] | None:
        """Return an image's groups; None where its name isn't of this form.

        Raises
        ------
        DataError
            If the name is of this form in more than one way.
        """
        folders = [nfc(part) for part in named.path.parts[:-1]]
        depth = len(self.levels) - 1
        if depth > len(folders):
            return None
        for last in dict.fromkeys([nfc(without_suffix(named.path.name)), nfc(named.stem)]):
            found: dict[str, str] | None = {}
            for level, name in zip(self.levels, [*folders[len(folders) - depth :], last], strict=True):
                parts = self._match(level, name)
                found = None if found is None or parts is None else {**found, **parts}
            if found is not None:
                return found
        return None

    def _match(self, tokens: list[dict[str, str | None]], name: str) -> dict[str, str] | None:
        """Follow all ways through a name at once, forwards and then backwards: what both reach can be."""
        forwards = [{0}]
        for token in tokens:
            forwards.append(_after(token, name, forwards[-1]))
        backwards = [{len(name)} & forwards[-1]]
        for token, starts in zip(reversed(tokens), reversed(forwards[:-1]), strict=True):
            backwards.insert(0, {start for start in starts if _reaches(token, name, start, backwards[0])})
        if not backwards[0]:
            return None
        found = {}
        for token, starts, ends in zip(tokens, backwards, backwards[1:], strict=False):
            if not token["name"]:
                continue
            if len(starts) > 1 or len(ends) > 1:
                texts = sorted({name[a:b] for a in starts for b in ends if a < b})
                could = " or ".join(map(repr, texts[:3]))
                raise DataError(
                    f"--group-from {self.text!r}: {token['name']} of {name!r} could be {could}; "
                    "write more of the name into the pattern"
                )
            found[str(token["name"])] = name[min(starts) : min(ends)]
        return found


def _after(token: dict[str, str | None], name: str, starts: set[int]) -> set[int]:
    text, width = token["text"], token["width"]
    if text is not None:
        return {start + len(text) for start in starts if name.startswith(text, start)}
    if width is not None:
        return {start + int(width) for start in starts if start + int(width) <= len(name)}
    return set(range(min(starts) + (token["name"] is not None), len(name) + 1)) if starts else set()


def _reaches(token: dict[str, str | None], name: str, start: int, ends: set[int]) -> bool:
    text, width = token["text"], token["width"]
    if text is not None:
        return start + len(text) in ends and name.startswith(text, start)
    if width is not None:
        return start + int(width) in ends
    return bool(ends) and start + (token["name"] is not None) <= max(ends)


def _shown(token: dict[str, str | None]) -> str:
    return f"{{{token['name']}}}" if token["name"] else "*"
