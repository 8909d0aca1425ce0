"""Creates a new plugin distribution from templates: small, complete, with a working method."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shutil
import tempfile
from pathlib import Path
from string import Template

from synthbench.errors import ConfigError
from synthbench.plugin.registry import registry
from synthbench.plugin.specs import KINDS
from synthbench.version import __version__

__all__ = ["write_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "src/$package/__init__.py": "${kind}_init.py",
    "src/$package/$kind.py": "$kind.py",
    "tests/test_contract.py": "test_contract.py",
}
"""Files of the distribution and their templates."""


def write_plugin(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a plugin distribution to a new or empty folder, which appears only when all files are written.

    Parameters
    ----------
    kind
        ``"generator"`` or ``"segmenter"``.
    name
        Name of the plugin; the import package is ``synthbench_<name>``.
    folder
        Folder of the distribution.

    Returns
    -------
    list of Path
        Paths of the files.

    Raises
    ------
    ConfigError
        If the name is malformed or taken, or the folder isn't empty.
    """
    package = _free_package(kind, name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: already exists; choose another folder with --out, or remove it")
    values = {
        "kind": kind,
        "name": name,
        "package": package,
        "distribution": f"synthbench-{name}",
        "Class": _class_name(kind, name),
        "version": ".".join(__version__.split(".")[:2]),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        paths = [_fill(staging, target, source, values) for target, source in _FILES.items()]
        staging.chmod(0o755)
        os.replace(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return [folder / path for path in paths]


def _class_name(kind: str, name: str) -> str:
    """Return the name of the class; "Method" is added to Python keywords and names that the template itself uses."""
    class_name = "".join(part.capitalize() for part in name.split("-"))
    template = (Path(__file__).parent / f"{kind}.py.tmpl").read_text(encoding="utf-8")
    taken = keyword.iskeyword(class_name) or re.search(rf"\b{class_name}\b", template)
    return f"{class_name}Method" if taken else class_name


def _free_package(kind: str, name: str) -> str:
    """Return the name of the import package; raise `ConfigError` if that or the plugin's name is invalid or taken."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"plugin name {name!r}: use lower-case letters, digits and single hyphens, starting with a letter"
        )
    if name == "none":
        raise ConfigError("plugin name 'none': reserved (--generators none means no generator); choose another")
    for other in KINDS:
        if (other, name) in registry().entries:
            owner = registry().entries[other, name].distribution
            raise ConfigError(f"the name {name!r} is taken by a {other} of {owner}; choose another")
    package = f"synthbench_{name.replace('-', '_')}"
    if importlib.util.find_spec(package) is not None:
        raise ConfigError(f"the import package {package} is already installed; choose a name other than {name!r}")
    return package


def _fill(folder: Path, target: str, source: str, values: dict[str, str]) -> Path:
    """Write one file from its template; return its path within the distribution."""
    path = Path(Template(target).substitute(values))
    template = Path(__file__).parent / f"{Template(source).substitute(values)}.tmpl"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
    return path
