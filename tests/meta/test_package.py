"""What is installed: entry points, the version, the wheel, and modules that say what they are."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import synthbench
from helpers.repository import PLUGINS, PYPROJECT, ROOT, SOURCES
from synthbench.plugin import hookspecs


@pytest.mark.parametrize(("name", "target"), PYPROJECT["project"]["entry-points"]["synthbench"].items())
def test_entry_points_resolve_to_modules_with_hooks(name: str, target: str) -> None:
    module = importlib.import_module(target)
    assert any(hasattr(module, hook) for hook in hookspecs.HOOKS)


def test_every_plugin_package_has_an_entry_point() -> None:
    targets = set(PYPROJECT["project"]["entry-points"]["synthbench"].values())
    assert sorted(targets - {"synthbench.plugin.builtin_engines", "synthbench.plugin.builtin_loggers"}) == PLUGINS


def test_the_version_is_said_once() -> None:
    assert PYPROJECT["project"]["version"] == synthbench.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(synthbench.__version__)}\b", changes, re.MULTILINE)


@pytest.mark.slow
def test_the_wheel_holds_the_whole_of_the_core_and_the_plugins(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("benchmark", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {
        str(path.relative_to(tmp_path / root))
        for root in ("benchmark", "plugins")
        for path in (tmp_path / root).rglob("*")
        if path.is_file() and ".egg-info" not in str(path)
    }
    assert inside == files


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "plugins").rglob("*.py"))], ids=lambda path: path.stem)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
