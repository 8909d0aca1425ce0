"""The contract of `fingerprint`, for plugins of any kind but encoders, which have checks of their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import synthbench
from synthbench.testing._shared_checks import check_config
from synthbench.testing.check_results import CheckFailure

calls = itertools.count()


class Drawn(synthbench.Dataset):
    """Says nothing of itself."""

    def samples(self, context: synthbench.Context) -> Iterator[synthbench.Sample]:
        yield from ()


class Told(Drawn):
    """Says what it calls."""

    def fingerprint(self) -> str:
        return "tool 1.2"


class Restless(Drawn):
    """Says something else each time."""

    def fingerprint(self) -> str:
        return f"call {next(calls)}"


class Wordless(Drawn):
    """Says nothing, wrongly."""

    def fingerprint(self) -> None:
        return None


class Failing(Drawn):
    """Looks for a command that isn't there."""

    def fingerprint(self) -> str:
        raise FileNotFoundError(2, "No such file or directory", "tool")


@pytest.mark.parametrize("cls", [Drawn, Told])
def test_nothing_and_a_lasting_text_are_kept(cls: type) -> None:
    check_config(cls, {})


@pytest.mark.parametrize(
    ("cls", "line"),
    [
        (Restless, r"fingerprint\(\) says something else each time"),
        (Wordless, r"fingerprint\(\) gave NoneType: return text"),
        (Failing, r"Failing.fingerprint\(\).*FileNotFoundError"),
    ],
)
def test_anything_else_is_a_violation(cls: type, line: str) -> None:
    with pytest.raises(CheckFailure, match=line):
        check_config(cls, {})
