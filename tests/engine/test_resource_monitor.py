"""What a task costs and where it ran, also on systems without Linux's /proc."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from synthbench.engine import resource_monitor


@pytest.fixture
def without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing below /proc can be read or written."""
    for name in ("read_text", "write_text"):
        plain = getattr(Path, name)

        def refusing(self: Path, *words: object, plain=plain, **options: object) -> object:
            if self.is_relative_to("/proc"):
                raise FileNotFoundError(2, "No such file or directory", str(self))
            return plain(self, *words, **options)

        monkeypatch.setattr(Path, name, refusing)
    resource_monitor.hardware.cache_clear()


@pytest.mark.usefixtures("without_proc")
@pytest.mark.parametrize(("system", "unit"), [("linux", 2**10), ("darwin", 1)])
def test_the_peak_is_in_mib_whatever_the_systems_unit(monkeypatch: pytest.MonkeyPatch, system: str, unit: int) -> None:
    """Linux counts in KiB, macOS in bytes."""
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=300 * 2**20 // unit))
    memory = resource_monitor.Memory()
    memory.start()
    assert memory.peak_mb() == 300


@pytest.mark.usefixtures("without_proc")
def test_hardware_is_told_without_proc() -> None:
    found = resource_monitor.hardware()
    resource_monitor.hardware.cache_clear()
    assert found["processor"]
    assert found["cores"] == os.cpu_count()
    assert found["memory_mb"] > 0
