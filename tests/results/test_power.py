"""What a plan will be able to see: its design is counted as the leaderboard's test counts it."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from helpers.crossed import images as make_crossed
from synthbench.cli.plan import _print_detectable_effects
from synthbench.results.power import detectable_effects
from synthbench.statistics import PRIOR, estimate_noise, minimum_detectable_effect
from synthbench.study.plan import TrainingRun


def plan(
    folds: int = 1,
    generator_seeds: int = 1,
    seeds: int = 3,
    train: tuple[int, ...] = (40,),
    test: int = 20,
    wells: int = 0,
    group: str | None = None,
) -> SimpleNamespace:
    """Return a plan of `real` and one generator; the amounts of real data of each fold in turn.

    With `wells`, so many of each fold share its test images; `group` is what the split keeps together.
    """

    def tested(fold: int) -> SimpleNamespace:
        groups = [{"well": f"{fold}-{i % wells}", "split": "test"} if wells else {} for i in range(test)]
        return SimpleNamespace(entries=[SimpleNamespace(id=f"{fold}-{i}", groups=g) for i, g in enumerate(groups)])

    conditions = [
        SimpleNamespace(dataset="d", fold=fold, train=range(train[fold % len(train)]), test=tested(fold))
        for fold in range(folds)
    ]
    cells = []
    for condition, place in enumerate(conditions):
        amount = len(place.train)
        cells += [TrainingRun(condition, "real", "", 0, "unet", None, s, "", "") for s in range(seeds)]
        cells += [
            TrainingRun(condition, f"real + g × {amount}", "g", amount, "unet", g, s, "", "")
            for g in range(generator_seeds)
            for s in range(seeds)
        ]
    study = SimpleNamespace(datasets=[SimpleNamespace(name="d", split=SimpleNamespace(group=group))])
    return SimpleNamespace(resolved=SimpleNamespace(conditions=conditions, study=study), training_runs=cells)


@pytest.fixture(autouse=True)
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthbench.results.power.collect", lambda *_: SimpleNamespace(images=pd.DataFrame()))


def test_crossed_seeds_are_counted_as_such() -> None:
    (found,) = detectable_effects(plan(generator_seeds=3, seeds=3), None)  # type: ignore[arg-type]
    assert (found.folds, found.generator_seeds, found.seeds, found.pairs, found.images) == (1, 3, 3, 9, 20)
    assert found.difference == minimum_detectable_effect(PRIOR, 20, 3, 1, generator_seeds=3)
    assert found.difference > minimum_detectable_effect(PRIOR, 20, 9, 1)


def test_folds_that_differ_by_an_image_are_one_cell_and_one_arm() -> None:
    (found,) = detectable_effects(plan(folds=3, seeds=2, train=(66, 67, 67)), None)  # type: ignore[arg-type]
    assert (found.fraction, found.folds, found.arms, found.pairs, found.images) == (66, 3, 1, 6, 60)
    assert found.difference == minimum_detectable_effect(PRIOR, 60, 2, 1, folds=3)


def test_what_the_prior_has_to_assume_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    cases = {
        "3 folds × 2 generator seeds × 1 seed each; noise: assumed": plan(3, 2, 1),
        "decides nothing, for one seed never does (20 test images, 1 arm, 1 seed each); use two": plan(seeds=1),
        "1 arm, 3 generator seeds × 1 seed each); use two seeds or more": plan(1, 3, 1),
        "one test image shows no difference": plan(test=1),
    }
    for words, study in cases.items():
        _print_detectable_effects(detectable_effects(study, None))  # type: ignore[arg-type]
        assert words in capsys.readouterr().out


def test_an_earlier_run_of_all_its_folds_is_the_pilot() -> None:
    """Also where folds differ by an image, and where one amount of real data has no baseline."""
    parts = [make_crossed(0.02, 2, 2, rng_seed=fold) for fold in range(3)]
    rows = pd.concat(
        [p.assign(fold=f, fraction=66 + (f > 0), image=f"{f}-" + p["image"]) for f, p in enumerate(parts)],
        ignore_index=True,
    )
    made = rows["arm"] != "real"
    rows["synthetic"] = rows["fraction"].where(made, 0)
    rows["arm"] = rows["arm"].where(~made, "real + g × " + rows["fraction"].astype(str))
    alone = rows[made].assign(fraction=lambda table: table["fraction"] - 26)
    earlier = SimpleNamespace(images=pd.concat([rows, alone], ignore_index=True))
    (found,) = detectable_effects(plan(folds=3, train=(40, 41, 41)), None, earlier)  # type: ignore[arg-type]
    assert found.noise.source == "the earlier run's results, 1 arm"
    assert found.noise.image > 0


# -- images that belong together ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [1, 3])
def test_groups_are_the_sample_size(folds: int, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = detectable_effects(plan(folds=folds, wells=5, group="well"), None)  # type: ignore[arg-type]
    assert (found.images, found.units, found.unmodelled_groups) == (20 * folds, 5 * folds, {})
    assert found.difference == minimum_detectable_effect(PRIOR, 5 * folds, 3, 1, folds=folds)
    _print_detectable_effects([found])
    assert f"{20 * folds} test images in {5 * folds} groups, 1 arm" in capsys.readouterr().out


def test_groups_that_the_split_does_not_keep_together_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = detectable_effects(plan(wells=5), None)  # type: ignore[arg-type]
    assert (found.units, found.unmodelled_groups) == (20, {"well": 5})
    _print_detectable_effects([found])
    assert "share groups (well: 5) but are treated as independent" in (told := capsys.readouterr().out)
    assert "“split: {group: well}”" in told
    assert detectable_effects(plan(wells=20), None)[0].unmodelled_groups == {}, "every image has a well of its own"  # type: ignore[arg-type]
    assert detectable_effects(plan(wells=1), None)[0].unmodelled_groups == {}, "one well says nothing of the others"  # type: ignore[arg-type]


def test_one_group_of_many_images_shows_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    _print_detectable_effects(detectable_effects(plan(wells=1, group="well"), None))  # type: ignore[arg-type]
    assert "one group of 20 test images shows no difference" in capsys.readouterr().out


# -- differences that are none --------------------------------------------------------------------------------------


def test_stored_differences_of_zero_promise_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An arm that equals `real` on every image would else be the pilot of a study that finds a Δ of 0.000."""
    rows = make_crossed(0.0, 1, 3)
    real = rows[rows["arm"] == "real"]
    same = pd.concat([real, real.assign(arm="real + g × 40", generator_seed=0.0)], ignore_index=True)
    same["synthetic"] = 0
    monkeypatch.setattr("synthbench.results.power.collect", lambda *_: SimpleNamespace(images=same))
    (found,) = detectable_effects(plan(), None)  # type: ignore[arg-type]
    assert found.difference == minimum_detectable_effect(PRIOR, 20, 3, 1)
    _print_detectable_effects([found])
    assert "noise: assumed, for in stored results no arm differs from real, which tells nothing" in (
        capsys.readouterr().out
    )
    earlier = SimpleNamespace(images=rows.assign(synthetic=0))
    (found,) = detectable_effects(plan(), None, earlier)  # type: ignore[arg-type]
    assert found.noise.source.startswith("the earlier run's results, 1 arm")


def test_an_arm_that_equals_real_does_not_make_the_others_look_calm() -> None:
    rows = make_crossed(0.0, 1, 3, seed_spread=0.03)
    real = rows[rows["arm"] == "real"]
    both = pd.concat([rows, real.assign(arm="real + same × 1", generator_seed=0.0)], ignore_index=True)
    assert estimate_noise(both, draws=200) == estimate_noise(rows, draws=200)
