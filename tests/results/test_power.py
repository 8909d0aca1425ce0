"""What a plan will be able to see: its design is counted as the leaderboard's test counts it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from helpers.crossed import images as make_crossed
from helpers.designs import planned
from synthbench.results.power import detectable_effects
from synthbench.statistics import PRIOR, estimate_noise, minimum_detectable_effect


@pytest.fixture(autouse=True)
def nothing_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthbench.results.power.collect", lambda *_: SimpleNamespace(images=pd.DataFrame()))


def test_crossed_seeds_are_counted_as_such() -> None:
    (found,) = detectable_effects(planned(generator_seeds=3, seeds=3), None)  # type: ignore[arg-type]
    assert (found.folds, found.generator_seeds, found.seeds, found.pairs, found.images) == (1, 3, 3, 9, 20)
    assert found.difference == minimum_detectable_effect(PRIOR, 20, 3, 1, generator_seeds=3)
    assert found.difference > minimum_detectable_effect(PRIOR, 20, 9, 1)


def test_folds_that_differ_by_an_image_are_one_cell_and_one_arm() -> None:
    (found,) = detectable_effects(planned(folds=3, seeds=2, train=(66, 67, 67)), None)  # type: ignore[arg-type]
    assert (found.fraction, found.folds, found.arms, found.pairs, found.images) == (66, 3, 1, 6, 60)
    assert found.difference == minimum_detectable_effect(PRIOR, 60, 2, 1, folds=3)


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
    (found,) = detectable_effects(planned(folds=3, train=(40, 41, 41)), None, earlier)  # type: ignore[arg-type]
    assert found.noise.source == "the earlier run's results, 1 arm"
    assert found.noise.image > 0


# -- images that belong together ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [1, 3])
def test_groups_are_the_sample_size(folds: int) -> None:
    (found,) = detectable_effects(planned(folds=folds, wells=5, group="well"), None)  # type: ignore[arg-type]
    assert (found.images, found.units, found.unmodelled_groups) == (20 * folds, 5 * folds, {})
    assert found.difference == minimum_detectable_effect(PRIOR, 5 * folds, 3, 1, folds=folds)


def test_groups_that_the_split_does_not_keep_together_are_counted() -> None:
    (found,) = detectable_effects(planned(wells=5), None)  # type: ignore[arg-type]
    assert (found.units, found.unmodelled_groups) == (20, {"well": 5})
    assert detectable_effects(planned(wells=20), None)[0].unmodelled_groups == {}, "every image has a well of its own"  # type: ignore[arg-type]
    assert detectable_effects(planned(wells=1), None)[0].unmodelled_groups == {}, "one well says nothing of the others"  # type: ignore[arg-type]


def test_one_group_of_many_images_shows_no_difference() -> None:
    (found,) = detectable_effects(planned(wells=1, group="well"), None)  # type: ignore[arg-type]
    assert math.isnan(found.difference)


# -- differences that are none --------------------------------------------------------------------------------------


def test_stored_differences_of_zero_promise_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that equals `real` on every image would else be the pilot of a study that finds a Δ of 0.000."""
    rows = make_crossed(0.0, 1, 3)
    real = rows[rows["arm"] == "real"]
    same = pd.concat([real, real.assign(arm="real + g × 40", generator_seed=0.0)], ignore_index=True)
    same["synthetic"] = 0
    monkeypatch.setattr("synthbench.results.power.collect", lambda *_: SimpleNamespace(images=same))
    (found,) = detectable_effects(planned(), None)  # type: ignore[arg-type]
    assert found.difference == minimum_detectable_effect(PRIOR, 20, 3, 1)
    assert found.noise.source.startswith("assumed")
    assert "no arm differs from real" in found.noise.source
    earlier = SimpleNamespace(images=rows.assign(synthetic=0))
    (found,) = detectable_effects(planned(), None, earlier)  # type: ignore[arg-type]
    assert found.noise.source.startswith("the earlier run's results, 1 arm")


def test_an_arm_that_equals_real_does_not_make_the_others_look_calm() -> None:
    rows = make_crossed(0.0, 1, 3, seed_spread=0.03)
    real = rows[rows["arm"] == "real"]
    both = pd.concat([rows, real.assign(arm="real + same × 1", generator_seed=0.0)], ignore_index=True)
    assert estimate_noise(both, draws=200) == estimate_noise(rows, draws=200)
