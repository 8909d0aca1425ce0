"""What a key knows of a plugin: its source, helpers included, its versions, its configuration with every default."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from synthbench.errors import ConfigError, PluginError
from synthbench.plugin.registry import Registered
from synthbench.plugin.specs import GeneratorSpec
from synthbench.store import Store
from synthbench.study import provenance
from synthbench.study.model import BudgetConfig
from synthbench.study.provenance import _code as code
from synthbench.study.provenance.encoders import pick_encoder
from synthbench.study.provenance.plugins import fingerprint_plugin

pytestmark = pytest.mark.usefixtures("trial_registry")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def package(root: Path, **files: str) -> Registered:
    provenance.clear_caches()
    (root / "some_plugin").mkdir(parents=True, exist_ok=True)
    for name, text in {"__init__": "", **files}.items():
        (root / "some_plugin" / f"{name}.py").write_text(text)
    return Registered(GeneratorSpec("some", "some_plugin.generator:Some"), "some", "1")


def test_a_plugins_source_counts_every_module_of_its_package_and_imports_none(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    first = provenance.plugin_source(package(tmp_path, generator="raise SystemExit", helper="a = 1"))
    again = provenance.plugin_source(package(tmp_path, generator="raise SystemExit", helper="a = 1"))
    other = provenance.plugin_source(package(tmp_path, generator="raise SystemExit", helper="a = 2"))
    assert first == again != other
    assert "some_plugin" not in sys.modules


def test_the_core_counts_by_the_part_that_matters() -> None:
    parts = ["train", "encode", "assess", "evaluate", "dataset"]
    assert len({provenance.core_source(part) for part in parts}) == len(parts)


def test_a_description_has_every_default_and_the_budgets_numbers(store: Store) -> None:
    found = fingerprint_plugin(store, "segmenter", "threshold", {}, BudgetConfig(name="smoke", steps=5))
    assert found.config == {"seconds": 0.0, "beside": None}
    assert found.budget == {"steps": 5, "batch_size": 2, "patch_size": 16}


def test_what_does_not_train_has_one_budget_whatever_its_name(store: Store) -> None:
    budgets = [
        fingerprint_plugin(store, "generator", "brighter", {}, BudgetConfig(name=n)).budget for n in ("smoke", "quick")
    ]
    assert budgets[0] == budgets[1]
    assert budgets[0]["steps"] == 0


def test_a_description_is_remembered_without_importing_the_plugin(store: Store, monkeypatch) -> None:
    first = fingerprint_plugin(store, "segmenter", "threshold", {"seconds": 1})
    monkeypatch.setattr("synthbench.plugin.registry.Registry.load", lambda *_: pytest.fail("imported again"))
    assert fingerprint_plugin(store, "segmenter", "threshold", {"seconds": 1}) == first


def test_what_is_in_the_files_that_a_fit_reads_is_part_of_the_key(store: Store, tmp_path: Path) -> None:
    """Other weights under the same name, and a result isn't taken from the store."""
    file = tmp_path / "weights"
    config = {"beside": str(file)}
    file.write_bytes(b"one")
    first, again = (fingerprint_plugin(store, "segmenter", "threshold", config) for _ in range(2))
    file.write_bytes(b"two")
    other = fingerprint_plugin(store, "segmenter", "threshold", config)
    assert first.content() == again.content() != other.content()
    assert first.content()["files"] == {"beside": hashlib.sha256(b"one").hexdigest()}
    assert "files" not in fingerprint_plugin(store, "segmenter", "threshold", {}).content()


def test_a_missing_file_is_told_before_anything_runs(store: Store, tmp_path: Path) -> None:
    config = {"beside": str(tmp_path / "nowhere")}
    with pytest.raises(PluginError, match=r"segmenter 'threshold': beside: .*nowhere: can't be read: No such file"):
        fingerprint_plugin(store, "segmenter", "threshold", config)


@pytest.mark.parametrize("config", [{"secs": 1}, {"seconds": "long"}])
def test_a_wrong_configuration_is_one_line(store: Store, config: dict) -> None:
    with pytest.raises(ConfigError, match="segmenter 'threshold': config: sec"):
        fingerprint_plugin(store, "segmenter", "threshold", config)


def test_an_encoder_that_can_not_run_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="inception"):
        pick_encoder("inception", {"weights": "/nowhere/inception.pt"})


def test_without_weights_an_encoder_that_needs_none_is_picked() -> None:
    picked = pick_encoder(None, {})
    assert picked.name in ("inception", "untrained")
    assert picked.fingerprint


def test_a_plugins_source_counts_what_it_uses_of_the_core_and_what_that_uses(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    core = tmp_path / "synthbench"
    texts = {
        "toolkit/__init__.py": "",
        "toolkit/loop.py": "def train():\n    from synthbench.metrics import overlap",
        "toolkit/masks.py": "import synthbench.samples as samples",
        "metrics/__init__.py": "",
        "metrics/overlap.py": "",
        "metrics/kernel.py": "",
        "samples.py": "from synthbench.errors import DataError",
        "errors.py": "",
    }
    for name, text in texts.items():
        (core / name).parent.mkdir(parents=True, exist_ok=True)
        (core / name).write_text(text)
    monkeypatch.setattr(code, "CORE", core)
    monkeypatch.setattr(code, "NOT_HASHED", {core / "errors.py"})

    def source(imports: str) -> str:
        return provenance.plugin_source(package(tmp_path / "plugins", generator=imports))

    def counted(imports: str) -> set[str]:
        found = set()
        before = source(imports)
        for name, text in texts.items():
            (core / name).write_text(text + "\nchanged = 1")
            found |= {name} if source(imports) != before else set()
            (core / name).write_text(text)
        return found

    deep = {"toolkit/__init__.py", "toolkit/loop.py", "metrics/__init__.py", "metrics/overlap.py"}
    assert counted("from synthbench.toolkit import loop") == deep
    assert counted("import synthbench.toolkit.loop as loop") == deep
    flat = {"toolkit/__init__.py", "toolkit/masks.py", "samples.py"}
    assert counted("from synthbench.toolkit.masks import x") == flat
    assert counted("from synthbench import toolkit") == set(texts) - {"metrics/kernel.py", "errors.py"}
    assert counted("from synthbench import Context\nfrom .toolkit import loop\nimport numpy") == set()
    assert counted("this is no Python") == set()
