"""What synthbench new writes is installed, discovered, keeps the contract and runs in a study, unchanged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthbench.samples import Sample, SampleSet
from synthbench.scaffold import write_plugin
from synthbench.testing import discs

NEW = {"dawn-light": "generator", "dusk-level": "segmenter"}


@pytest.fixture(scope="module")
def site(install: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("new")
    for name, kind in NEW.items():
        write_plugin(kind, name, folder / name)
    return install(*(folder / name for name in NEW))


@pytest.mark.parametrize("name", NEW)
def test_it_is_discovered(name: str, site: Any) -> None:
    rows = json.loads(site.synthbench("list", f"{NEW[name]}s", "--json").stdout)["plugins"]
    (row,) = [row for row in rows if row["name"] == name]
    assert row["from"] == f"synthbench-{name} 0.1.0"
    assert row["disabled_reason"] == ""


@pytest.mark.parametrize("name", NEW)
def test_it_keeps_the_contract(name: str, site: Any) -> None:
    done = site.synthbench("check", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout


def test_its_own_test_passes(site: Any, tmp_path: Path) -> None:
    write_plugin("generator", "dawn-light-too", tmp_path / "again")
    test = (tmp_path / "again" / "tests" / "test_contract.py").read_text().replace("dawn-light-too", "dawn-light")
    (tmp_path / "test_contract.py").write_text(test)
    done = site.python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_contract.py"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_segmenter_learns_its_level_and_its_side(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from synthbench import Context, TrainingMix
    from synthbench.metrics.matching import count, pooled

    monkeypatch.syspath_prepend(str(site.folder))
    try:
        from synthbench_dusk_level.segmenter import DuskLevel

        bright = discs(8, objects=4, size=96)
        dark = SampleSet.of([Sample(s.id, (255 - s.image).astype(np.uint8), s.labels) for s in bright])
        for pictures in (bright, dark):
            segmenter = DuskLevel()
            segmenter.fit(TrainingMix(pictures[:6]), pictures[:1], Context())
            counts = [count(s.labels, segmenter.predict(s.image).labels) for s in pictures[6:]]
            assert pooled(counts)["f1"][0] > 0.5
            assert np.mean([c.dice for c in counts]) > 0.9
    finally:
        for name in [name for name in sys.modules if name.startswith("synthbench_dusk_level")]:
            del sys.modules[name]


@pytest.mark.slow
def test_it_runs_in_a_study(site: Any, tmp_path: Path) -> None:
    done = site.synthbench(
        *("run", "--dataset", "phantom-nuclei", "--generators", "dawn-light", "--segmenters", "dusk-level"),
        *("--seeds", "1", "--synthetic", "6", "--engine", "serial"),
        *("--store", str(tmp_path / "store"), "--out", str(tmp_path / "run")),
    )
    assert done.returncode == 0, done.stderr
    assert "dawn-light" in done.stdout
    assert "dusk-level" in done.stdout
