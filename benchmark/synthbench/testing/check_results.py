"""What a contract test finds, and how a row of checks is gone through."""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import ValidationError

from synthbench.errors import SynthbenchError
from synthbench.plugin.api import Stopped

Status = Literal["kept", "violated", "skipped"]
Subject = TypeVar("Subject")


class Violation(AssertionError):
    """A promise of the contract is broken; the message is one sentence that says how."""


class Unusable(Violation):
    """A promise is broken without which none of the others can be tried."""


class Skipped(Exception):
    """A promise can't be tried here; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    check : str
        Name of the check.
    promise : str
        What the contract promises: the first line of the check's docstring.
    status : {"kept", "violated", "skipped"}
    sentence : str
        How it is violated, or why it was skipped; empty where it is kept.
    """

    check: str
    promise: str
    status: Status
    sentence: str = ""


def hardly_tried(findings: Iterable[Finding]) -> str:
    """Return a sentence if more promises were skipped than kept, so that nothing is shown; "" otherwise."""
    statuses = [finding.status for finding in findings]
    kept, skipped = statuses.count("kept"), statuses.count("skipped")
    return f"hardly tried: {skipped} promises were skipped and {kept} kept" if skipped > kept else ""


def examine(checks: Iterable[Callable[[Subject], None]], subject: Subject) -> Iterator[Finding]:
    """Run checks one by one, each in an empty home, and yield what each finds. An unforeseen error is a violation too.

    After a violation that is `Unusable`, the rest is skipped.
    """
    usable = True
    for check in checks:
        name = check.__name__
        promise = (check.__doc__ or "").strip().split("\n", 1)[0].rstrip(".")
        if not usable:
            yield Finding(name, promise, "skipped", "it can't be tried, as said above")
            continue
        try:
            with empty_home():
                check(subject)
        except Violation as violation:
            usable = not isinstance(violation, Unusable)
            yield Finding(name, promise, "violated", str(violation))
        except Skipped as skipped:
            yield Finding(name, promise, "skipped", str(skipped))
        except Exception as error:
            yield Finding(name, promise, "violated", f"the check met {describe(error)}")
        else:
            yield Finding(name, promise, "kept")


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


def demand(condition: object, sentence: str) -> None:
    """Raise `Violation` with the sentence unless the condition holds."""
    if not condition:
        raise Violation(sentence)


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Turn what a plugin raises within into a `Violation`, as in ``"fit raised ValueError: … (plugin/file.py:12)"``."""
    try:
        yield
    except (Violation, Skipped):
        raise
    except (Exception, SystemExit) as error:
        raise Violation(f"{what} raised {describe(error)}") from error


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Like `doing`, but a `SynthbenchError` of one line is an answer too."""
    try:
        yield
    except SynthbenchError as error:
        demand("\n" not in str(error), f"{what} raised {type(error).__name__} with a message of more than one line")
    except (Violation, Skipped):
        raise
    except (Exception, SystemExit) as error:
        raise Violation(
            f"{what} raised {describe(error)}; raise synthbench.errors.DataError with one clear line"
        ) from error


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
