"""The scale of a study: a factor from training images alone, in the keys of what it changes, and told in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthbench.errors import ConfigError, DataError
from synthbench.samples import Sample, SampleSet, write_array
from synthbench.store import Store
from synthbench.study.model import Study, make_study
from synthbench.study.notes import scale_lines, study_notes
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve

pytestmark = pytest.mark.usefixtures("trial_registry")

PATCH = 30
"""Of the trial segmenters here: `auto` brings larger objects to 10 pixels."""

SCALED = {"fit-generator", "fit-segmenter", "evaluate", "encode"}


def disc_sample(name: str, diameter: float, *, side: int = 132, **groups: str) -> Sample:
    """Four discs of this diameter, or less where they would meet."""
    labels = np.zeros((side, side), np.uint8)
    yy, xx = np.mgrid[:side, :side] + 0.5
    for number, (y, x) in enumerate([(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)], 1):
        labels[(yy - y * side) ** 2 + (xx - x * side) ** 2 <= diameter**2 / 4] = number
    rng = np.random.default_rng(len(name) + int(10 * diameter))
    image = (40 + 120 * (labels > 0) + rng.integers(0, 9, labels.shape)).astype(np.uint8)
    return Sample(name, image, labels, groups)


PARTS = ("train",) * 6 + ("validation",) * 2 + ("test",) * 3


def cells(folder: Path, diameter: float = 40, *, of: dict[int, float] | None = None, side: int = 132) -> str:
    """Save a dataset of discs; `of` has other diameters of some images."""
    samples = [
        disc_sample(f"cell-{n}", (of or {}).get(n, diameter), side=side, split=part) for n, part in enumerate(PARTS)
    ]
    SampleSet.of(samples).save(folder)
    return str(folder)


@pytest.fixture
def planned(tmp_path: Path, trial_study: dict):
    """Plan a study of discs in patches of `PATCH` pixels."""
    store = Store(tmp_path / "store")
    study = trial_study | {"budget": {"name": "smoke", "patch_size": PATCH}}

    def make(dataset: str, scale: object = "auto", **changes: object) -> Plan:
        given = {} if scale is None else {"scale": scale}
        return make_plan(resolve(make_study(study | {"datasets": [dataset]} | given | changes, "test"), store))

    return make


def factors(plan: Plan) -> list[float]:
    return [condition.scaling.factor for condition in plan.resolved.conditions]


def keys(plan: Plan, *kinds: str) -> list[str]:
    return [key for key, task in plan.tasks.items() if not kinds or task.kind in kinds]


def test_auto_brings_large_objects_to_a_third_of_the_smallest_patch(planned, tmp_path: Path) -> None:
    plan = planned(cells(tmp_path / "cells"))
    scaling = plan.resolved.conditions[0].scaling
    assert scaling.diameter == pytest.approx(40, abs=0.2)
    assert scaling.factor == pytest.approx(10 / scaling.diameter, abs=5e-5)
    assert (scaling.images, scaling.objects) == (6, 24)
    larger = planned(
        cells(tmp_path / "more", side=260), segmenters=["threshold", {"name": "warm", "budget": {"patch_size": 60}}]
    )
    assert factors(larger) == [scaling.factor]


@pytest.mark.parametrize("scale", [None, "none", "auto"])
def test_without_an_effect_all_keys_stay(planned, tmp_path: Path, scale: object) -> None:
    small = cells(tmp_path / "small", 8)
    assert keys(planned(small, scale)) == keys(planned(small, None))
    assert not any("scale" in task.content for task in planned(small, scale).tasks.values())
    if scale != "auto":
        assert keys(planned(cells(tmp_path / "cells"), scale)) == keys(planned(cells(tmp_path / "again"), None))


def test_the_factor_is_in_the_key_of_what_opens_real_images_and_of_nothing_else(planned, tmp_path: Path) -> None:
    dataset = cells(tmp_path / "cells")
    plan = planned(dataset)
    (factor,) = factors(plan)
    with_factor = {k for k, task in plan.tasks.items() if "scale" in task.content}
    assert {plan.tasks[k].kind for k in with_factor} == SCALED
    assert {plan.tasks[k].content["scale"]["factor"] for k in with_factor} == {factor}
    on_synthetic = {k for k, t in plan.tasks.items() if t.kind in ("evaluate", "encode") and "draw" in t.where}
    assert on_synthetic
    assert not on_synthetic & with_factor
    assert not set(keys(plan)) & set(keys(planned(dataset, "none")))


def test_only_training_images_decide(planned, tmp_path: Path) -> None:
    plan = planned(cells(tmp_path / "cells"))
    others = planned(cells(tmp_path / "others", of={8: 12, 9: 20, 10: 60}))
    assert factors(others) == factors(plan)
    for kind in ("fit-generator", "draw", "fit-segmenter"):
        assert keys(others, kind) == keys(plan, kind)
    assert not set(keys(others, "evaluate")) & set(keys(plan, "evaluate")) - {
        row.evaluate for row in plan.label_consistency
    }
    validation = planned(cells(tmp_path / "validation", of={6: 12, 7: 12}))
    assert factors(validation) == factors(plan)
    assert factors(planned(cells(tmp_path / "train", of={0: 20, 1: 20, 2: 20, 3: 20}))) != factors(plan)


def test_all_amounts_of_a_fold_have_one_factor_and_folds_their_own(planned, tmp_path: Path) -> None:
    dataset = cells(tmp_path / "cells", of={0: 38, 3: 36, 4: 42, 6: 44, 9: 46})
    plan = planned(dataset, fractions=[2, 4, 1.0])
    assert len(set(factors(plan))) == 1
    assert len(factors(plan)) == 3
    folds = planned({"name": dataset, "split": {"scheme": "kfold", "folds": 3}})
    medians = [
        np.median([2 * np.sqrt(area / np.pi) for sample in train for area in np.bincount(sample.labels.ravel())[1:]])
        for condition in folds.resolved.conditions
        for train in [SampleSet.open(Path(dataset)).subset(condition.split.train)]
    ]
    assert factors(folds) == pytest.approx([10 / median for median in medians], abs=5e-5)


@pytest.mark.parametrize(("pixels", "factor"), [(20, 0.5), (60, 1.5), (40, 1.0), (42, 1.05)])
def test_a_number_of_pixels_scales_up_and_down(planned, tmp_path: Path, pixels: int, factor: float) -> None:
    assert factors(planned(cells(tmp_path / "cells"), pixels)) == pytest.approx([factor], abs=0.01)


def test_absurd_factors_are_refused_with_the_diameters_that_can_be_had(planned, tmp_path: Path) -> None:
    dataset = cells(tmp_path / "cells", 12)
    with pytest.raises(ConfigError, match=r"scale 500.*11\.9 px.*factor of 41\.9.*from 1 to 59"):
        planned(dataset, 500)


@pytest.mark.parametrize("wrong", [3, 1001, 30.5, "large", True, [30]])
def test_other_values_are_refused(trial_study: dict, wrong: object) -> None:
    with pytest.raises(ConfigError, match="scale: invalid value"):
        make_study(trial_study | {"scale": wrong}, "test")


def test_the_scale_of_a_study_is_written_out(trial_study: dict) -> None:
    assert "\nscale: none\n" in make_study(trial_study, "test").to_yaml()
    assert make_study(trial_study | {"scale": 30}, "test").scale == 30
    assert Study.model_fields["scale"].default == "none"


def test_auto_scales_no_further_than_a_patch_fits(planned, tmp_path: Path) -> None:
    plan = planned(cells(tmp_path / "cells", 30, side=64))
    scaling = plan.resolved.conditions[0].scaling
    assert scaling.factor == pytest.approx(30 / 64, abs=1e-4)
    assert scaling.factor * 64 >= PATCH - 0.5
    assert any("64 px" in note and "30 px of threshold" in note for note in study_notes(plan.resolved))
    assert factors(planned(cells(tmp_path / "tiny", 14, side=PATCH))) == [1.0]


def test_a_scaled_image_that_is_smaller_than_a_patch_is_named_with_both_sizes(planned, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'cell-0' is 64×64.* 21×21, smaller than a patch of 30.*scale: 15 or more"):
        planned(cells(tmp_path / "cells", 30, side=64), 10)


def test_plan_tells_factor_and_diameters(planned, tmp_path: Path) -> None:
    (line,) = scale_lines(planned(cells(tmp_path / "cells")).resolved)
    assert line.startswith("cells: ")
    assert "40.1 px" in line
    assert "0.2493" in line
    assert "10.0 px" in line
    (stays,) = scale_lines(planned(cells(tmp_path / "small", 8)).resolved)
    assert "stay as they are" in stays
    assert scale_lines(planned(cells(tmp_path / "again"), "none").resolved) == []


def test_objects_that_are_large_for_a_patch_are_told_with_the_option_that_helps(planned, tmp_path: Path) -> None:
    def notes(diameter: float, scale: object) -> list[str]:
        plan = planned(cells(tmp_path / f"{diameter}-{scale}", diameter), scale)
        return [note for note in study_notes(plan.resolved) if "median diameter" in note]

    (note,) = notes(40, "none")
    assert "24 objects in 6 training images" in note
    assert "40 px" in note
    assert "30 px of threshold" in note
    assert "--scale auto" in note
    assert notes(8, "none") == notes(40, "auto") == notes(40, 10) == []
    (scaled,) = notes(40, 20)
    assert "20 px when scaled" in scaled


def test_vanishing_objects_are_counted(planned, tmp_path: Path) -> None:
    samples = [disc_sample(f"cell-{n}", 40, split=part) for n, part in enumerate(PARTS)]
    labels = samples[0].labels.copy()
    labels[0, 0], labels[48:51, 48:51] = 8, 9  # of 1 pixel, and of 9
    samples[0] = Sample(samples[0].id, samples[0].image, labels, samples[0].groups)
    SampleSet.of(samples).save(tmp_path / "cells")
    notes = study_notes(planned(str(tmp_path / "cells")).resolved)
    assert any("of 34 objects" in note and "1 vanish" in note and "1 have fewer than 10" in note for note in notes)


def test_a_dataset_that_is_trained_on_first_is_brought_to_the_same_diameter(planned, tmp_path: Path) -> None:
    dataset, first = cells(tmp_path / "cells"), cells(tmp_path / "first", 20)

    def starts(scale: object, dataset: str, first: str = first) -> list[float | None]:
        plan = planned(dataset, scale, segmenters=["warm"], init=f"dataset:{first}", generators=[])
        before = {plan.tasks[run.fit].content["init"]["segmenter"] for run in plan.training_runs}
        return sorted({plan.tasks[key].content.get("scale", {}).get("factor") for key in before})

    assert starts("auto", dataset) == pytest.approx([0.5], abs=0.01)
    assert starts(20, dataset) == [None]
    assert starts(30, dataset) == pytest.approx([1.5], abs=0.01)
    assert starts("none", dataset) == [None]
    small = cells(tmp_path / "small", 8)
    assert starts("auto", small) == pytest.approx([0.5], abs=0.01)  # as in a study of its own
    assert starts("auto", small, cells(tmp_path / "smaller", 5)) == [None]
    assert starts("auto", dataset, cells(tmp_path / "little", 5)) == pytest.approx([2.2], abs=0.1)


def test_test_images_of_other_datasets_have_the_factor_of_the_training_images(planned, tmp_path: Path) -> None:
    plan = planned(cells(tmp_path / "cells"), test_on=[cells(tmp_path / "others", 20)])
    tested = [plan.tasks[run.evaluate] for run in plan.training_runs]
    assert len({task.content["test"] for task in tested}) == 2
    assert {task.content["scale"]["factor"] for task in tested} == set(factors(plan))


def test_ready_made_images_are_scaled_as_those_of_the_dataset(planned, tmp_path: Path) -> None:
    made = [disc_sample(f"made-{n}", 41) for n in range(6)]
    for kind in ("images", "masks"):
        (tmp_path / "made" / kind).mkdir(parents=True)
    for sample in made:
        write_array(tmp_path / "made" / "images" / f"{sample.id}.png", sample.image)
        write_array(tmp_path / "made" / "masks" / f"{sample.id}.png", sample.labels)
    changes = {"generators": ["brighter", str(tmp_path / "made")], "synthetic": [4]}
    plan = planned(cells(tmp_path / "cells"), **changes)
    scaled = {task.where["plugin"]: "scale" in task.content for task in plan.tasks.values() if task.kind == "draw"}
    assert scaled == {"brighter": False, "ready-made": True}
    with pytest.raises(DataError, match=r"made-0' is 132×132.* 28×28, smaller than a patch of 30"):
        planned(cells(tmp_path / "large", 48, side=160), **changes)
