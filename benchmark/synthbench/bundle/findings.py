"""What the verification of a bundle found: problems, and what was and wasn't verified."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from synthbench.bundle.reading import Refused
from synthbench.errors import DataError, SynthbenchError

__all__ = ["MOST", "Findings", "Problem", "content_of", "same"]

MOST = 10
"""Problems of one check that are listed; of the others there is the number."""
_RELATIVE = 1e-9
_ABSOLUTE = 1e-12
_MAX_SHOWN = 100
_STRUCTURE_ERRORS = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, ArithmeticError)
"""What content of another structure than a bundle's raises where it is used."""
_NAMED = re.compile(r"([\w./+@ -]+\.(?:json|yaml|csv|png|safetensors)(?:, line \d+)?): ")


@dataclass(frozen=True)
class Problem:
    """Something in a bundle that isn't as it must be, in one line; `file` is the name of the file in the bundle."""

    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


@dataclass
class Findings:
    """What a verification found.

    Attributes
    ----------
    problems : list of Problem
    verified, not_verified : list of str
        Sentences.
    scored : list of str
        Datasets on whose test images all scores were computed again.
    """

    problems: list[Problem] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    not_verified: list[str] = field(default_factory=list)
    scored: list[str] = field(default_factory=list)

    def add(self, file: str, text: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(file, text))

    def expect(self, file: str, what: str, value: Any, expected: Any) -> bool:
        """Note a problem unless a value is the expected one; numbers may differ by rounding. Return whether it is."""
        if same(value, expected):
            return True
        self.add(file, f"{what} is {_shown(value)}, expected {_shown(expected)}")
        return False

    @contextlib.contextmanager
    def check(self, file: str, verified: str) -> Iterator[None]:
        """Run a check: what it finds wrong is shortened to `MOST` new problems, and nothing wrong means `verified`.

        An error that begins with a file's name is a problem of that file, and content of another structure than a
        bundle's is one of `file`; `Refused` goes on.
        """
        before = list(self.problems)
        try:
            yield
        except Refused:
            raise
        except SynthbenchError as error:
            named = _NAMED.match(str(error))
            self.add(named[1] if named else file, str(error)[named.end() if named else 0 :])
        except _STRUCTURE_ERRORS as error:
            self.add(file, _structure_problem(error))
        after = self.problems[len(before) :]
        if not after:
            self.verified.append(verified)
        found = [problem for problem in dict.fromkeys(after) if problem not in before]
        if len(found) > MOST:
            found = [*found[:MOST], Problem(found[-1].file, f"and {len(found) - MOST} more problems of this kind")]
        self.problems[:] = [*before, *found]


@contextlib.contextmanager
def content_of(name: str) -> Iterator[None]:
    """Raise `DataError`, which begins with the name of the file, where its content is of another structure."""
    try:
        yield
    except SynthbenchError:
        raise
    except _STRUCTURE_ERRORS as error:
        raise DataError(f"{name}: {_structure_problem(error)}") from None


def _structure_problem(error: Exception) -> str:
    reason = " ".join(str(error).split())[:_MAX_SHOWN]
    return f"has content that no run writes ({type(error).__name__}: {reason})"


def same(value: Any, expected: Any) -> bool:
    """Whether two values of JSON are the same; numbers that aren't both whole may differ by rounding."""
    if isinstance(value, dict) and isinstance(expected, dict):
        return value.keys() == expected.keys() and all(same(value[key], expected[key]) for key in expected)
    if isinstance(value, list | tuple) and isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(value, bool) or isinstance(expected, bool) or isinstance(value, str) or isinstance(expected, str):
        return type(value) is type(expected) and bool(value == expected)
    if value is None or expected is None:
        return value is expected
    if isinstance(value, int) and isinstance(expected, int):
        return value == expected
    return math.isclose(value, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE) or (
        value != value and expected != expected
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} …"
