"""Groups of images from parts of their file names."""

from __future__ import annotations

import re
from itertools import pairwise

from synthbench.datasets.files import ImageName, nfc, without_suffix
from synthbench.errors import ConfigError, DataError

__all__ = ["NamePattern"]

_TOKEN = re.compile(r"\{(?P<name>[^\W\d][\w-]*)(?::(?P<width>[1-9]\d?))?\}|(?P<any>\*)|(?P<text>[^{}*]+)")


class NamePattern:
    """A file name with named parts: ``{well}_{site}``.

    A part matches one or more characters, ``{row:1}`` exactly one, and ``*`` any text. All other characters match
    themselves. With slashes, the pattern also matches the folders of the file. The suffix is optional. Matching takes
    time proportional to the length of the name.

    Parameters
    ----------
    text

    Raises
    ------
    ConfigError
        If it has no named part, or two parts without text between them.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.levels = [self._tokens(nfc(level)) for level in without_suffix(text).split("/")]
        names = [token["name"] for level in self.levels for token in level if token["name"]]
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f"--group-from {text!r}: expected named parts of the file name, each once, such as '{{well}}_{{site}}'"
            )

    def _tokens(self, text: str) -> list[dict[str, str | None]]:
        tokens, at = [], 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ConfigError(
                    f"--group-from {self.text!r}: syntax error at {text[at:]!r}; parts are {{name}} or "
                    "{name:3}, and * is any text"
                )
            tokens.append(match.groupdict())
            at = match.end()
        for one, other in pairwise(tokens):
            if not one["text"] and not other["text"] and not one["width"] and not other["width"]:
                raise ConfigError(
                    f"--group-from {self.text!r}: nothing separates {_shown(one)} from {_shown(other)}; add the "
                    "text between them, or a width such as {name:3}"
                )
        return tokens

    def of(self, named: ImageName) -> dict[str, str] | None:
        """Return an image's groups; None where its name doesn't match.

        Raises
        ------
        DataError
            If the name matches in more than one way.
        """
        folders = [nfc(part) for part in named.path.parts[:-1]]
        depth = len(self.levels) - 1
        if depth > len(folders):
            return None
        for last in dict.fromkeys([nfc(without_suffix(named.path.name)), nfc(named.stem)]):
            groups: dict[str, str] | None = {}
            for level, name in zip(self.levels, [*folders[len(folders) - depth :], last], strict=True):
                parts = self._match(level, name)
                groups = None if groups is None or parts is None else {**groups, **parts}
            if groups is not None:
                return groups
        return None

    def _match(self, tokens: list[dict[str, str | None]], name: str) -> dict[str, str] | None:
        """Follow all matches at once, forwards and then backwards; only positions reached by both are possible."""
        forwards = [{0}]
        for token in tokens:
            forwards.append(_after(token, name, forwards[-1]))
        backwards = [{len(name)} & forwards[-1]]
        for token, starts in zip(reversed(tokens), reversed(forwards[:-1]), strict=True):
            backwards.insert(0, {start for start in starts if _reaches(token, name, start, backwards[0])})
        if not backwards[0]:
            return None
        groups = {}
        for token, starts, ends in zip(tokens, backwards, backwards[1:], strict=False):
            if not token["name"]:
                continue
            if len(starts) > 1 or len(ends) > 1:
                texts = sorted({name[a:b] for a in starts for b in ends if a < b})
                could = " or ".join(map(repr, texts[:3]))
                raise DataError(
                    f"--group-from {self.text!r}: {token['name']} of {name!r} could be {could}; "
                    "make the pattern more specific"
                )
            groups[str(token["name"])] = name[min(starts) : min(ends)]
        return groups


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
