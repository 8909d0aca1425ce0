"""Plugin distributions, really installed, each set of them into a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "synthbench-example-plugin"


@dataclass(frozen=True)
class Site:
    """A folder that distributions were installed into, seen by the processes that it starts."""

    folder: Path

    def python(self, *args: str, **options: object) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
        return subprocess.run(  # noqa: PLW1510
            [sys.executable, *args], env=env, capture_output=True, text=True, timeout=300, **options
        )

    def synthbench(self, *args: str, **options: object) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "synthbench", *args, **options)


Install = Callable[..., Site]


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Install copies of distributions by pip, and return where they are."""

    def run(*sources: Path) -> Site:
        work = tmp_path_factory.mktemp("distributions")
        copies = [shutil.copytree(source, work / source.name) for source in sources]
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-build-isolation", "--no-index", "--target", str(work / "site"), *map(str, copies)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return Site(work / "site")

    return run


@pytest.fixture(scope="session")
def example() -> Path:
    """The example distribution's folder."""
    return EXAMPLE


@pytest.fixture(scope="session")
def example_site(install: Install, example: Path) -> Site:
    """The example distribution, installed."""
    return install(example)
