"""The trial plugins: installed in this process for a while, and a command line that has them."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from synthbench.plugin.registry import registry


@contextmanager
def trial_plugins(site: Path) -> Iterator[None]:
    """Install what `site` holds: a fixture that outlives its test must leave this before it yields.

    Other tests of the same process, and the workers that they start, would find a distribution too many.
    """
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(site))
            registry.cache_clear()
            yield
    finally:
        registry.cache_clear()


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

    def call(self, *words: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, in a tenth of the time; check its exit code unless that is None."""
        from synthbench.cli import main

        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, trial_plugins(self.site):
            patch.chdir(self.folder)
            for name, value in self.environment().items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    found = main([str(word) for word in words])
                except SystemExit as ended:
                    found = int(ended.code or 0)
        assert code is None or found == code, f"exit {found}\n{out.getvalue()}\n{err.getvalue()}"
        return subprocess.CompletedProcess([str(word) for word in words], found, out.getvalue(), err.getvalue())

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
