"""The library of datasets, plugin datasets, and the way from a name or path to samples."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

import synthbench
from synthbench.datasets import building, library
from synthbench.datasets.building import build_dataset
from synthbench.datasets.importing import prepare_import
from synthbench.datasets.library import Library, default_root, open_dataset
from synthbench.errors import ConfigError, DataError, PluginError
from synthbench.plugin.api import Context
from synthbench.plugin.registry import Registered, Registry
from synthbench.samples import Sample, SampleSet


class DotsConfig(synthbench.Config):
    count: int = 3
    archive: str = ""


class Dots(synthbench.Dataset):
    """A dataset of dots, for tests."""

    Config = DotsConfig
    source, licence, citation = "https://example.org/dots", "CC0-1.0", "Dot 1999"
    classes = ("background", "dot")

    def samples(self, context):
        assert context.folder is not None
        (context.folder / "partial").touch()
        for index in range(self.config.count):
            labels = np.zeros((8, 8), np.uint8)
            labels[index, index] = 1
            yield Sample(f"dot-{index}", labels * 9, labels)


@pytest.fixture
def dots(monkeypatch) -> None:
    """Have one dataset plugin, called dots."""
    target = f"{__name__}:Dots"
    spec = synthbench.DatasetSpec("dots", target, tasks=frozenset({"semantic"}))
    found = Registry({("dataset", "dots"): Registered(spec, "test", "1")})
    monkeypatch.setattr(found, "load", lambda kind, name: Dots if found.get(kind, name) else None)
    for module in (building, library):
        monkeypatch.setattr(module, "registry", lambda: found)


@pytest.fixture
def cells(put, grey, two_cells, tmp_path) -> Path:
    for name in "abc":
        put(f"cells/images/{name}.png", grey)
        put(f"cells/labels/{name}.png", two_cells)
    return tmp_path / "cells"


def test_the_library_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path))
    assert default_root() == tmp_path / "datasets"
    monkeypatch.delenv("SYNTHBENCH_HOME")
    assert default_root() == Path.home() / ".local" / "share" / "synthbench" / "datasets"


def test_what_is_added_is_found_by_name(tmp_path, cells):
    shelf = Library(tmp_path / "library")
    assert shelf.names() == []
    added = shelf.add(prepare_import(cells))
    assert shelf.names() == ["cells"]
    assert shelf.open("cells").fingerprint == added.fingerprint
    assert open_dataset("cells", library=shelf)[1] == tmp_path / "library" / "cells"
    with pytest.raises(DataError, match=r"'cells' already exists at .*--name"):
        shelf.add(prepare_import(cells))
    assert shelf.add(prepare_import(cells, name="again")).fingerprint == added.fingerprint


def test_a_failed_import_leaves_nothing_behind(tmp_path, cells):
    (cells / "labels" / "c.png").write_bytes(b"broken")
    shelf = Library(tmp_path / "library")
    with pytest.raises(DataError, match=r"c\.png: can't be read"):
        shelf.add(prepare_import(cells))
    assert list((tmp_path / "library").iterdir()) == []


@pytest.mark.parametrize("name", ["../cells", "a/b", ".hidden", "", "a b"])
def test_a_name_can_not_be_a_path(tmp_path, cells, name):
    shelf = Library(tmp_path / "library")
    with pytest.raises(DataError, match=rf"dataset name {re.escape(repr(name))}: "):
        shelf.folder(name)


def test_an_unknown_name_gets_the_nearest(tmp_path, cells):
    shelf = Library(tmp_path / "library")
    shelf.add(prepare_import(cells))
    with pytest.raises(DataError, match=r"no dataset.*'cell' \(did you mean 'cells'\?\)"):
        shelf.open("cell")
    with pytest.raises(DataError, match=r"cellz: not a path, .*'cells'"):
        open_dataset("cellz", library=shelf)


def test_a_plugins_name_is_near_too_and_not_free_for_imports(tmp_path, cells):
    shelf = Library(tmp_path / "library")
    with pytest.raises(DataError, match=r"phantom-nucleii: not a path, .*did you mean 'phantom-nuclei'"):
        open_dataset("phantom-nucleii", library=shelf)
    with pytest.raises(DataError, match=r"'phantom-nuclei' is used by a plugin; .*--name"):
        shelf.add(prepare_import(cells, name="phantom-nuclei"))


def test_a_path_is_imported_once_and_again_only_when_a_file_changes(tmp_path, cells, put, grey, monkeypatch):
    shelf = Library(tmp_path / "library")
    first, folder = open_dataset(cells, library=shelf)
    assert len(first) == 3
    with monkeypatch.context() as patch:
        patch.setattr(SampleSet, "write", lambda *a, **k: pytest.fail("imported again"))
        assert open_dataset(cells, library=shelf)[1] == folder
    put("cells/images/a.png", grey + np.uint8(1))
    os.utime(cells / "images" / "a.png", ns=(1, 1))
    changed, other = open_dataset(cells, library=shelf)
    assert other != folder
    assert changed.fingerprint != first.fingerprint
    semantic, third = open_dataset(cells, library=shelf, task="semantic", classes=("background", "a", "b"))
    assert (semantic.task, third in (folder, other)) == ("semantic", False)
    assert shelf.names() == []


def test_the_path_of_a_sample_set_is_opened_where_it_is(tmp_path, blob_set):
    blob_set.save(tmp_path / "blobs")
    samples, folder = open_dataset(tmp_path / "blobs", tmp_path / "imported")
    assert (samples.fingerprint, folder) == (blob_set.fingerprint, tmp_path / "blobs")
    assert not (tmp_path / "imported").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_library_that_can_not_be_written_says_where_to(tmp_path, cells):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"can't be written: .*; set SYNTHBENCH_HOME"):
        Library(tmp_path / "locked" / "library").add(prepare_import(cells))


def test_a_file_in_the_place_of_the_library_says_where_to(tmp_path, cells):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/library: can't be written: .*SYNTHBENCH_HOME"):
        Library(tmp_path / "file" / "library").add(prepare_import(cells))


def test_a_plugin_dataset_is_built_with_its_terms(dots, tmp_path):
    samples = build_dataset("dots", {"count": 2}, tmp_path / "out", Context(folder=tmp_path))
    assert (len(samples), samples.task, samples.classes) == (2, "semantic", ("background", "dot"))
    assert {key: samples.info[key] for key in ("source", "licence", "citation", "plugin", "config")} == {
        "source": "https://example.org/dots",
        "licence": "CC0-1.0",
        "citation": "Dot 1999",
        "plugin": "dots",
        "config": {"count": 2, "archive": ""},
    }


@pytest.mark.parametrize(
    ("name", "config", "error", "says"),
    [
        ("dot", {}, PluginError, r"unknown dataset 'dot' \(did you mean 'dots'\?\)"),
        ("dots", {"cuont": 2}, ConfigError, r"dataset 'dots': config: cuont: .*\(did you mean 'count'\?\)"),
        ("dots", {"count": "many"}, ConfigError, "dataset 'dots': config: count: .*valid integer.*'many'"),
        ("dots", {"count": 0}, DataError, r"dataset 'dots':.*plugin.*no sample"),
    ],
)
def test_a_plugin_dataset_that_can_not_be_built_is_one_line(dots, tmp_path, name, config, error, says):
    with pytest.raises(error, match=says) as raised:
        build_dataset(name, config, tmp_path / "out", Context(folder=tmp_path))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_plugin_dataset_in_the_library_leaves_no_work_behind(dots, tmp_path):
    shelf = Library(tmp_path / "library")
    with pytest.raises(DataError, match=r"'dots' isn't in the library.*'synthbench dataset add dots'"):
        open_dataset("dots", library=shelf)
    shelf.build("dots", {}, name="mine")
    assert shelf.names() == ["mine"]
    assert not (shelf.root / ".work" / "dots").exists()
