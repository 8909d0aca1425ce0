"""A second environment: packages of this one, another version of NumPy, and the trial plugins, which this one lacks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.environments import distribution, second_environment
from synthbench.environments import offers

TRIAL = Path(__file__).resolve().parents[1] / "trial" / "trial_plugins.py"
NUMPY = "9.9"
"""What the second environment says that its NumPy is."""


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of the second environment."""
    folder = tmp_path_factory.mktemp("second")
    site = distribution(folder / "site", "synthbench-trial", "0.1", {}, "trial = trial_plugins")
    distribution(site, "numpy", f"{NUMPY}.1", {}, record=["numpy/__init__.py"])
    shutil.copy(TRIAL, site)
    return second_environment(folder / "environment", site)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, without environments."""
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    offers.clear_caches()
    yield tmp_path / "home"
    offers.clear_caches()


@pytest.fixture
def counted(tmp_path: Path) -> Callable[[str], tuple[str, Callable[[], int]]]:
    """Wraps an interpreter by one that counts how often it is started."""

    def wrap(python: str) -> tuple[str, Callable[[], int]]:
        log, script = tmp_path / "starts", tmp_path / "counted-python"
        script.write_text(f'#!/bin/sh\necho started >> {log}\nexec {python} "$@"\n')
        script.chmod(0o755)
        return str(script), lambda: len(log.read_text().splitlines()) if log.exists() else 0

    return wrap
