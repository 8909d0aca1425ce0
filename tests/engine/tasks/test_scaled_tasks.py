"""Tasks that scale images: segmenters see scaled ones, predictions are scored at the original size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synthbench.engine.base import Options
from synthbench.engine.run_task import run_task
from synthbench.engine.tasks import context
from synthbench.engine.tasks.evaluate import at_size, score_instances
from synthbench.plugin.api import Instances
from synthbench.results import collect
from synthbench.runner import previews
from synthbench.samples import Sample, SampleSet, read_array, write_array
from synthbench.store import Artifact, Store
from synthbench.study.model import make_study
from synthbench.study.plan import Plan, Task, make_plan
from synthbench.study.resolve import resolve
from synthbench.study.scaling import resize_labels

pytestmark = pytest.mark.usefixtures("trial_registry")

SIDE = 270
PARTS = ("train",) * 4 + ("validation",) + ("test",) * 2


def discs(name: str, shift: int, **groups: str) -> Sample:
    """Two bright discs of 90 pixels, which a threshold finds exactly."""
    yy, xx = np.mgrid[:SIDE, :SIDE] + 0.5
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for number, (y, x) in enumerate([(60 + shift, 70), (200, 190 - shift)], 1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 <= 45**2] = number
    image = (40 + 120 * (labels > 0)).astype(np.uint8)
    return Sample(name, image, labels, groups)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def planned(tmp_path: Path, store: Store, trial_study: dict):
    """Plan a study of discs of 90 pixels, with a threshold as a segmenter and ready-made images beside the real."""
    SampleSet.of([discs(f"s{n}", n, split=part) for n, part in enumerate(PARTS)]).save(tmp_path / "cells")
    for kind in ("images", "masks"):
        (tmp_path / "made" / kind).mkdir(parents=True)
    for number in range(10, 14):
        made = discs(f"m{number}", number)
        write_array(tmp_path / "made" / "images" / f"{made.id}.png", made.image)
        write_array(tmp_path / "made" / "masks" / f"{made.id}.png", made.labels)
    study = trial_study | {
        "datasets": [str(tmp_path / "cells")],
        "generators": ["brighter", str(tmp_path / "made")],
        "budget": {"name": "smoke", "patch_size": 90},
        "synthetic": [4],
        "seeds": 1,
    }

    def make(scale: object = "auto", **changes: object) -> Plan:
        return make_plan(resolve(make_study(study | {"scale": scale} | changes, "test"), store))

    return make


def carry_out_all(plan: Plan, store: Store) -> None:
    for task in plan.lacking(store):
        outcome = run_task(task, Options(str(store.root), device="cpu"), lambda _: None)
        assert outcome.ok, outcome.error


def artifacts(plan: Plan, store: Store, kind: str) -> list[tuple[Task, Artifact]]:
    return [(task, store.get(kind, key)) for key, task in plan.tasks.items() if task.kind == kind]


@pytest.mark.parametrize("scale", ["auto", 30, 180])
def test_exact_predictions_of_scaled_images_have_full_scores_at_the_original_size(
    planned, store: Store, tmp_path: Path, scale: object
) -> None:
    plan = planned(scale)
    carry_out_all(plan, store)
    real = SampleSet.open(tmp_path / "cells")
    for task, artifact in artifacts(plan, store, "evaluate"):
        scores = json.loads((artifact.folder / "scores.json").read_text())
        assert all(row["true"] == row["predicted"] == 2 for row in scores["images"])
        assert all(row["tp"][0] == 2 for row in scores["images"])
        assert all(row["dice"] >= 0.97 for row in scores["images"])
        if "test" in task.content:
            assert scores["coco_ap50"] >= 0.99
            for name in task.where["test"]["ids"]:
                assert read_array(artifact.folder / "labels" / f"{name}.png").shape == real[name].labels.shape
    collected = collect(plan, store, {})
    assert collected.runs["scale"].unique() == pytest.approx([2.0 if scale == 180 else 1 / 3], abs=0.01)
    assert collected.runs["object_diameter"].unique() == pytest.approx([90], abs=0.2)


def test_what_is_trained_on_drawn_and_compared_has_the_scaled_size(planned, store: Store) -> None:
    plan = planned()
    carry_out_all(plan, store)
    for task, artifact in artifacts(plan, store, "draw"):
        drawn = SampleSet.open(artifact.folder / "samples")
        assert {sample.labels.shape for sample in drawn} == {(90, 90)}, task.label
        assert [len(np.unique(sample.labels)) for sample in drawn] == [3] * 4
    assert {artifact.record["area"] for _, artifact in artifacts(plan, store, "encode")} == {8100.0}
    shown = previews(plan, store, pytest.fail)
    assert {sample.image.shape for samples in shown.values() for sample in samples} == {(90, 90)}


def test_another_code_of_scaling_stops_the_task(planned, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned()
    task = next(task for task in plan.tasks.values() if task.kind == "fit-segmenter")
    before = context.task_code
    monkeypatch.setattr(
        context, "task_code", lambda kind: before(kind) | ({"core": "other"} if kind == "scale" else {})
    )
    outcome = run_task(task, Options(str(store.root), device="cpu"), lambda _: None)
    assert outcome.status == "failed"
    assert "changed since the study was planned" in outcome.error


def test_classes_are_scaled_too(planned, store: Store, tmp_path: Path) -> None:
    samples = [discs(f"s{n}", n, split=part) for n, part in enumerate(PARTS)]
    classes = [Sample(s.id, s.image, (s.labels > 0).astype(np.uint8), s.groups) for s in samples]
    SampleSet.of(classes, task="semantic", classes=["ground", "cell"]).save(tmp_path / "classes")
    plan = planned(30, datasets=[str(tmp_path / "classes")], generators=[], segmenters=["foreground"])
    carry_out_all(plan, store)
    ((_, artifact),) = artifacts(plan, store, "evaluate")
    for row in json.loads((artifact.folder / "scores.json").read_text())["images"]:
        (ground, wrong), (missed, cell) = row["confusion"]
        assert ground + wrong + missed + cell == SIDE**2
        assert cell / (wrong + missed + cell) > 0.95


def test_instances_that_vanish_at_the_original_size_lose_number_and_score() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[1, 1], labels[0, 4], labels[4:8, 4:8] = 1, 2, 3  # a quarter of the pixels is kept: 1, 3, 5, 7 of each axis
    found = at_size(Instances(labels, np.array([0.1, 0.2, 0.3])), (4, 4), "instances")
    assert found.scores is not None
    assert found.scores.tolist() == [0.1, 0.3]
    assert found.labels[0, 0] == 1
    assert (found.labels[2:, 2:] == 2).all()
    assert np.count_nonzero(found.labels) == 5
    unscored = at_size(Instances(labels), (4, 4), "instances")
    assert unscored.scores is None
    assert at_size(Instances(labels), (4, 4), "semantic").labels.max() == 3


def test_a_label_map_that_is_scaled_and_brought_back_scores_at_least_99_percent() -> None:
    sample = discs("s", 3)
    scaled = resize_labels(sample.labels, (90, 90))
    scores = score_instances([sample], [at_size(Instances(scaled), sample.labels.shape, "instances")])
    assert 2 * np.sum(scores["images"][0]["tp"]) / (2 * 10 * 2) >= 0.99
