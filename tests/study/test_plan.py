"""The plan: which tasks a study comes to, what their keys hang on, and what is left to run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from synthbench.datasets.download import Remote
from synthbench.datasets.library import Library
from synthbench.errors import ConfigError
from synthbench.plugin.registry import registry
from synthbench.samples import Sample, SampleSet, write_array
from synthbench.store import Store, key_of
from synthbench.study.model import make_study
from synthbench.study.notes import study_notes
from synthbench.study.plan import Plan, make_plan, missing_control
from synthbench.study.resolve import amount_of, in_hash_order, resolve

pytestmark = pytest.mark.usefixtures("trial_registry")


def plan_of(tmp_path: Path, study: dict, **changes: object) -> Plan:
    return make_plan(resolve(make_study(study | changes, "test"), Store(tmp_path / "store")))


def labels(plan: Plan, kind: str) -> list[str]:
    return [task.label for task in plan.tasks.values() if task.kind == kind]


def test_a_key_is_the_hash_of_all_that_a_task_is_made_of(tmp_path: Path, trial_study: dict) -> None:
    plan = plan_of(tmp_path, trial_study)
    for key, task in plan.tasks.items():
        assert key == task.key == key_of(task.content)
        assert task.content["kind"] == task.kind
        assert "protocol" in task.content


def test_tasks_come_after_what_they_need(tmp_path: Path, trial_study: dict) -> None:
    order = list(plan_of(tmp_path, trial_study).tasks.values())
    for i, task in enumerate(order):
        assert set(task.needs) <= {before.key for before in order[:i]}


def test_every_arm_has_the_real_one_beside_it_and_as_much_training(tmp_path: Path, trial_study: dict) -> None:
    plan = plan_of(tmp_path, trial_study, synthetic=[2, "1x"], synthetic_only=True)
    assert {cell.arm for cell in plan.training_runs} == {
        "real",
        "real + brighter × 2",
        "brighter × 2 only",
        "real + brighter × 7",
        "brighter × 7 only",
    }
    budgets = [task.content["plugin"]["budget"] for task in plan.tasks.values() if task.kind == "fit-segmenter"]
    assert all(budget == budgets[0] for budget in budgets)


def test_a_sweep_over_amounts_draws_once(tmp_path: Path, trial_study: dict) -> None:
    plan = plan_of(tmp_path, trial_study, synthetic=[2, 4, 6])
    draws = [task for task in plan.tasks.values() if task.kind == "draw"]
    assert [task.content["count"] for task in draws] == [6]


def test_a_larger_amount_leaves_the_training_on_a_smaller_one_as_it_is(tmp_path: Path, trial_study: dict) -> None:
    small = {cell.arm: cell.fit for cell in plan_of(tmp_path, trial_study, synthetic=[4]).training_runs}
    large = {cell.arm: cell.fit for cell in plan_of(tmp_path, trial_study, synthetic=[4, 9]).training_runs}
    assert small.items() <= large.items()


def test_generator_seeds_and_segmenter_seeds_are_crossed(tmp_path: Path, trial_study: dict) -> None:
    plan = plan_of(tmp_path, trial_study, seeds=2, generator_seeds=3)
    cells = [cell for cell in plan.training_runs if cell.generator]
    assert {(cell.generator_seed, cell.seed) for cell in cells} == {(g, s) for g in range(3) for s in range(2)}
    assert len([cell for cell in plan.training_runs if not cell.generator]) == 2


def test_fidelity_compares_equal_numbers_of_images(tmp_path: Path, trial_study: dict) -> None:
    plan = plan_of(tmp_path, trial_study, generators=["brighter", {"name": "brighter", "label": "b2"}], synthetic=[3])
    assert {row.n for row in plan.fidelity} == {3}
    assert len(labels(plan, "encode")) == 2 + 1, "equal generators share a set; real sets are encoded once"


def test_every_segmenter_trained_on_real_images_alone_looks_at_every_synthetic_set(
    tmp_path: Path, trial_study: dict
) -> None:
    plan = plan_of(tmp_path, trial_study, seeds=2, generator_seeds=2, synthetic=[3])
    fits = {cell.seed: cell.fit for cell in plan.training_runs if not cell.generator}
    assert [(row.generator, row.generator_seed, row.seed) for row in plan.label_consistency] == [
        ("brighter", 0, 0),
        ("brighter", 0, 1),
        ("brighter", 1, 0),
        ("brighter", 1, 1),
    ]
    for row in plan.label_consistency:
        task = plan.tasks[row.evaluate]
        assert task.content["segmenter"] == fits[row.seed]
        assert task.content["synthetic"]["take"] == 3
        assert row.evaluate in plan.targets()
        assert {plan.tasks[need].kind for need in task.needs} == {"fit-segmenter", "draw"}


def test_agreement_is_measured_on_no_more_images_than_it_needs(
    tmp_path: Path, trial_study: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthbench.study.plan._builder.LABEL_CONSISTENCY_IMAGES", 2)
    plan = plan_of(tmp_path, trial_study, synthetic=[4])
    assert {plan.tasks[row.evaluate].content["synthetic"]["take"] for row in plan.label_consistency} == {2}
    assert all(row.n > 2 for row in plan.fidelity), "fidelity uses what there is"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"fractions": [3]}, "the same 3 real images; .*“real_only: 7”"),
        ({"fractions": [0.5]}, "“real_only: 1.0”"),
        ({}, r"all real images; .*“fractions: \[1\]” and “real_only: 7”"),
        ({"fractions": [3, 1.0]}, None),
        ({"fractions": [3], "real_only": [5]}, None),
        ({"generators": []}, None),
    ],
)
def test_a_study_without_more_real_images_is_told_what_to_add(
    tmp_path: Path, trial_study: dict, changes: dict, line: str | None
) -> None:
    told = missing_control(plan_of(tmp_path, trial_study, **changes).resolved)
    if line is None:
        assert told == ""
    else:
        assert told.startswith("no positive control: ")
        assert re.search(line, told)
        added = yaml.safe_load("\n".join(re.findall("“(.*?)”", told)))
        assert len(plan_of(tmp_path, trial_study, **(changes | added)).resolved.conditions) == 2


def test_amounts_of_real_images_alone_have_one_arm_and_no_synthetic_images(tmp_path: Path, trial_study: dict) -> None:
    """They have the keys that they'd have as fractions."""
    study = trial_study | {"fractions": [3]}
    plan, whole = plan_of(tmp_path, study, real_only=[5, 1.0]), plan_of(tmp_path, study, fractions=[3, 5, 1.0])
    amounts = [len(condition.train) for condition in plan.resolved.conditions]
    assert amounts == [3, 5, 7]
    arms = {number: {run.arm for run in plan.training_runs if run.condition == number} for number in range(3)}
    assert len(arms[0]) > 1
    assert arms[1] == arms[2] == {"real"}
    assert {row.condition for row in [*plan.fidelity, *plan.label_consistency]} == {0}
    assert set(plan.tasks) < set(whole.tasks)
    alone = [run.fit for run in whole.training_runs if run.arm == "real"]
    assert [run.fit for run in plan.training_runs if run.arm == "real"] == alone


def test_the_same_amount_twice_is_refused(tmp_path: Path, trial_study: dict) -> None:
    with pytest.raises(ConfigError, match="fractions, real_only: two of them come to 3 images"):
        plan_of(tmp_path, trial_study, fractions=[3], real_only=[3])


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store where the nuclei are drawn once."""
    return Store(tmp_path_factory.mktemp("nuclei"))


@pytest.mark.parametrize(
    ("changes", "seeds"),
    [
        ({"generators": ["pix2pix"], "budget": "standard"}, 2),
        ({"generators": ["pix2pix"], "budget": "paper"}, 2),
        ({"generators": ["pix2pix"], "budget": "quick"}, 1),
        ({"generators": ["duplicate"], "budget": "standard"}, 1),
        ({"generators": ["duplicate", "pix2pix"], "budget": "standard"}, 2),
        ({"generators": ["pix2pix"], "budget": "standard", "generator_seeds": 1}, 1),
        ({"generators": [{"name": "pix2pix", "seeds": 3}], "budget": "standard"}, 3),
        ({"generators": [{"name": "pix2pix", "budget": {"name": "smoke", "patch_size": 64}}], "budget": "standard"}, 1),
    ],
)
def test_generators_that_train_for_long_do_so_twice_by_default(
    nuclei: Store, trial_study: dict, changes: dict, seeds: int
) -> None:
    budget = {"name": changes["budget"], "patch_size": 64}
    whole = {"segmenters": ["unet"], "datasets": ["phantom-nuclei"], **changes, "budget": budget}
    study = make_study(trial_study | whole, "test")
    found = resolve(study, nuclei)
    assert {choice.seeds for choice in found.generators} == {seeds}
    kept = yaml.safe_load(found.study.to_yaml())
    again = resolve(make_study(kept, "test"), nuclei)
    assert [choice.seeds for choice in again.generators] == [choice.seeds for choice in found.generators]


def test_a_plugins_dataset_is_the_librarys_where_it_was_added_as_the_study_wants_it(
    tmp_path: Path, trial_study: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path / "home"))
    drawn = plan_of(tmp_path, trial_study).resolved.conditions[0]
    Library().build("discs", {})
    added = plan_of(tmp_path, trial_study).resolved.conditions[0]
    other = plan_of(tmp_path, trial_study, datasets=[{"name": "discs", "config": {"count": 15}}]).resolved.conditions[0]
    assert (tmp_path / "store") in drawn.folder.parents
    assert added.folder == Library().folder("discs")
    assert added.train.fingerprint == drawn.train.fingerprint
    assert (tmp_path / "store") in other.folder.parents
    assert len(other.train) > len(added.train)


def test_what_a_dataset_would_download_is_told_before(
    tmp_path: Path, trial_study: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = registry().load("dataset", "discs")
    monkeypatch.setattr(cls, "remotes", lambda self: [Remote("https://example.org/discs.zip")], raising=False)
    monkeypatch.setattr(cls, "licence", "CC0")
    told: list[str] = []
    for _ in range(2):
        resolve(make_study(trial_study, "test"), Store(tmp_path / "store"), notify=told.append)
    (words,) = told
    assert "licence:  CC0" in words
    assert "https://example.org/discs.zip" in words


def test_folds_have_tests_of_their_own_and_share_nothing_by_chance(tmp_path: Path, trial_study: dict) -> None:
    split = {"scheme": "kfold", "folds": 3}
    plan = plan_of(tmp_path, trial_study, datasets=[{"name": "discs", "split": split}])
    conditions = plan.resolved.conditions
    assert sorted(name for condition in conditions for name in condition.test.ids) == sorted(
        f"disc-{i}" for i in range(12)
    )
    assert len({cell.fit for cell in plan.training_runs}) == len(plan.training_runs)


def test_nothing_is_lacking_but_what_leads_to_a_missing_target(tmp_path: Path, trial_study: dict) -> None:
    plan, store = plan_of(tmp_path, trial_study), Store(tmp_path / "store")
    assert {task.key for task in plan.lacking(store)} == set(plan.tasks)
    cell = next(cell for cell in plan.training_runs if cell.generator)
    task = plan.tasks[cell.evaluate]
    store.begin(task.kind, task.key)
    store.commit(task.kind, task.key, task.content, {})
    left = {task.key for task in plan.lacking(store)}
    assert cell.evaluate not in left
    assert cell.fit not in left, "its only use is stored"


@pytest.mark.parametrize(("amount", "real", "count"), [(7, 3, 7), ("1x", 24, 24), ("0.5x", 5, 3), ("2x", 10, 20)])
def test_an_amount_is_a_number_or_a_multiple(amount: int | str, real: int, count: int) -> None:
    assert amount_of(amount, real) == count


def test_an_amount_that_comes_to_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="no sample at all"):
        amount_of("0.1x", 3)


def test_a_spread_is_nested_and_has_nothing_to_do_with_the_order(blob_set: SampleSet) -> None:
    turned = blob_set.subset(blob_set.ids[::-1])
    assert in_hash_order(blob_set, 5).ids == in_hash_order(turned, 5).ids
    assert set(in_hash_order(blob_set, 3).ids) <= set(in_hash_order(blob_set, 5).ids)


def ignoring_set(folder: Path, blob_set: SampleSet, split: str) -> Path:
    """Write a set of which the images of one split have pixels without a known label."""
    splits = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    region = np.zeros(blob_set[0].labels.shape, bool)
    region[:20] = True
    SampleSet.write(
        folder,
        [
            Sample(s.id, s.image, s.labels, {"split": own}, region if own == split else None)
            for s, own in zip(blob_set, splits, strict=True)
        ],
    )
    return folder


@pytest.mark.parametrize(
    ("split", "refused"),
    [("train", "generator 'brighter'"), ("validation", "segmenter 'threshold'"), ("test", "")],
)
def test_plugins_that_would_take_ignored_pixels_for_background_are_refused(
    tmp_path: Path, trial_study: dict, blob_set: SampleSet, split: str, refused: str
) -> None:
    changes = {"datasets": [str(ignoring_set(tmp_path / "partly", blob_set, split))]}
    if not refused:
        assert plan_of(tmp_path, trial_study, **changes).training_runs
        return
    with pytest.raises(ConfigError, match=f"{refused} would take the ignored pixels of dataset 'partly'"):
        plan_of(tmp_path, trial_study, **changes)


def test_plugins_that_support_ignored_pixels_get_them(
    tmp_path: Path, trial_study: dict, blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, name in (("generator", "brighter"), ("segmenter", "threshold")):
        monkeypatch.setattr(registry().load(kind, name), "supports_ignore", True)
    path = ignoring_set(tmp_path / "partly", blob_set, "train")
    assert plan_of(tmp_path, trial_study, datasets=[str(path)]).resolved.conditions[0].train.has_ignored


def test_a_study_says_which_value_of_a_paths_masks_is_unknown(
    tmp_path: Path, trial_study: dict, blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("images", "labels"):
        (tmp_path / "cells" / part).mkdir(parents=True)
    for sample in blob_set:
        labels = sample.labels.astype(np.uint8)
        labels[:20] = 255
        write_array(tmp_path / "cells" / "images" / f"{sample.id}.png", sample.image)
        write_array(tmp_path / "cells" / "labels" / f"{sample.id}.png", labels)
    study = {"datasets": [{"name": str(tmp_path / "cells"), "ignore": 255}], "generators": []}
    with pytest.raises(ConfigError, match="segmenter 'threshold' would take the ignored pixels"):
        plan_of(tmp_path, trial_study, **study)
    monkeypatch.setattr(registry().load("segmenter", "threshold"), "supports_ignore", True)
    (condition,) = plan_of(tmp_path / "fresh", trial_study, **study).resolved.conditions
    assert {entry.ignored for entry in condition.train.entries} == {20 / 64}
    with pytest.raises(ConfigError, match="dataset 'discs': ignore is for label maps at a path"):
        plan_of(tmp_path, trial_study, datasets=[{"name": "discs", "ignore": 255}])


def test_scoring_without_border_objects_changes_the_keys_of_evaluations_and_of_nothing_else(
    tmp_path: Path, trial_study: dict
) -> None:
    plain, same, other = (
        plan_of(tmp_path, trial_study, synthetic=[3], **changes)
        for changes in ({}, {"border_objects": "include"}, {"border_objects": "exclude"})
    )
    assert list(plain.tasks) == list(same.tasks)
    assert all("border_objects" not in task.content for task in plain.tasks.values())
    kinds = {"evaluate": [], "others": []}
    for task in other.tasks.values():
        kinds["evaluate" if task.kind == "evaluate" else "others"].append(task)
    assert {task.key for task in kinds["others"]} == {t.key for t in plain.tasks.values() if t.kind != "evaluate"}
    assert len(kinds["evaluate"]) == len(labels(plain, "evaluate"))
    assert {task.content["border_objects"] for task in kinds["evaluate"]} == {"exclude"}
    assert {"synthetic", "test"} <= {name for task in kinds["evaluate"] for name in task.content}
    assert any("border" in note for note in study_notes(other.resolved))
    assert not any("border" in note for note in study_notes(plain.resolved))


def test_classes_of_pixels_have_no_border_objects(tmp_path: Path, trial_study: dict, semantic_set: SampleSet) -> None:
    semantic_set.save(tmp_path / "classes")
    study = {"datasets": [str(tmp_path / "classes")], "generators": [], "segmenters": ["only-semantic"]}
    assert plan_of(tmp_path, trial_study, **study).training_runs
    with pytest.raises(ConfigError, match=r"border_objects: exclude .*classes'"):
        plan_of(tmp_path, trial_study, **study, border_objects="exclude")
