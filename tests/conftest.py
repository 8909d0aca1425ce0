"""Fixtures that all tests share."""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from hypothesis import settings

from helpers.blobs import blobs
from helpers.trial import trial_plugins
from synthbench.samples import Sample, SampleSet

settings.register_profile("busy machines", deadline=None)
settings.load_profile("busy machines")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so begins a shell's background job, and all that it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real annotated micrographs, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("SYNTHBENCH_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no real micrographs at {folder}; set SYNTHBENCH_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def shared_fixtures(real_data: Path) -> Path:
    """The folder of raw files and recorded predictions beside the real micrographs."""
    folder = real_data.parent / "fixtures"
    if not folder.is_dir():
        pytest.skip(f"no fixtures at {folder}")
    return folder


@pytest.fixture(scope="session")
def blob_set() -> SampleSet:
    """Twelve small pictures of discs."""
    return SampleSet.of([blobs(seed) for seed in range(12)], name="blobs")


@pytest.fixture(scope="session")
def semantic_set() -> SampleSet:
    """Eight small pictures whose label map gives the class of each pixel: background, disc."""
    samples = [blobs(seed) for seed in range(8)]
    flat = [Sample(s.id, s.image, (s.labels > 0).astype(np.uint8)) for s in samples]
    return SampleSet.of(flat, name="discs", task="semantic", classes=("background", "disc"))


@pytest.fixture(scope="session")
def trial_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on PYTHONPATH, makes the trial plugins an installed distribution."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(CHECKOUT / "tests" / "trial" / "trial_plugins.py", site)
    info = site / "synthbench_trial-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: synthbench-trial\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[synthbench]\ntrial = trial_plugins\n")
    return site


TRIAL_STUDY: dict[str, object] = {
    "name": "trial",
    "datasets": ["discs"],
    "generators": ["brighter"],
    "segmenters": ["threshold"],
    "encoder": "moments",
    "synthetic": [4],
    "seeds": 2,
    "budget": "smoke",
}


@dataclass
class Trial:
    """Runs the command line in a process of its own, with the trial plugins installed and a store of its own."""

    folder: Path
    site: Path

    def study(self, **changes: object) -> Path:
        """Write a small study file, with some of its keys replaced."""
        content = TRIAL_STUDY | changes
        path = self.folder / "study.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
        return path

    def environment(self) -> dict[str, str]:
        paths = [str(self.site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        home = {"SYNTHBENCH_HOME": str(self.folder / "home"), "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
        return {**os.environ, **home, "COLUMNS": "160", "SYNTHBENCH_TRIAL": str(self.folder)}

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "synthbench", *map(str, words)]

    def run(self, *words: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command, and check its exit code unless that is None."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def begin(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        """Start a command and return its process; `options` are those of `subprocess.Popen`."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def remaining(self, patience: float = 5) -> list[str]:
        """Return what `left` does once that is nothing, or after some seconds.

        The process in which Python keeps account of shared memory ends itself, a moment after the last that it served.
        """
        deadline = time.monotonic() + patience
        while (found := self.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def left(self) -> list[str]:
        """Return the command lines of processes that were started here and that still run."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline()))
        return [words for words in found if words]

    def processes(self) -> list[psutil.Process]:
        """Return the processes that were started here."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("SYNTHBENCH_TRIAL") == str(self.folder):
                    found.append(process)
        return found

    @property
    def store(self) -> Path:
        return self.folder / "home" / "store"

    def artifacts(self, kind: str) -> dict[str, int]:
        """Return the keys of a kind's artifacts, and when each was sealed."""
        return {path.parent.name: path.stat().st_mtime_ns for path in (self.store / kind).glob("*/record.json")}


@pytest.fixture
def trial(tmp_path: Path, trial_site: Path) -> Trial:
    """A command line with the trial plugins, in a folder of its own."""
    return Trial(tmp_path, trial_site)


@pytest.fixture
def trial_registry(trial_site: Path) -> Iterator[None]:
    """The trial plugins, installed in this process for one test."""
    with trial_plugins(trial_site):
        yield


@pytest.fixture
def trial_study() -> dict[str, object]:
    """A small study of trial plugins, as a mapping."""
    return copy.deepcopy(TRIAL_STUDY)
