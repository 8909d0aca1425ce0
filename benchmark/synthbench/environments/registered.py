"""The environments that are registered: each a folder below ``$SYNTHBENCH_HOME/envs`` with a record of its interpreter.

An environment that synthbench has made lies in its folder; one that was only added has nothing there but the record.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from synthbench.environments.variables import INSIDE
from synthbench.errors import ConfigError, suggest

__all__ = [
    "RECORD",
    "Environment",
    "check_name",
    "environment_named",
    "environments_folder",
    "find_interpreter",
    "interpreters",
    "register",
    "registered_environments",
    "remove_environment",
]

RECORD = "environment.json"
"""Name of the file that registers an environment; it is written last, so that what is half made isn't registered."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Environment:
    """An environment that plugins run in.

    Attributes
    ----------
    name : str
    python : str
        Path of its interpreter; empty where the record can't be read.
    folder : Path
        Where it is registered.
    made : bool
        Whether synthbench has made it, so that removing it deletes its packages.
    """

    name: str
    python: str
    folder: Path
    made: bool


def environments_folder() -> Path:
    """Return ``$SYNTHBENCH_HOME/envs``, else ``~/.local/share/synthbench/envs``."""
    home = os.environ.get("SYNTHBENCH_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share" / "synthbench").absolute() / "envs"


def check_name(name: str) -> str:
    """Return a name of an environment.

    Raises
    ------
    ConfigError
        If it has other characters than a name may have.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"environment name {name!r}: use letters, digits, '.', '_' and '-', at most 64, the first a letter or digit"
        )
    return name


def registered_environments() -> dict[str, Environment]:
    """Return the environments by name, sorted; none within one of them, which looks for plugins in no other."""
    folder = environments_folder()
    if os.environ.get(INSIDE) or not folder.is_dir():
        return {}
    names = sorted(path.parent.name for path in folder.glob(f"*/{RECORD}"))
    return {name: _read(folder / name) for name in names if _NAME.fullmatch(name)}


def _read(folder: Path) -> Environment:
    try:
        python = json.loads((folder / RECORD).read_text(encoding="utf-8"))["python"]
    except (OSError, ValueError, LookupError, TypeError):
        python = ""
    return Environment(
        folder.name, python if isinstance(python, str) else "", folder, (folder / "pyvenv.cfg").is_file()
    )


def environment_named(name: str) -> Environment:
    """Return an environment by name.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    known = registered_environments()
    if check_name(name) not in known:
        others = f"there are: {', '.join(known)}" if known else "'synthbench env create' makes one"
        raise ConfigError(f"unknown environment {name!r}{suggest(name, known) or f'; {others}'}")
    return known[name]


def interpreters() -> dict[str, str]:
    """Return the paths of the environments' interpreters, by the environment's name."""
    return {name: environment.python for name, environment in registered_environments().items() if environment.python}


def find_interpreter(path: str) -> str:
    """Return the absolute path of an interpreter: a file, a command, or the folder of an environment.

    A symbolic link is kept, as the link is what makes an interpreter that of its environment.

    Raises
    ------
    ConfigError
        If there is none.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        place = place / "bin" / "python"
    found = str(place) if os.sep in str(place) else shutil.which(path) or shutil.which(f"python{path}")
    if not found or not os.access(found, os.X_OK) or Path(found).is_dir():
        raise ConfigError(f"--python {path}: no such interpreter; give a path such as ~/envs/tf/bin/python")
    return os.path.abspath(found)


def register(name: str, python: str) -> Environment:
    """Record an environment's interpreter.

    Raises
    ------
    StoreError, DataError
        If the record can't be written.
    """
    from synthbench.io.atomic import atomic_write
    from synthbench.store import disk_errors

    folder = environments_folder() / check_name(name)
    with disk_errors(folder, "set SYNTHBENCH_HOME to another folder"):
        folder.mkdir(parents=True, exist_ok=True)
    record = json.dumps({"python": python}, indent=1) + "\n"
    atomic_write(folder / RECORD, record, "set SYNTHBENCH_HOME to another folder")
    return _read(folder)


def remove_environment(name: str) -> Environment:
    """Remove an environment, and its packages if synthbench has made it; return what it was.

    Raises
    ------
    ConfigError
        If there is none of this name.
    StoreError
        If it can't be deleted.
    """
    from synthbench.store import remove_folder

    environment = environment_named(name)
    if environment.folder.is_symlink():
        environment.folder.unlink()
    else:
        remove_folder(environment.folder)
    return environment
