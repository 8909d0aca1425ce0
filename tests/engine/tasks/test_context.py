"""A task computes what its key says, or nothing: on the set, by the code and on the device that were planned."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthbench import samples
from synthbench.engine.base import Event, Options, Outcome
from synthbench.engine.run_task import run_task
from synthbench.engine.tasks import context
from synthbench.errors import PluginError
from synthbench.plugin.precision import current_precision
from synthbench.plugin.registry import registry
from synthbench.runner import previews
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store
from synthbench.study.inputs import open_set, open_synthetic
from synthbench.study.model import make_study
from synthbench.study.plan import Plan, Task, make_plan
from synthbench.study.provenance import compute_settings
from synthbench.study.provenance.plugins import fingerprint_plugin
from synthbench.study.resolve import resolve

PRECISIONS = importlib.import_module("synthbench.study.provenance.compute_settings")

pytestmark = pytest.mark.usefixtures("trial_registry")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path, blob_set: SampleSet) -> Path:
    """A sample set of the user's own."""
    blob_set.save(tmp_path / "cells")
    return tmp_path / "cells"


@pytest.fixture
def planned(store: Store, trial_study: dict, folder: Path) -> Plan:
    return plan_of(store, trial_study, folder)


def plan_of(store: Store, study: dict, folder: Path, **changes: object) -> Plan:
    return make_plan(resolve(make_study(study | {"datasets": [str(folder)]} | changes, "test"), store))


def first(plan: Plan, kind: str, which: Callable[[Task], bool] = lambda _: True) -> Task:
    return next(task for task in plan.tasks.values() if task.kind == kind and which(task))


def carry_out(task: Task, store: Store, told: list[Event] | None = None) -> Outcome:
    return run_task(task, Options(str(store.root), device="cpu"), (told if told is not None else []).append)


def carry_out_all(plan: Plan, store: Store) -> None:
    for task in plan.lacking(store):
        assert carry_out(task, store).ok


def replaced(folder: Path, change: Callable[[Sample], Sample]) -> Path:
    """Put another set in a folder's place; return where the first is kept."""
    kept = folder.rename(folder.with_name("kept"))
    before = SampleSet.open(kept)
    SampleSet.write(folder, map(change, before), name=before.name)
    return kept


def inverted(sample: Sample) -> Sample:
    return Sample(sample.id, 255 - sample.image, sample.labels, sample.groups)


def learns_from(kind: str, plan: Plan, store: Store) -> Task:
    """Return a task of a kind that opens real samples, with what it needs in the store."""
    task = first(plan, kind, lambda task: not task.content.get("synthetic") and "drawn" not in str(task.content))
    for need in task.needs:
        assert carry_out(plan.tasks[need], store).ok
    return task


@pytest.mark.parametrize("kind", ["fit-generator", "fit-segmenter", "evaluate", "encode"])
def test_a_set_that_was_replaced_since_planning_stops_the_task(
    planned: Plan, store: Store, folder: Path, kind: str
) -> None:
    """Put back afterwards it would never be noticed, and the score would stay in the store."""
    task = learns_from(kind, planned, store)
    kept = replaced(folder, inverted)
    outcome = carry_out(task, store)
    assert outcome.status == "failed"
    assert outcome.error.startswith(f"{folder}: its samples aren't those")
    assert outcome.error.endswith("; run the study again")
    assert store.find(task.kind, task.key) is None
    assert not store.folder(task.kind, task.key).exists()
    shutil.rmtree(folder)
    kept.rename(folder)
    assert carry_out(task, store).status == "done"


def test_a_set_that_lacks_a_sample_by_now_is_one_line(planned: Plan, store: Store, folder: Path) -> None:
    kept = folder.rename(folder.with_name("kept"))
    SampleSet.open(kept)[:2].save(folder)
    outcome = carry_out(first(planned, "fit-generator"), store)
    assert "no sample 'blobs-" in outcome.error
    assert outcome.error.endswith("run the study again")


def test_pixels_that_change_while_they_are_read_stop_the_task(planned: Plan, store: Store, folder: Path) -> None:
    task = first(planned, "fit-segmenter", lambda task: not task.content["synthetic"])
    name = task.where["train"]["ids"][0]
    file = folder / "images" / f"{name}.png"
    samples.write_array(file, 255 - samples.read_array(file))
    outcome = carry_out(task, store)
    assert f"the files of '{name}' have changed since they were written" in outcome.error


def test_another_synthetic_set_under_the_key_is_not_used(planned: Plan, store: Store) -> None:
    carry_out_all(planned, store)
    task = first(planned, "fit-segmenter", lambda task: bool(task.content["synthetic"]))
    key, drawn = task.where["draw"], task.content["synthetic"]
    assert len(open_synthetic(store, key, drawn)) == 4
    for other in (drawn | {"drawn": "0" * 64}, drawn | {"take": 5}):
        with pytest.raises(Exception, match="isn't the synthetic set"):
            open_synthetic(store, key, other)


# -- code, files, fingerprints, devices -------------------------------------------------------------------------------


def test_a_file_that_a_fit_reads_must_be_the_planned_one(
    store: Store, trial_study: dict, folder: Path, tmp_path: Path, monkeypatch
) -> None:
    weights = tmp_path / "weights"
    weights.write_text("one")
    config = {"name": "threshold", "config": {"beside": str(weights)}}
    task = first(plan_of(store, trial_study, folder, segmenters=[config]), "fit-segmenter")
    weights.write_text("two")
    outcome = carry_out(task, store)
    told = "segmenter 'threshold': a file that it reads changed since the study was planned; run it again"
    assert outcome.error == told
    assert store.find(task.kind, task.key) is None
    weights.write_text("one")
    cls = registry().load("segmenter", "threshold")
    fit = cls.fit
    monkeypatch.setattr(cls, "fit", lambda self, *a: (fit(self, *a), weights.write_text("two")))
    assert carry_out(task, store).error == told
    weights.write_text("one")
    monkeypatch.setattr(cls, "fit", fit)
    assert carry_out(task, store).ok


@pytest.mark.parametrize(("part", "words"), [("source", "its source"), ("versions", "the versions of what it imports")])
@pytest.mark.parametrize("kind", ["fit-generator", "fit-segmenter", "encode", "evaluate", "draw"])
def test_code_that_changed_since_planning_stops_the_task(
    planned: Plan, store: Store, monkeypatch, kind: str, part: str, words: str
) -> None:
    task = learns_from(kind, planned, store) if kind != "draw" else first(planned, kind)
    for need in task.needs:
        assert carry_out(planned.tasks[need], store).ok
    monkeypatch.setattr(
        f"synthbench.study.provenance.plugins.plugin_{part}", lambda entry: "0" if part == "source" else {"numpy": "9"}
    )
    outcome = carry_out(task, store)
    assert f": {words} changed since" in outcome.error
    assert store.find(task.kind, task.key) is None


@pytest.mark.parametrize("kind", ["fit-generator", "fit-segmenter", "encode", "evaluate"])
def test_a_core_that_changed_since_planning_stops_the_task(planned: Plan, store: Store, monkeypatch, kind: str) -> None:
    task = learns_from(kind, planned, store)
    monkeypatch.setattr(context, "task_code", lambda kind: {"core": "0"})
    outcome = carry_out(task, store)
    assert outcome.error.startswith("synthbench's own code, or a library")


@pytest.mark.parametrize("kind", ["fit-generator", "draw", "fit-segmenter", "evaluate", "encode"])
def test_a_task_that_was_planned_for_a_gpu_runs_on_no_cpu(planned: Plan, store: Store, kind: str) -> None:
    on_gpu = make_plan(planned.resolved, "cuda")
    assert not on_gpu.tasks.keys() & {key for key, task in planned.tasks.items() if task.kind == kind}
    outcome = carry_out(first(on_gpu, kind), store)
    assert outcome.error.startswith("planned for cuda in float32, bfloat16 in part,")
    assert outcome.error.endswith("cpu in float32; run the study again")


@pytest.fixture
def in_bfloat16(planned: Plan) -> Plan:
    """The same study in bfloat16."""
    return make_plan(planned.resolved, "cpu", "bf16")


def test_a_choice_of_precision_is_part_of_keys_where_it_has_effect(planned: Plan, in_bfloat16: Plan) -> None:
    assert make_plan(planned.resolved, "cpu", "fp32").tasks.keys() == planned.tasks.keys()
    assert make_plan(planned.resolved, "cuda", "bf16").tasks.keys() == make_plan(planned.resolved, "cuda").tasks.keys()
    in_float32 = make_plan(planned.resolved, "cuda", "fp32")
    assert first(in_float32, "fit-segmenter").content["compute"] == {"device": "cuda", "precision": "float32, TF32"}
    computed_again = {task.kind for key, task in planned.tasks.items() if key not in in_bfloat16.tasks}
    assert computed_again == {"fit-generator", "draw", "fit-segmenter", "evaluate", "encode", "assess"}
    real = [task for task in planned.tasks.values() if task.kind == "encode" and "set" in task.content["images"]]
    assert real
    assert all(task.key in in_bfloat16.tasks for task in real)  # no encoder computes in bfloat16
    assert "bfloat16" in first(in_bfloat16, "fit-segmenter").content["compute"]["precision"]


def test_each_task_computes_in_its_own_precision_and_leaves_none_behind(
    planned: Plan, in_bfloat16: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PRECISIONS, "bfloat16_problem", lambda: "")
    cls = registry().load("segmenter", "threshold")
    fit, seen = cls.fit, []
    monkeypatch.setattr(cls, "fit", lambda self, *given: (fit(self, *given), seen.append(current_precision())))
    for plan in (planned, in_bfloat16, make_plan(planned.resolved, "cpu", "fp32")):
        task = first(plan, "fit-segmenter", lambda task: not task.content["synthetic"])
        assert carry_out(task, store).ok
        shutil.rmtree(store.folder(task.kind, task.key))
        assert current_precision() == "auto"
    assert seen == ["fp32", "bf16", "fp32"]


def test_a_processor_without_bfloat16_refuses_a_task(
    planned: Plan, in_bfloat16: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PRECISIONS, "bfloat16_problem", lambda: "this processor has no bfloat16")
    task = first(in_bfloat16, "fit-segmenter", lambda task: not task.content["synthetic"])
    outcome = carry_out(task, store)
    assert outcome.error.startswith("planned for cpu in float32, bfloat16 in part")
    assert "--precision fp32" in outcome.error
    assert store.find(task.kind, task.key) is None
    same = first(planned, "fit-segmenter", lambda task: not task.content["synthetic"])
    assert carry_out(same, store).ok


def test_an_override_of_the_precision_is_another_key(planned: Plan, store: Store, monkeypatch) -> None:
    assert first(planned, "fit-segmenter").content["compute"] == {"device": "cpu", "precision": "float32"}
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    assert compute_settings("cpu")["precision"] == "float32, ONEDNN_DEFAULT_FPMATH_MODE=BF16"
    assert compute_settings("cuda:1")["device"] == "cuda"
    assert "this process computes on cpu in float32, ONEDNN" in carry_out(first(planned, "fit-generator"), store).error


@pytest.mark.parametrize(
    ("kind", "name"), [("generator", "brighter"), ("segmenter", "threshold"), ("dataset", "discs")]
)
def test_a_fingerprint_is_part_of_the_key_and_asked_every_time(store: Store, monkeypatch, kind: str, name: str) -> None:
    cls = registry().load(kind, name)
    plain = fingerprint_plugin(store, kind, name, {})
    assert "fingerprint" not in plain.content()
    (memo,) = (store.root / ".memo").iterdir()
    memo.unlink()
    said = iter(["tool 1.0", "tool 1.1"])
    monkeypatch.setattr(cls, "fingerprint", lambda self: next(said), raising=False)
    found = [fingerprint_plugin(store, kind, name, {}).content()["fingerprint"] for _ in range(2)]
    assert found == ["tool 1.0", "tool 1.1"]


def test_a_fingerprint_that_changed_since_planning_stops_the_task(
    store: Store, trial_study: dict, folder: Path, monkeypatch
) -> None:
    cls = registry().load("segmenter", "threshold")
    monkeypatch.setattr(cls, "fingerprint", lambda self: "tool 1.0")
    task = first(plan_of(store, trial_study, folder), "fit-segmenter")
    monkeypatch.setattr(cls, "fingerprint", lambda self: "tool 1.1")
    outcome = carry_out(task, store)
    assert outcome.error.startswith("segmenter 'threshold': its fingerprint changed")


def fails(self: object) -> str:
    raise FileNotFoundError(2, "No such file or directory", "tool")


def gives_a_number(self: object) -> int:
    return 3


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (fails, r"segmenter 'threshold': fingerprint\(\) failed: FileNotFoundError: .*'tool'"),
        (gives_a_number, r"segmenter 'threshold': fingerprint\(\) gave int; return text"),
    ],
)
def test_a_fingerprint_that_fails_is_one_line(store: Store, monkeypatch, said, line: str) -> None:
    monkeypatch.setattr(registry().load("segmenter", "threshold"), "fingerprint", said)
    with pytest.raises(PluginError, match=line):
        fingerprint_plugin(store, "segmenter", "threshold", {})


def test_an_encoders_weights_must_be_the_planned_ones(planned: Plan, store: Store, monkeypatch) -> None:
    monkeypatch.setattr(registry().load("encoder", "moments"), "fingerprint", lambda self: "moments 2")
    outcome = carry_out(first(planned, "encode", lambda task: "set" in task.content["images"]), store)
    assert outcome.error.startswith("encoder 'moments': its weights changed")


# -- damage -----------------------------------------------------------------------------------------------------------


def flip(file: Path) -> None:
    """Alter a picture as a failing disk does: neither its size nor its time of change tells."""
    state, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("harm", [flip, Path.unlink, lambda file: file.write_bytes(b"")], ids=["flip", "gone", "empty"])
def test_a_damaged_picture_of_a_drawn_set_is_told_and_drawn_again(planned: Plan, store: Store, harm) -> None:
    carry_out_all(planned, store)
    draw = first(planned, "draw")
    file = store.folder("draw", draw.key) / "samples" / "images" / "000001.png"
    before = file.read_bytes()
    harm(file)
    told: list[str] = []
    shown = previews(planned, store, told.append)
    assert list(shown) == ["real"]
    found = planned.lacking(store)
    if told:
        assert told[0].startswith("no pictures of brighter in the report: ")
    else:  # the look at size and time of change had told already
        assert store.find("draw", draw.key) is None
    assert [task.key for task in found] == [draw.key]
    carry_out_all(planned, store)
    assert file.read_bytes() == before
    assert list(previews(planned, store, told.append)) == ["real", "brighter"]


def test_a_task_that_meets_a_damaged_picture_has_it_drawn_again(planned: Plan, store: Store) -> None:
    task = first(planned, "fit-segmenter", lambda task: bool(task.content["synthetic"]))
    (draw,) = task.needs
    assert carry_out(planned.tasks[planned.tasks[draw].needs[0]], store).ok
    assert carry_out(planned.tasks[draw], store).ok
    flip(store.folder("draw", draw) / "samples" / "images" / "000002.png")
    outcome = carry_out(task, store)
    assert outcome.status == "failed"
    assert outcome.error.endswith("; run the study again to make it anew")
    assert draw in {task.key for task in planned.lacking(store)}
    assert carry_out(planned.tasks[draw], store).status == "done"
    assert carry_out(task, store).status == "done"


def test_a_damaged_picture_of_a_drawn_dataset_has_it_drawn_again(store: Store, trial_study: dict) -> None:
    study = make_study(trial_study, "test")
    plan = make_plan(resolve(study, store))
    folder = plan.resolved.conditions[0].folder
    task = first(plan, "fit-generator")
    file = folder / "images" / f"{task.where['train']['ids'][0]}.png"
    flip(file)
    outcome = carry_out(task, store)
    assert outcome.error.endswith("; run the study again to make it anew")
    again = make_plan(resolve(study, store))
    assert again.tasks.keys() == plan.tasks.keys()
    assert carry_out(task, store).ok


def test_a_damaged_picture_of_an_import_has_it_imported_again(store: Store, trial_study: dict, tmp_path: Path) -> None:
    for sub in ("images", "masks"):
        (tmp_path / "plain" / sub).mkdir(parents=True)
    for i in range(6):
        image = np.full((40, 40), 30, np.uint8)
        image[8:20, 5 + i : 17 + i] = 200
        samples.write_array(tmp_path / "plain" / "images" / f"{i}.png", image)
        samples.write_array(tmp_path / "plain" / "masks" / f"{i}.png", (image > 99).astype(np.uint8))
    study = make_study(trial_study | {"datasets": [str(tmp_path / "plain")]}, "test")
    plan = make_plan(resolve(study, store))
    folder = plan.resolved.conditions[0].folder
    assert folder.parent == store.root / "imported"
    task = first(plan, "fit-generator")
    flip(folder / "images" / f"{task.where['train']['ids'][0]}.png")
    assert carry_out(task, store).error.endswith("; run the study again to make it anew")
    assert not folder.exists()
    assert make_plan(resolve(study, store)).tasks.keys() == plan.tasks.keys()
    assert carry_out(task, store).ok


def test_a_users_own_damaged_set_is_left_to_the_user(planned: Plan, store: Store, folder: Path) -> None:
    file = folder / "images" / f"{planned.resolved.conditions[0].train.ids[0]}.png"
    flip(file)
    outcome = carry_out(first(planned, "fit-generator"), store)
    assert str(folder.name) in outcome.error or str(file) in outcome.error
    assert "make it anew" not in outcome.error
    told: list[str] = []
    assert "real" not in previews(planned, store, told.append)
    assert told[0].startswith("no pictures of real in the report: ")


def test_one_sample_is_hashed_once_however_often_it_is_read(store: Store, folder: Path, monkeypatch) -> None:
    counted: list[str] = []
    digest = Sample.digest.fget
    monkeypatch.setattr(Sample, "digest", property(lambda self: (counted.append(self.id), digest(self))[1]))
    found = open_set(store, folder)
    for part in (found, found, found[2:], found.subset(found.ids[::-1])):
        list(part)
    assert sorted(counted) == sorted(found.ids)


def test_a_sample_that_was_written_to_between_two_readings_is_hashed_again(store: Store, folder: Path) -> None:
    found = open_set(store, folder)
    image = found[0].image
    samples.write_array(folder / "images" / f"{found.ids[0]}.png", 255 - image)
    with pytest.raises(Exception, match="have changed since they were written"):
        found[0]


def test_files_of_a_drawn_set_are_hashed_by_who_decodes_them(planned: Plan, store: Store, monkeypatch) -> None:
    carry_out_all(planned, store)
    task = first(planned, "fit-segmenter", lambda task: bool(task.content["synthetic"]))
    hashed: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, kind: (hashed.append(Path(file.name).name), digest(file, kind))[1]
    )
    open_synthetic(store, task.where["draw"], task.content["synthetic"])
    assert hashed == ["samples.json"]


def test_what_a_plugin_tells_reaches_people(planned: Plan, store: Store, monkeypatch) -> None:
    cls = registry().load("generator", "brighter")
    fit = cls.fit

    def telling(self, train, context):
        assert context.task == task.key
        context.notify("the checkpoint training.pt was damaged")
        fit(self, train, context)

    task = first(planned, "fit-generator")
    monkeypatch.setattr(cls, "fit", telling)
    heard: list[Event] = []
    assert carry_out(task, store, heard).ok
    assert [event.message for event in heard if event.message] == ["the checkpoint training.pt was damaged"]
