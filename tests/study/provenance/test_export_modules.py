"""How a model is exported is no part of what it is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from synthbench.plugin.registry import Registered
from synthbench.plugin.specs import SegmenterSpec
from synthbench.study.provenance import clear_caches, plugin_source, plugin_versions


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin's package, importable."""
    folder = tmp_path / "exporting_plugin"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "segmenter.py").write_text("import numpy\n\n\nclass Mine: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("exporting_plugin", None)


def test_the_module_that_exports_is_no_part_of_keys(package: Path) -> None:
    assert identity() == identity()
    before = identity()
    (package / "synthbench_export.py").write_text("import yaml\nfrom synthbench.toolkit.layers import tiles\n")
    assert identity() == before
    (package / "sub").mkdir()
    (package / "sub" / "synthbench_export.py").write_text("x = 1\n")
    assert identity() != before


def identity() -> tuple[object, ...]:
    """Source and versions, as a new process finds them."""
    clear_caches()
    entry = Registered(SegmenterSpec("mine", "exporting_plugin.segmenter:Mine"), "none", "1")
    return plugin_source(entry), plugin_versions(entry)
