"""The command line: one module per command in this package, no logic.

A command module has a docstring (its help), ``add_arguments(parser)`` and ``run(args) -> int``; it imports what it
needs inside ``run``, so that ``synthbench --help`` stays quick.
"""

from __future__ import annotations

import argparse
import codecs
import errno
import importlib
import io
import json
import os
import pkgutil
import sys
from collections.abc import Generator, Sequence
from typing import NoReturn

from synthbench.errors import SynthbenchError
from synthbench.io.escaping import printable
from synthbench.processes.signals import interruptible, signal_number
from synthbench.version import __version__

__all__ = ["build_parser", "main"]

BY_SIGNAL = 128
"""Added to the number of the signal that stopped a command, as shells do: Ctrl-C gives 130, SIGTERM 143."""
COMPLETING = "_ARGCOMPLETE"
"""Set by a shell that asks how a command line may go on; see `synthbench.cli.completion`."""
_ESCAPE = "synthbench.escape"
_RENAMED = {"why": "explain"}


def _escape(error: UnicodeError) -> tuple[str, int]:
    r"""Write characters that the terminal's encoding lacks as JSON does, ``\u0394``, so that JSON stays valid."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPE, _escape)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code. An error that the user can fix is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPE)
    resumes = False
    try:
        parser = build_parser()
        if COMPLETING in os.environ:
            _complete(parser)
        args = parser.parse_args(argv)
        resumes = args.resumes
        with interruptible():
            return int(args.execute(args))
    except SynthbenchError as error:
        print(f"synthbench: error: {_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        return _stopped(interrupt, resumes)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if (behind := _interrupt_behind(error)) is not None:  # writing to a terminal that hung up
            return _stopped(behind, resumes)
        where = f"{error.filename}: " if error.filename else ""
        hint = "; free some space" if error.errno == errno.ENOSPC else ""
        print(f"synthbench: error: {_line(f'{where}{error.strerror or error}{hint}')}", file=sys.stderr)
        return 2


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell's question, and exit."""
    import argcomplete

    from synthbench.cli._completers import add_completers

    add_completers(parser)
    argcomplete.autocomplete(parser, always_complete_options="long")


def _stopped(interrupt: KeyboardInterrupt, resumes: bool) -> int:
    kept = "; what is finished is kept, and the same command resumes" if resumes else ""
    try:
        print(f"synthbench: stopped{kept}", file=sys.stderr)
    except OSError:  # the terminal has hung up
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    return BY_SIGNAL + signal_number(interrupt)


def _interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the signal to stop that was being handled when an error occurred, if there is one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def _line(text: str) -> str:
    """Return a message as one line: file names may contain line breaks."""
    return printable(text).replace("\n", r"\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _OneLineErrors(
        prog="synthbench",
        description="Does synthetic training data help to segment cells in micrographs?",
        formatter_class=_CommandsInOneColumn,
    )
    parser.add_argument("--version", action="version", version=f"synthbench {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        text = (module.__doc__ or "").strip()
        command = commands.add_parser(
            info.name,
            help=text.split("\n", 1)[0].rstrip("."),
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(execute=module.run, resumes=getattr(module, "RESUMES", False))
    return parser


class _OneLineErrors(argparse.ArgumentParser):
    """A parser that reports invalid arguments in one line, without the usage; subparsers are of the same class."""

    def error(self, message: str) -> NoReturn:
        for old, new in _RENAMED.items():
            if message.startswith("argument COMMAND") and f"invalid choice: {old!r}" in message:
                message = f"{old}: was renamed; use {new}"
        self.exit(2, f"synthbench: error: {_line(message)}; see {self.prog} --help\n")


class _CommandsInOneColumn(argparse.HelpFormatter):
    """argparse forgets the indent of the commands when it sets the column, and breaks the line after the longest."""

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        yield from getattr(action, "_get_subactions", tuple)()
