"""Generators that are trained together with segmenters, in plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.notes import notes_on_data
from synthbench.errors import ConfigError
from synthbench.store import Store
from synthbench.study.model import make_study
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve

pytestmark = pytest.mark.usefixtures("trial_registry")

JOINT = {"name": "cgan-seg", "joint": True}
PATCH = {"name": "smoke", "patch_size": 32}


def plan_of(tmp_path: Path, study: dict, **changes: object) -> Plan:
    return make_plan(resolve(make_study(study | changes, "test"), Store(tmp_path / "store")))


def test_a_joint_arm_has_the_segmenters_steps_and_seeds_and_draws_nothing(tmp_path: Path, trial_study: dict) -> None:
    unet = {"name": "unet", "budget": {**PATCH, "steps": 3}}
    plan = plan_of(tmp_path, trial_study, generators=["brighter", JOINT], segmenters=[unet, "threshold"])
    arms = {(run.segmenter, run.arm) for run in plan.training_runs}
    assert arms == {(name, arm) for name in ("unet", "threshold") for arm in ("real", "real + brighter × 4")} | {
        ("unet", "real + cgan-seg joint")
    }
    for run in plan.training_runs:
        content = plan.tasks[run.fit].content
        if run.generator != "cgan-seg joint":
            assert content["joint"] is None
            continue
        assert (run.synthetic, run.draw, run.fit_generator) == (0, None, None)
        assert content["joint"]["name"] == "cgan-seg"
        assert content["joint"]["budget"] == content["plugin"]["budget"]
        assert content["joint"]["budget"]["steps"] == 3
        (real,) = (r for r in plan.training_runs if (r.segmenter, r.arm, r.seed) == ("unet", "real", run.seed))
        assert plan.tasks[real.fit].content["train"] == content["train"]
    assert {row.generator for row in plan.fidelity} == {"brighter"}
    (note,) = notes_on_data(plan.resolved)
    assert "threshold" in note


def test_the_generators_configuration_is_part_of_the_key(tmp_path: Path, trial_study: dict) -> None:
    def fits(**config: Any) -> set[str]:
        study = trial_study | {"segmenters": ["unet"], "budget": PATCH}
        plan = plan_of(tmp_path, study, generators=[JOINT | {"config": config}])
        return {run.fit for run in plan.training_runs if run.generator}

    assert not fits() & fits(gen_filters=4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generators": [{"name": "brighter", "joint": True}], "segmenters": ["unet"]}, "can't be trained together"),
        ({"generators": [JOINT]}, "none of the segmenters can be trained together with it (threshold)"),
        ({"generators": [JOINT | {"seeds": 2}]}, "leave budget and seeds out"),
        ({"segmenters": [{"name": "unet", "joint": True}]}, "joint is for generators"),
        ({"generators": [JOINT], "segmenters": ["unet"], "budget": {"name": "smoke", "patch_size": 16}}, "too small"),
    ],
)
def test_what_cannot_be_trained_jointly_is_refused(
    tmp_path: Path, trial_study: dict, changes: dict, words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        plan_of(tmp_path, trial_study, **changes)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_a_joint_arm_is_a_row_of_the_board(trial: Any) -> None:
    study = trial.study(
        generators=[JOINT | {"config": {"gen_filters": 4, "ndf": 4}}],
        segmenters=["unet"],
        seeds=1,
        budget={"name": "smoke", "patch_size": 32, "steps": 4},
    )
    assert "cgan-seg joint" in trial.call("run", study, "--engine", "serial").stdout
