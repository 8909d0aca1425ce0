"""Whole studies through the command line: failing, killed, stopped, altered, extended, and run again."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from helpers.trial import Trial
from synthbench.results import TABLES, load_results

FITS = "fit-segmenter"
SLOW = [{"name": "threshold", "config": {"seconds": 0.3}}]


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """What a study found, without what it cost."""
    results = load_results(folder)
    images = results.images
    runs = results.runs[["arm", "segmenter", "seed", "status", "coco_ap"]]
    return {
        "images": images,
        "runs": runs,
        "fidelity": results.fidelity,
        "label_consistency": results.label_consistency,
    }


def same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> bool:
    return all(one[name].equals(other[name]) for name in one)


@dataclass(frozen=True)
class Finished:
    """A study that has run once, for all tests here; `done` is how its command ended."""

    trial: Trial
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> Finished:
    made = Trial(tmp_path_factory.mktemp("finished"), trial_site)
    return Finished(made, made.run("run", made.study()))


@pytest.fixture
def ran(trial: Trial, finished: Finished) -> Trial:
    """A command line where the study has run: a copy that a test may change."""
    trial.study()
    for name in ("home", "runs"):
        shutil.copytree(finished.trial.folder / name, trial.folder / name)
    return trial


def test_a_study_ends_with_a_table_a_report_and_tidy_results(finished: Finished) -> None:
    assert "brighter" in finished.done.stdout
    run = finished.trial.folder / "runs" / "trial"
    assert (run / "report.html").stat().st_size > 5000
    results = load_results(run)
    assert set(results.runs["status"]) == {"ok"}
    assert len(results.runs) == 2 * 2
    assert len(results.images) == 2 * 2 * 4 * 10
    assert (results.images.query("iou == 0.5")["tp"] > 0).any()
    assert {path.stem for path in (run / "results").iterdir()} == {*TABLES, "seal"}
    assert results.fidelity.loc[0, "metric_fd"] == "FD(moments)"
    told = results.fidelity.loc[0, ["count:lost", "count:drawn", "count:empty"]]
    assert told.tolist() == [2, results.runs["synthetic"].max(), 0], "what fitting and drawing have come to is kept"
    agreed = results.label_consistency.query("iou == 0.5")
    assert set(agreed["generator"]) == {"brighter"}
    assert len(agreed) == 2 * results.fidelity.loc[0, "n"], "both segmenter seeds look at them"
    assert (agreed["tp"] > 0).any()


def _spent() -> float:
    """Return the processor time of the processes that were started and have ended: a busy machine changes it little."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_the_same_study_again_computes_nothing(ran) -> None:
    trial, study = ran, ran.study()
    before = {kind: trial.artifacts(kind) for kind in ("draw", FITS, "evaluate", "assess")}
    first = tables(trial.folder / "runs" / "trial")
    began = _spent()
    done = trial.run("run", study)
    assert _spent() - began < 10
    assert "0 to run" in done.stderr
    assert before == {kind: trial.artifacts(kind) for kind in before}
    assert same(first, tables(trial.folder / "runs" / "trial"))


def test_serial_and_local_engines_and_any_number_of_workers_agree(trial) -> None:
    found = []
    for number, words in enumerate((["--engine", "serial"], ["--workers", "1"], ["--workers", "3"])):
        store = trial.folder / f"store{number}"
        trial.run("run", trial.study(), "--store", store, "--out", trial.folder / f"out{number}", *words)
        found.append(tables(trial.folder / f"out{number}"))
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_changing_a_configuration_recomputes_what_depends_on_it_and_nothing_else(ran) -> None:
    trial = ran
    before = {kind: trial.artifacts(kind) for kind in ("fit-generator", "draw", FITS, "evaluate", "encode")}
    trial.run("run", trial.study(generators=[{"name": "brighter", "config": {"gain": 1.5}}]))
    after = {kind: trial.artifacts(kind) for kind in before}
    assert all(before[kind].items() <= after[kind].items() for kind in before)
    new = {kind: len(after[kind]) - len(before[kind]) for kind in before}
    assert new == {"fit-generator": 1, "draw": 1, FITS: 2, "evaluate": 4, "encode": 1}


def test_adding_a_seed_a_segmenter_or_a_fraction_adds_only_its_own_tasks(ran) -> None:
    trial = ran
    first = trial.artifacts(FITS)
    trial.run("run", trial.study(seeds=3))
    second = trial.artifacts(FITS)
    assert first.items() <= second.items()
    assert len(second) == len(first) + 2
    slow = {"name": "threshold", "label": "slow", "config": {"seconds": 0.01}, "seeds": 1}
    trial.run("run", trial.study(seeds=3, segmenters=["threshold", slow]))
    third = trial.artifacts(FITS)
    assert second.items() <= third.items()
    assert len(third) == len(second) + 2
    trial.run("run", trial.study(seeds=3, fractions=[0.5, 1.0]))
    assert len(trial.artifacts(FITS)) == len(third) + 2 * 3


@pytest.mark.parametrize("trouble", ["raise", "network", "die", "sleep", "few", "wide"])
def test_a_failing_task_is_a_typed_row_and_the_rest_goes_on(trial, trouble: str) -> None:
    study = trial.study(generators=["brighter", {"name": "troubled", "config": {"trouble": trouble}}], seeds=1)
    limit = ["--time-limit", "6"] if trouble == "sleep" else []
    done = trial.run("run", study, *limit, code=3)
    run = trial.folder / "runs" / "trial"
    results = load_results(run)
    by_arm = results.runs.set_index("arm")["status"].to_dict()
    assert by_arm == {"real": "ok", "real + brighter × 4": "ok", "real + troubled × 4": "failed"}
    kind = "draw" if trouble in ("few", "wide") else "fit-generator"
    row = results.tasks[(results.tasks["plugin"] == "troubled") & (results.tasks["kind"] == kind)].iloc[0]
    wanted = {
        "raise": ("failed", "fit", "the loss is NaN"),
        "network": ("failed", "fit", "ConnectionError: the licence server is away"),
        "die": ("crashed", "fit", "memory runs out"),
        "sleep": ("timeout", "fit", "ran out of time"),
        "few": ("failed", "draw", "drew 0 samples, asked for 1"),
        "wide": ("failed", "draw", "sample '000000' is uint16 with 1 channel(s)"),
    }[trouble]
    assert (row["status"], row["stage"]) == wanted[:2]
    assert wanted[2] in row["error"]
    assert wanted[2] in (run / "failures.txt").read_text()
    assert trouble not in ("raise", "network") or "trial_plugins.py" in row["traceback"]
    assert "troubled missing" in done.stdout
    assert "failed; see" in done.stderr


def test_a_failed_task_is_tried_again_and_the_rest_is_not(trial) -> None:
    study = trial.study(generators=[{"name": "troubled"}], seeds=1)
    trial.run("run", study, code=3)
    done = trial.run("run", study, code=3)
    assert re.search(r"(\d+) stored, \d+ to run", done.stderr).group(1) == "4"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, trial_site: Path) -> dict[str, pd.DataFrame]:
    """What a study of slow trainings finds that nothing disturbs."""
    undisturbed = Trial(tmp_path_factory.mktemp("calm"), trial_site)
    undisturbed.run("run", undisturbed.study(segmenters=SLOW))
    return tables(undisturbed.folder / "runs" / "trial")


@pytest.mark.parametrize("moment", [1, 3, 6])
def test_a_run_killed_at_any_moment_goes_on_and_ends_as_if_it_never_was(
    trial: Trial, calm: dict[str, pd.DataFrame], moment: int
) -> None:
    study = trial.study(segmenters=SLOW)
    process = trial.begin("run", study, "--workers", "2")
    kinds = ("fit-generator", "draw", "encode", FITS, "evaluate", "assess")
    deadline = time.monotonic() + 60
    while sum(len(trial.artifacts(kind)) for kind in kinds) < moment and time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    process.kill()
    process.wait()
    time.sleep(1.5)
    kept = {kind: trial.artifacts(kind) for kind in kinds}
    assert sum(map(len, kept.values())) >= moment
    trial.run("run", study)
    after = {kind: trial.artifacts(kind) for kind in kinds}
    assert all(kept[kind].items() <= after[kind].items() for kind in kinds), "a finished task was redone"
    assert same(calm, tables(trial.folder / "runs" / "trial"))


def _overwrite(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")


def _falsify(path: Path) -> None:
    """Alter a file as nobody does by accident: of the same size, with the time of change put back."""
    state = path.stat()
    content = path.read_bytes()
    place = max(content.rfind(b"1"), 0)
    path.write_bytes(content[:place] + b"7" + content[place + 1 :])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_false_scores_are_never_shown(ran) -> None:
    trial, study = ran, ran.study()
    before = tables(trial.folder / "runs" / "trial")
    for path in trial.store.glob("evaluate/*/scores.json"):
        _falsify(path)
    assert "6 to run" in trial.run("run", study, "--engine", "serial").stderr
    assert same(before, tables(trial.folder / "runs" / "trial"))


def test_a_refused_command_leaves_a_run_as_it_was(ran) -> None:
    trial, study = ran, ran.study()
    kept = (trial.folder / "runs" / "trial" / "study.yaml").read_bytes()
    trial.call("run", study, "--seeds", "3", "--device", "tpu", code=2)
    trial.call("run", study, "--engine", "cloud", code=2)
    assert (trial.folder / "runs" / "trial" / "study.yaml").read_bytes() == kept


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [_truncate, _overwrite])
@pytest.mark.parametrize("kind", ["draw", FITS, "evaluate", "encode"])
def test_a_damaged_artifact_is_found_and_computed_again(ran, kind: str, harm) -> None:
    trial, study = ran, ran.study()
    before = tables(trial.folder / "runs" / "trial")
    key = next(iter(trial.artifacts(kind)))
    files = (trial.store / kind / key).rglob("*")
    victim = next(path for path in files if path.is_file() and path.name != "record.json")
    harm(victim)
    done = trial.run("run", study, "--engine", "serial")
    assert "1 to run" in done.stderr
    assert same(before, tables(trial.folder / "runs" / "trial"))


def test_plan_tells_the_smallest_difference_that_it_can_find(trial) -> None:
    """Assumed at first, and where no arm differs in what is stored; else from an earlier run, or assumed again."""
    before = json.loads(trial.call("plan", trial.study(), "--json").stdout)["detectable_effects"]
    assert [row["noise"]["source"] for row in before] == ["assumed"]
    assert before[0]["difference"] > 0
    trial.run("run", trial.study(), "--out", trial.folder / "pilot")
    after = json.loads(trial.call("plan", trial.study(), "--json").stdout)["detectable_effects"]
    silent = "assumed, for in {} results no arm differs from real, which tells nothing"
    assert after[0]["noise"]["source"] == silent.format("stored")
    other = trial.study(segmenters=[{"name": "threshold", "config": {"seconds": 0.01}}])
    shown = trial.call("plan", other, "--pilot", trial.folder / "pilot").stdout
    assert "noise: " + silent.format("the earlier run's") in shown
    assert "threshold: 3 steps of 2 patches of 16²" in shown
    strange = trial.study(segmenters=[{"name": "threshold", "label": "other", "config": {"seconds": 0.02}}])
    shown = trial.call("plan", strange, "--pilot", trial.folder / "pilot").stdout
    assert "noise: assumed, for the earlier run" in shown
    tiny = trial.study(datasets=[{"name": "discs", "config": {"count": 6}}], seeds=2)
    shown = trial.call("plan", tiny).stdout
    assert "can show no difference, however large (2 test images" in shown
    assert "not yet timed" not in shown


def test_two_runs_at_once_share_a_store_and_compute_each_task_once(trial) -> None:
    study = trial.study(segmenters=[{"name": "threshold", "config": {"seconds": 0.5}}])
    processes = [trial.begin("run", study, "--out", trial.folder / f"run{i}") for i in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0], [p.stdout.read() for p in processes]
    assert same(tables(trial.folder / "run0"), tables(trial.folder / "run1"))


def test_plan_tells_what_would_run_and_why_explains_a_key(trial) -> None:
    shown = trial.call("plan", trial.study()).stdout
    with_keys = trial.call("plan", trial.study(), "--keys").stdout
    assert f"{FITS}: " not in shown
    assert f"{FITS}: " in with_keys
    assert with_keys.endswith(shown), "what would run in all comes last, where it can be seen"
    assert not trial.artifacts(FITS)
    trial.run("run", trial.study())
    rows = json.loads(trial.call("plan", trial.study(), "--json").stdout)["tasks"]
    assert not any(row["runs"] for row in rows)
    assert all(row["seconds"] is not None for row in rows)
    changed = trial.study(generators=[{"name": "brighter", "config": {"gain": 1.5}}])
    rows = json.loads(trial.call("plan", changed, "--json").stdout)["tasks"]
    assert sorted(row["kind"] for row in rows if row["runs"]) == [
        "assess", "draw", "encode", "evaluate", "evaluate", "evaluate", "evaluate", "fit-generator", FITS, FITS,
    ]  # fmt: skip
    trial.run("run", changed)
    key = next(row["key"] for row in rows if row["kind"] == "fit-generator")
    why = json.loads(trial.call("explain", key, "--json").stdout)
    assert why["differences"] == [["plugin.config.gain", 1.5, 1.2]]
    assert "plugin.config.gain: 1.5 here, 1.2 there" in trial.call("explain", key[:12]).stdout
    assert "give a run folder" in trial.call("explain", key, "--run", "nowhere", code=2).stderr
    assert "see results/tasks.csv there, or give --run DIR" in trial.call("explain", "0" * 12, code=2).stderr


def test_a_record_says_what_made_it_and_what_it_cost(finished: Finished) -> None:
    record = json.loads(next((finished.trial.store / FITS).glob("*/record.json")).read_text())
    assert record["seconds"] >= 0
    assert record["peak_memory_mb"] > 10
    assert record["versions"]["numpy"]
    assert record["hardware"]["cores"] >= 1
    assert record["content"]["seed"] in (0, 1)
    assert record["content"]["plugin"]["config"] == {"seconds": 0.0, "beside": None}
    assert "source_state" in record


def test_a_synthetic_set_is_the_same_to_the_byte_whatever_the_workers(trial) -> None:
    prints = set()
    for workers in (1, 3):
        store = trial.folder / f"store{workers}"
        trial.run("run", trial.study(seeds=1), "--store", store, "--workers", workers)
        prints.add(json.loads(next((store / "draw").glob("*/record.json")).read_text())["fingerprint"])
    assert len(prints) == 1
