"""The Python API: what the commands do, without printing or exiting."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import synthbench
from synthbench.errors import PluginError, StoreError
from synthbench.samples import write_array
from synthbench.store import Store, default_store_folder

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart.py"


def test_the_quickstart_runs_and_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(QUICKSTART), run_name="__main__")
    out, err = capsys.readouterr()
    assert "real + duplicate × 4" in out
    assert "4 trainings, 0 failed tasks" in out
    assert err == ""


def test_a_study_is_planned_from_a_mapping_or_a_file_and_nothing_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = runpy.run_path(str(QUICKSTART))["STUDY"]
    file = tmp_path / "tiny.yaml"
    file.write_text(synthbench.Study.model_validate(study).to_yaml())
    planned, from_file = (synthbench.plan(each, store=tmp_path / "store", device="cpu") for each in (study, file))
    assert planned.plan.tasks.keys() == from_file.plan.tasks.keys()
    assert {task.key for task in planned.missing} == planned.plan.tasks.keys()
    assert planned.warnings
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("study", "named"),
    [({"datasets": []}, "datasets"), ({"dataset": ["a"]}, "dataset"), ("no-such-file.yaml", "no-such-file.yaml")],
)
def test_a_wrong_study_raises_and_does_not_exit(tmp_path: Path, study: object, named: str) -> None:
    with pytest.raises(synthbench.SynthbenchError, match=named):
        synthbench.run(study, store=tmp_path / "store", folder=tmp_path / "run")


def test_a_wrong_machine_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    study = runpy.run_path(str(QUICKSTART))["STUDY"]
    with pytest.raises(PluginError, match="abacus"):
        synthbench.run(study, store=tmp_path / "store", folder=tmp_path / "run", engine="abacus")
    assert not (tmp_path / "run").exists()


def test_folders_of_label_maps_are_scored(tmp_path: Path) -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[4:12, 4:12], labels[20:28, 20:28] = 1, 2
    for name, array in (("predicted", np.where(labels == 2, 0, labels)), ("truth", labels)):
        (tmp_path / name).mkdir()
        write_array(tmp_path / name / "a.png", array.astype(np.uint8))
    found = synthbench.score(tmp_path / "predicted", tmp_path / "truth", trusted=True)
    assert (found["counts"]["tp"][0], found["counts"]["fn"][0]) == (1, 1)


def test_every_public_name_is_there_and_importing_the_package_imports_nothing_heavy() -> None:
    assert all(getattr(synthbench, name) is not None for name in synthbench.__all__)
    heavy = ("torch", "numpy", "pandas", "pydantic", "rich")
    code = f"import sys, synthbench; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_default_store_is_in_the_home_of_synthbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path))
    assert default_store_folder() == tmp_path / "store"
    monkeypatch.delenv("SYNTHBENCH_HOME")
    assert default_store_folder() == Path.home() / ".local" / "share" / "synthbench" / "store"
    with pytest.raises(StoreError):
        Store(tmp_path / "none", create=False)
