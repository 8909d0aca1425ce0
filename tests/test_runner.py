"""How and where a run may compute and write."""

from __future__ import annotations

from pathlib import Path

import pytest

import synthbench
from synthbench.errors import ConfigError
from synthbench.plugin.precision import bfloat16_problem
from synthbench.runner import Machine, check_folder, machine
from synthbench.store import Store


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".DS_Store": ""},
        {"plan.json": '{"ab12": {"kind": "draw", "label": "x", "content": {}}}', "study.yaml": "name: x"},
        {"plan.json": "{}"},
    ],
    ids=["empty", "hidden", "run", "run of nothing"],
)
def test_a_run_goes_into_a_new_an_empty_or_a_runs_folder(tmp_path: Path, files: dict[str, str]) -> None:
    check_folder(tmp_path / "new")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    check_folder(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"study.yaml": "# mine"},
        {"plan.json": '{"monday": "sow"}'},
        {"plan.json": "[1]"},
        {"plan.json": "for the summer"},
        {"a.png": "", "environment.json": "{}"},
    ],
)
def test_what_no_run_wrote_is_not_written_over(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=r"holds files that no run wrote; .*--out"):
        check_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"is a file, not a run folder; .*--out"):
        check_folder(tmp_path / next(iter(files)))


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="--precision half"):
        Machine(precision="half").check()


@pytest.mark.parametrize("problem", ["", "this processor has none"])
def test_bfloat16_is_refused_where_the_processor_has_none(problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "bfloat16_problem", lambda: problem)
    for precision in ("auto", "fp32"):
        Machine(device="cpu", precision=precision).check()
    chosen = Machine(device="cpu", precision="bf16")
    if not problem:
        chosen.check()
        return
    with pytest.raises(ConfigError, match=f"--precision bf16: {problem}; use --precision fp32"):
        chosen.check()


@pytest.mark.slow
@pytest.mark.skipif(bool(bfloat16_problem()), reason="the processor has no instructions for bfloat16")
def test_a_study_in_bfloat16_has_results_of_its_own_beside_those_in_float32(tmp_path: Path) -> None:
    study = {
        "datasets": [{"name": "phantom-nuclei", "config": {"train": 4, "validation": 2, "test": 2, "size": 64}}],
        "generators": ["duplicate"],
        "segmenters": [{"name": "unet", "config": {"features": [4, 4, 4, 4, 4, 4]}}],
        "synthetic": [2],
        "seeds": 1,
        "budget": "smoke",
    }
    devices, weights = [], []
    for precision in ("auto", "bf16"):
        ran = synthbench.run(
            study, store=tmp_path / "store", folder=tmp_path / precision, device="cpu", precision=precision, workers=1
        )
        assert ran.failed == 0
        devices.append(set(ran.results.runs["device"]))
        fit = next(task for task in ran.plan.tasks.values() if task.kind == "fit-segmenter")
        found = Store(tmp_path / "store").get("fit-segmenter", fit.key)
        weights.append((found.folder / "model" / "network.safetensors").read_bytes())
    assert devices == [{"cpu"}, {"cpu in bfloat16"}]
    assert weights[0] != weights[1]
