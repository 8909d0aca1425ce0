"""Images without labels in a study: for generators that ask, without what is tested, part of their keys alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.notes import notes_on_data
from synthbench.engine.base import Options
from synthbench.engine.run_task import run_task
from synthbench.errors import ConfigError, DataError
from synthbench.samples import Sample, SampleSet
from synthbench.store import Store
from synthbench.study.model import make_study
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve

pytestmark = pytest.mark.usefixtures("trial_registry")

SIDE = 32
GENERATORS = ["brighter", "level"]


def sample(number: int, split: str, *, like: int | None = None, dtype: str = "uint8", **groups: str) -> Sample:
    rng = np.random.default_rng(number if like is None else like)
    image = rng.integers(0, 200, (SIDE, SIDE)).astype(dtype)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    ignore = np.full((SIDE, SIDE), split == "unlabelled")
    labels[8:20, 8:20] = split != "unlabelled"
    return Sample(f"{split}-{number}", image, labels, {"split": split, **groups}, ignore)


def annotated(**groups: str) -> list[Sample]:
    parts = ["train"] * 6 + ["validation"] * 2 + ["test"] * 3
    return [sample(i, part, **{k: f"{part}-{v}" for k, v in groups.items()}) for i, part in enumerate(parts)]


@pytest.fixture
def planned(tmp_path: Path, trial_study: dict):
    """Plan a study of the annotated images and others."""

    def make(without: list[Sample], *, images: list[Sample] | None = None, group: str | None = None, **study) -> Plan:
        folder = tmp_path / f"set{len(list(tmp_path.iterdir()))}" / "cells"
        SampleSet.of([*(images or annotated()), *without]).save(folder)
        chosen = {"name": str(folder), "split": {"scheme": "official", "group": group}}
        study = trial_study | {"datasets": [chosen], "generators": GENERATORS} | study
        return make_plan(resolve(make_study(study, "test"), Store(tmp_path / "store")))

    return make


def fits(plan: Plan) -> dict[str, object]:
    return {task.plugin: task for task in plan.tasks.values() if task.kind == "fit-generator"}


def test_only_generators_that_ask_have_them_in_their_keys(planned) -> None:
    none, one, two = (planned([sample(n, "unlabelled") for n in numbers]) for numbers in ((), (50,), (50, 51)))
    keys = [{name: task.key for name, task in fits(plan).items()} for plan in (none, one, two)]
    assert len({k["brighter"] for k in keys}) == 1
    assert len({k["level"] for k in keys}) == 3
    assert "unlabelled" not in fits(none)["level"].content
    other = planned([sample(50, "unlabelled", like=52)])
    assert fits(other)["level"].key not in {k["level"] for k in keys}


def test_a_configuration_that_does_not_use_them_has_them_neither_in_its_key_nor_in_the_notes(planned) -> None:
    unused = [{"name": "level", "config": {"share": 0.0}}]
    plan = planned([sample(50, "unlabelled")], generators=unused)
    assert "unlabelled" not in fits(plan)["level"].content
    assert not any("without labels" in note for note in notes_on_data(plan.resolved))
    assert any("without labels" in note for note in notes_on_data(planned([sample(50, "unlabelled")]).resolved))


def test_amounts_of_real_images_leave_them_as_they_are(planned) -> None:
    plan = planned([sample(50, "unlabelled"), sample(51, "unlabelled")], fractions=[3, 1.0])
    assert [len(c.unlabelled.samples) for c in plan.resolved.conditions] == [2, 2]
    assert not plan.resolved.conditions[0].train.has_ignored


def test_a_generator_gets_them_where_it_runs(planned, tmp_path: Path) -> None:
    plan = planned([sample(50, "unlabelled"), sample(51, "unlabelled")], generators=["level"])
    store, task = Store(tmp_path / "store"), fits(plan)["level"]
    assert run_task(task, Options(str(store.root), device="cpu"), lambda _: None).status == "done"
    assert store.get("fit-generator", task.key).record["counts"]["unlabelled"] == 2


def test_copies_of_what_is_tested_or_validated_with_are_left_out(planned) -> None:
    tested, validated, trained, new = 9, 6, 0, 77
    plan = planned([sample(50 + n, "unlabelled", like=n) for n in (tested, validated, trained, new)])
    (condition,) = plan.resolved.conditions
    assert set(condition.unlabelled.samples.ids) == {f"unlabelled-{50 + n}" for n in (trained, new)}
    assert sum(condition.unlabelled.left_out.values()) == 2
    (note,) = notes_on_data(plan.resolved)
    assert "2 copies of test or validation images" in note


def test_a_group_that_is_tested_stays_out_and_so_does_one_that_is_not_known(planned) -> None:
    without = [
        sample(50, "unlabelled", well="train-1"),
        sample(51, "unlabelled", well="test-1"),
        sample(52, "unlabelled", well="validation-1"),
        sample(53, "unlabelled", well="elsewhere"),
        sample(54, "unlabelled"),
    ]
    plan = planned(without, images=annotated(well="1"), group="well")
    (condition,) = plan.resolved.conditions
    assert condition.unlabelled.samples.ids == ("unlabelled-50", "unlabelled-53")
    assert sorted(condition.unlabelled.left_out.values()) == [1, 2]


def test_images_of_another_kind_than_the_training_images_are_refused(planned) -> None:
    with pytest.raises(ConfigError, match=r"'unlabelled-50'.* read as uint16"):
        planned([sample(50, "unlabelled", dtype="uint16")])
    assert planned([sample(50, "unlabelled", dtype="uint16")], generators=["brighter"])


def test_a_set_whose_unlabelled_images_have_labels_is_refused(planned) -> None:
    wrong = Sample("u", np.zeros((SIDE, SIDE), np.uint8), np.ones((SIDE, SIDE), np.uint8), {"split": "unlabelled"})
    with pytest.raises(DataError, match="'u'"):
        planned([wrong])


def test_too_few_annotated_images_stay_too_few(planned) -> None:
    with pytest.raises(DataError, match="2 annotated"):
        planned([sample(50 + n, "unlabelled") for n in range(5)], images=[sample(0, "train"), sample(1, "test")])


def test_a_group_that_a_generator_needs_and_the_dataset_lacks_is_refused(planned) -> None:
    level = {"name": "level", "label": "by stage", "config": {"groups": ["stage"]}}
    assert planned([], images=annotated(stage="1"), generators=[level]).tasks
    with pytest.raises(ConfigError, match=r"'by stage': dataset 'cells' has no group 'stage'.*: split, well$"):
        planned([], images=annotated(well="1"), generators=[level])
    images = annotated(stage="1")
    images[2] = sample(2, "train")
    with pytest.raises(ConfigError, match=r"1 training image\(s\), the first 'train-2', .* no group 'stage'"):
        planned([], images=images, generators=[level])
