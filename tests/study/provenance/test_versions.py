"""Which versions stand in a key: those of what a plugin's own modules import, found without importing it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from synthbench.plugin.registry import Registered, distribution_version, registry
from synthbench.plugin.specs import DatasetSpec, GeneratorSpec
from synthbench.study.provenance import clear_caches, core_versions, plugin_source, plugin_versions
from synthbench.study.provenance._versions import NUMERIC


def forget() -> None:
    clear_caches()
    distribution_version.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch) -> Path:
    """A folder on the search path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    forget()


def install(site: Path, name: str, version: str, *packages: str) -> None:
    """Install a distribution that brings packages, in place of any other version of it."""
    folder = name.replace("-", "_").lower()
    for old in site.glob(f"{folder}-*.dist-info"):
        (old / "METADATA").unlink()
        (old / "RECORD").unlink()
        old.rmdir()
    info = site / f"{folder}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{package}/__init__.py,,\n" for package in packages))
    for package in packages:
        (site / package).mkdir(exist_ok=True)
        (site / package / "__init__.py").touch()
    forget()


def plugin(site: Path, text: str, kind: type = GeneratorSpec, **more: str) -> Registered:
    (site / "mine").mkdir(exist_ok=True)
    for name, content in {"__init__": "", "method": text, **more}.items():
        (site / "mine" / f"{name}.py").write_text(content)
    forget()
    how = {"tasks": {"instances"}} if kind is DatasetSpec else {}
    return Registered(kind("mine", "mine.method:Mine", **how), "mine-plugin", "1.0")


def test_what_is_imported_anywhere_counts_and_nothing_is_imported(site: Path) -> None:
    install(site, "Deep-Lib", "3.4.5", "deeplib")
    entry = plugin(site, "raise SystemExit\ndef fit():\n    from deeplib.inner import net\n")
    assert plugin_versions(entry)["deep-lib"] == "3.4"
    assert "deeplib" not in sys.modules
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    ("version", "same"), [("3.4.9", True), ("3.4+cu128", True), ("3.5.0", False), ("4.4.5", False)]
)
def test_major_and_minor_count(site: Path, version: str, same: bool) -> None:
    install(site, "deeplib", "3.4.5", "deeplib")
    entry = plugin(site, "import deeplib")
    before = plugin_versions(entry)
    install(site, "deeplib", version, "deeplib")
    assert (plugin_versions(entry) == before) is same


def test_what_computes_is_in_every_key_of_what_trains(site: Path) -> None:
    """By way of another library a method may use it without an import of its own."""
    found = plugin_versions(plugin(site, "x = 1"))
    assert set(found) == {name for name in NUMERIC if distribution_version(name)}
    assert found["numpy"] == ".".join(distribution_version("numpy").split(".")[:2])
    assert plugin_versions(plugin(site, "x = 1", DatasetSpec)) == {}
    assert set(plugin_versions(plugin(site, "import numpy, json, pydantic", DatasetSpec))) == {"numpy"}


def test_what_the_core_imports_for_a_plugin_counts(site: Path) -> None:
    entry = plugin(site, "from synthbench.toolkit import batches", DatasetSpec)
    assert {"torch", "numpy"} <= plugin_versions(entry).keys()


def test_a_library_that_may_be_there_counts_when_it_comes(site: Path) -> None:
    entry = plugin(site, "try:\n    import fastlib\nexcept ImportError:\n    fastlib = None\n")
    before = plugin_versions(entry)
    install(site, "fastlib", "1.2.3", "fastlib")
    assert plugin_versions(entry) == before | {"fastlib": "1.2"}


def test_what_a_plugin_needs_is_named_once(site: Path) -> None:
    spec = GeneratorSpec("mine", "mine.method:Mine", requires=("Deep_Lib>=3", "absent-lib"))
    install(site, "deep-lib", "3.4.5", "deeplib")
    plugin(site, "import deeplib")
    found = plugin_versions(Registered(spec, "mine-plugin", "1.0"))
    assert found["deep-lib"] == "3.4"
    assert found["absent-lib"] is None
    assert sum("deep" in name for name in found) == 1


def test_packages_beside_the_plugin_count_by_their_source(site: Path) -> None:
    """Its distribution's version doesn't change with every edit; and some code is of no distribution."""
    install(site, "mine_plugin", "1.0", "mine", "mine_helpers")
    (site / "loose.py").write_text("rate = 1")
    entry = plugin(site, "import mine_helpers, loose")
    assert not {"mine-plugin", "mine_plugin"} & plugin_versions(entry).keys()
    before = plugin_source(entry)
    (site / "mine_helpers" / "__init__.py").write_text("rate = 2")
    forget()
    second = plugin_source(entry)
    (site / "loose.py").write_text("rate = 3")
    forget()
    assert len({before, second, plugin_source(entry)}) == 3


def test_a_folder_that_happens_to_have_an_imports_name_does_not_count(site: Path) -> None:
    """Where one works there may be a folder of images called `data`, and a library of that name elsewhere."""
    entry = plugin(site, "try:\n    import pictures_of_mine\nexcept ImportError:\n    pass\n")
    before = plugin_source(entry)
    (site / "pictures_of_mine").mkdir()
    (site / "pictures_of_mine" / "a.png").write_bytes(b"x")
    forget()
    assert plugin_source(entry) == before


def test_data_of_a_package_counts_by_its_bytes(site: Path) -> None:
    entry = plugin(site, "x = 1")
    found = [plugin_source(entry)]
    for name, counts in (("table.json", True), ("README.md", False), ("method.pyc", False), (".cache/x.json", False)):
        (site / "mine" / name).parent.mkdir(exist_ok=True)
        (site / "mine" / name).write_text("1")
        forget()
        found.append(plugin_source(entry))
        assert (found[-1] != found[-2]) is counts, name
    (site / "mine" / "table.json").write_text("2")
    forget()
    assert plugin_source(entry) not in found


def test_a_comment_orphans_nothing(site: Path) -> None:
    before = plugin_source(plugin(site, "import numpy\nx = 1\n"))
    assert plugin_source(plugin(site, '"""Words."""\nimport numpy\n\n# why\nx = 1  # one\n')) == before
    assert plugin_source(plugin(site, "import numpy\nx = 2\n")) != before


def test_what_scores_counts_with_its_libraries() -> None:
    for part in ("evaluate", "assess", "encode"):
        assert {"numpy", "scipy"} <= core_versions(part).keys()
        assert not {"pillow", "tifffile", "pooch", "requests"} & core_versions(part).keys()


def test_built_in_plugins_name_what_they_use() -> None:
    found = {
        name: plugin_versions(registry().get("segmenter", name)).keys()
        for name in ("unet", "stardist", "cellpose")
        if not registry().get("segmenter", name).disabled_reason
    }
    assert {"torch", "monai", "numpy", "scipy", "scikit-image"} <= found["unet"]
    assert "stardist" not in found or {"tensorflow", "stardist"} <= found["stardist"]
    assert "cellpose" not in found or {"cellpose", "torch"} <= found["cellpose"]
