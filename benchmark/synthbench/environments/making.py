"""Making an environment: an interpreter with the synthbench that is installed here, and the packages of plugins."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from synthbench.environments.registered import (
    RECORD,
    Environment,
    check_name,
    environments_folder,
    find_interpreter,
    register,
)
from synthbench.environments.variables import interpreter_variables
from synthbench.errors import ConfigError
from synthbench.plugin.distribution_sources import install_arguments
from synthbench.plugin.hookspecs import PROJECT
from synthbench.processes.family import MARK, end_family, new_mark

__all__ = ["LAST_LINES", "add_environment", "create_environment"]

LAST_LINES = 12
"""Lines of pip's output that a failure shows."""

_PIP = ("-m", "pip", "install", "--disable-pip-version-check")
_VERSION = re.compile(r"\d+(\.\d+)*")
"""A version of Python, which uv finds or downloads."""

SHARED = "synthbench-shared.pth"
"""Name of the file by which an environment sees the packages of another."""


def create_environment(
    name: str,
    packages: Sequence[str] = (),
    *,
    python: str | None = None,
    pip_arguments: Sequence[str] = (),
    share: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Environment:
    """Make an environment with synthbench, installed as it is here, and with packages; then register it.

    What is half made is removed again on failure, and when the command is stopped. With uv on the path it is made by
    uv, else by venv and pip.

    Parameters
    ----------
    name
    packages
        As pip takes them: requirements, folders, URLs.
    python
        The interpreter to make it from; by default this one. For uv, also a version.
    pip_arguments
        Further arguments of ``pip install``, such as ``--index-url=…``.
    share
        Whether it sees the packages of this environment, such as torch, unless it has its own version of them. Both
        must be of the same minor version of Python.
    report
        Called with each line that the tools print.

    Raises
    ------
    ConfigError
        If the name is taken or malformed, or it can't be made: with the tool's last line.
    """
    from filelock import FileLock, Timeout

    folder = environments_folder() / check_name(name)
    uv = None if share else shutil.which("uv")  # it doesn't see shared packages, and would install them again
    base = python if python and uv and _VERSION.fullmatch(python) else find_interpreter(python or sys.executable)
    _make_parent(folder.parent)
    try:
        with FileLock(folder.parent / f".{name}.lock", timeout=0):
            if (folder / RECORD).exists():
                raise ConfigError(f"environment {name!r} exists; remove it first: synthbench env remove {name}")
            shutil.rmtree(folder, ignore_errors=True)  # left by a command that was killed
            try:
                made = _make(folder, base, uv, report)
                if share:
                    _share_packages(made, name)
                installer = [uv, "pip", "install", "--python", str(made)] if uv else [str(made), *_PIP]
                _run([*installer, *install_arguments(PROJECT), *packages, *pip_arguments], name, report)
                return register(name, str(made))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except Timeout:
        raise ConfigError(f"environment {name!r} is being made by another command; wait for it") from None


def add_environment(name: str, python: str) -> Environment:
    """Register an environment that exists, by its interpreter.

    Raises
    ------
    ConfigError
        If the name is taken or malformed, or there is no such interpreter.
    """
    folder = environments_folder() / check_name(name)
    found = find_interpreter(python)
    if (folder / RECORD).exists():
        raise ConfigError(f"environment {name!r} exists; remove it first: synthbench env remove {name}")
    _make_parent(folder.parent)
    return register(name, found)


def _make_parent(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder}: can't be created: {error.strerror or error}; set SYNTHBENCH_HOME to another folder"
        ) from None


def _make(folder: Path, base: str, uv: str | None, report: Callable[[str], None]) -> Path:
    command = [uv, "venv", "--python", base, str(folder)] if uv else [base, "-m", "venv", str(folder)]
    _run(command, folder.name, report)
    return folder / "bin" / "python"


def _share_packages(python: Path, name: str) -> None:
    """Let an environment see this one's packages, after its own."""
    version, site = _ask(str(python), "[list(sys.version_info[:2]), sysconfig.get_path('purelib')]")
    if version != list(sys.version_info[:2]):
        here = ".".join(map(str, sys.version_info[:2]))
        raise ConfigError(f"environment {name!r}: --share needs a Python {here}; leave it out")
    mine = _ask(sys.executable, "[path for path in sys.path if 'site-packages' in path or 'dist-packages' in path]")
    (Path(str(site)) / SHARED).write_text("".join(f"{path}\n" for path in mine), encoding="utf-8")


def _ask(python: str, expression: str) -> list[object]:
    """Return what an expression is in an interpreter, without this shell's variables."""
    code = f"import json, sys, sysconfig; print(json.dumps({expression}))"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    answer: list[object] = json.loads(done.stdout)
    return answer


def _run(command: Sequence[str], name: str, report: Callable[[str], None]) -> None:
    """Run a tool and report its output; raise `ConfigError` with its last line if it fails."""
    last, mark = deque[str](maxlen=LAST_LINES), new_mark()
    tool = Path(command[0]).name if "-m" not in command else command[command.index("-m") + 1]
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**interpreter_variables(name), MARK: mark},
            start_new_session=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise ConfigError(f"environment {name!r}: {command[0]}: can't be started: {error.strerror or error}") from None
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.strip():
                last.append(line.rstrip())
                report(line.rstrip())
        code = process.wait()
    except BaseException:
        end_family([process.pid], mark)
        process.wait()
        raise
    if code:
        why = next((line for line in reversed(last) if line.lower().startswith("error")), last[-1] if last else "")
        raise ConfigError(f"environment {name!r}: {tool} failed with exit code {code}: {why}")
