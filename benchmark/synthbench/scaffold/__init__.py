"""A new plugin distribution from templates: small, complete, with a working method."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shutil
import tempfile
from pathlib import Path
from string import Template

from synthbench import __version__
from synthbench.errors import ConfigError
from synthbench.plugin.registry import registry
from synthbench.plugin.specs import KINDS

__all__ = ["write_plugin"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "src/$package/__init__.py": "${kind}_init.py",
    "src/$package/$kind.py": "$kind.py",
    "tests/test_contract.py": "test_contract.py",
}
"""Files of the distribution, and the templates they are made from."""


def write_plugin(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a plugin distribution into a new or empty folder; the folder appears only when all files are written.

    Parameters
    ----------
    kind
        ``"generator"`` or ``"segmenter"``.
    name
        What users will type; the import package is called ``synthbench_<name>``.
    folder

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ConfigError
        If the name is malformed or taken, or there is something in the folder.
    """
    package = _free_package(kind, name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: already exists; choose another folder with --out, or remove it")
    words = {
        "kind": kind,
        "name": name,
        "package": package,
        "distribution": f"synthbench-{name}",
        "Class": _class_name(kind, name),
        "version": ".".join(__version__.split(".")[:2]),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        paths = [_fill(beside, target, source, words) for target, source in _FILES.items()]
        beside.chmod(0o755)
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return [folder / path for path in paths]


def _class_name(kind: str, name: str) -> str:
    """Return what the class is called; names that the template uses itself, and Python's own, get a word more."""
    name_in_caps = "".join(part.capitalize() for part in name.split("-"))
    template = (Path(__file__).parent / f"{kind}.py.tmpl").read_text(encoding="utf-8")
    taken = keyword.iskeyword(name_in_caps) or re.search(rf"\b{name_in_caps}\b", template)
    return f"{name_in_caps}Method" if taken else name_in_caps


def _free_package(kind: str, name: str) -> str:
    """Return the name of the import package; raise `ConfigError` if it, or the plugin's, can't be had."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"plugin name {name!r}: use lower case letters, digits and single hyphens, a letter first")
    if name == "none":
        raise ConfigError("plugin name 'none': reserved (--generators none means no generator); choose another")
    for other in KINDS:
        if (other, name) in registry().entries:
            owner = registry().entries[other, name].distribution
            raise ConfigError(f"the name {name!r} is taken by a {other} of {owner}; choose another")
    package = f"synthbench_{name.replace('-', '_')}"
    if importlib.util.find_spec(package) is not None:
        raise ConfigError(f"the import package {package} is installed already; choose another name than {name!r}")
    return package


def _fill(folder: Path, target: str, source: str, words: dict[str, str]) -> Path:
    """Fill one template in; return the path within the distribution."""
    path = Path(Template(target).substitute(words))
    template = Path(__file__).parent / f"{Template(source).substitute(words)}.tmpl"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(Template(template.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
    return path
