"""Results of contract checks, and the loop that runs a list of checks."""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from synthbench.errors import SynthbenchError
from synthbench.plugin.api import Stopped

__all__ = [
    "DEPENDS",
    "CheckFailure",
    "CheckResult",
    "FatalCheckFailure",
    "Skipped",
    "Status",
    "Subject",
    "describe",
    "empty_home",
    "first_line",
    "mostly_skipped",
    "plugin_call",
    "fit_may_refuse",
    "plugin_call_may_refuse",
    "require",
    "run_checks",
    "run_checks_in_folder",
]

Status = Literal["passed", "failed", "skipped"]
Subject = TypeVar("Subject")


class CheckFailure(AssertionError):
    """A contract check failed; the message is one sentence that says how."""


class FatalCheckFailure(CheckFailure):
    """A check failed whose success all other checks depend on, so these are skipped."""


class Skipped(Exception):
    """A check can't be run here; the message says why."""


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes
    ----------
    check : str
        Name of the check.
    description : str
        What the contract asks for: the first line of the check's docstring.
    status : {"passed", "failed", "skipped"}
    message : str
        What is wrong, or why the check was skipped; where it passed, what it found, if it says so.
    warnings : tuple of str
        Python warnings in the course of the check, each with its category and place.
    """

    check: str
    description: str
    status: Status
    message: str = ""
    warnings: tuple[str, ...] = ()


DEPENDS = "depends on the check that failed above"
"""The message of the checks that are skipped after a `FatalCheckFailure`."""


def mostly_skipped(results: Iterable[CheckResult]) -> str:
    """Return a sentence if more checks were skipped than passed, so that nothing is shown; "" otherwise."""
    statuses = [result.status for result in results]
    passed, skipped = statuses.count("passed"), statuses.count("skipped")
    return f"{skipped} checks were skipped and only {passed} passed" if skipped > passed else ""


def first_line(check: Callable[..., object]) -> str:
    """Return what a check's contract asks for: the first line of its docstring."""
    return (check.__doc__ or "").strip().split("\n", 1)[0].rstrip(".")


def run_checks(checks: Iterable[Callable[[Subject], str | None]], subject: Subject) -> Iterator[CheckResult]:
    """Run checks one by one, each with an empty ``$SYNTHBENCH_HOME``, and yield their results.

    What a check returns is the message of its result. An unexpected error counts as a failure. After a
    `FatalCheckFailure` the remaining checks are skipped.
    """
    usable = True
    for check in checks:
        name = check.__name__
        description = first_line(check)
        if not usable:
            yield CheckResult(name, description, "skipped", DEPENDS)
            continue
        try:
            with empty_home():
                found = check(subject)
        except CheckFailure as failure:
            usable = not isinstance(failure, FatalCheckFailure)
            yield CheckResult(name, description, "failed", str(failure))
        except Skipped as skipped:
            yield CheckResult(name, description, "skipped", str(skipped))
        except Exception as error:
            yield CheckResult(name, description, "failed", f"the check raised {describe(error)}")
        else:
            yield CheckResult(name, description, "passed", found or "")


def run_checks_in_folder(
    checks: Iterable[Callable[[Subject], str | None]], make_subject: Callable[[Path], Subject]
) -> Iterator[CheckResult]:
    """Run checks as `run_checks` does, on what `make_subject` makes with a temporary folder that it may fill."""
    with tempfile.TemporaryDirectory(prefix="synthbench-check-") as folder:
        yield from run_checks(checks, make_subject(Path(folder)))


@contextlib.contextmanager
def empty_home() -> Iterator[None]:
    """Let ``$SYNTHBENCH_HOME`` name a new empty folder: what is read from the user's own gives itself away."""
    name = "SYNTHBENCH_HOME"
    before = os.environ.get(name)
    with tempfile.TemporaryDirectory(prefix="synthbench-home-") as folder:
        os.environ[name] = folder
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before


def require(condition: object, sentence: str) -> None:
    """Raise `CheckFailure` with the sentence unless the condition holds."""
    if not condition:
        raise CheckFailure(sentence)


@contextlib.contextmanager
def plugin_call(what: str) -> Iterator[None]:
    """Turn what a plugin raises within into a `CheckFailure`: ``"fit raised ValueError: … (plugin/file.py:12)"``."""
    try:
        yield
    except (CheckFailure, Skipped):
        raise
    except (Exception, SystemExit) as error:
        raise CheckFailure(f"{what} raised {describe(error)}") from error


@contextlib.contextmanager
def plugin_call_may_refuse(what: str) -> Iterator[None]:
    """Like `plugin_call`, but a `SynthbenchError` of one line is an answer too."""
    try:
        yield
    except SynthbenchError as error:
        require("\n" not in str(error), f"{what} raised {type(error).__name__} with a message of more than one line")
    except (CheckFailure, Skipped):
        raise
    except (Exception, SystemExit) as error:
        raise CheckFailure(
            f"{what} raised {describe(error)}; raise synthbench.errors.DataError with one clear line"
        ) from error


@contextlib.contextmanager
def fit_may_refuse(what: str) -> Iterator[None]:
    """Like `plugin_call`, but skip the check at a `SynthbenchError` of one line that speaks of channels."""
    with plugin_call(f"fit on {what}"):
        try:
            yield
        except SynthbenchError as error:
            text = str(error)
            require(
                "\n" not in text and "channel" in text,
                f"fit on {what} raised {describe(error)}; say in one line which channels it can use",
            )
            raise Skipped(f"it refuses {what}: {text}") from None


def describe(error: BaseException) -> str:
    """Return an exception as one line: type, message, and the file and line that raised it."""
    text = " ".join((_of_config(error) if isinstance(error, ValidationError) else str(error)).split())
    kind = "Stopped although should_stop() is false" if isinstance(error, Stopped) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({'/'.join(frames[-1].filename.split('/')[-2:])}:{frames[-1].lineno})" if frames else ""
    return f"{kind}{': ' + text[:300] if text else ''}{where}"


def _of_config(error: ValidationError) -> str:
    """Return the first thing that is wrong with a configuration, without pydantic's address of its manual."""
    first = error.errors(include_url=False)[0]
    return ": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
