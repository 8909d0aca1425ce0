"""How synthetic samples take part in trainings: fractions and schedules as arms of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

import synthbench
from synthbench.leaderboard import baseline_delta, markdown, table
from synthbench.store import Store
from synthbench.study.model import make_study
from synthbench.study.plan import Plan, make_plan
from synthbench.study.resolve import resolve

pytestmark = pytest.mark.usefixtures("trial_registry")

BOTH = {"synthetic_ratio": [0.25, 0.5], "schedule": ["mix", "synthetic-first"]}


def plan_of(tmp_path: Path, study: dict, **changes: object) -> Plan:
    return make_plan(resolve(make_study(study | changes, "test"), Store(tmp_path / "store")))


def fits(plan: Plan) -> dict[str, str]:
    return {run.arm: run.fit for run in plan.training_runs if run.seed == 0}


def test_several_make_an_arm_each(tmp_path: Path, trial_study: dict) -> None:
    plan = plan_of(tmp_path, trial_study, **BOTH, synthetic_only=True)
    assert list(fits(plan)) == [
        "real",
        "real + brighter × 4 (25 %, mix)",
        "real + brighter × 4 (25 %, synthetic-first)",
        "real + brighter × 4 (50 %, mix)",
        "real + brighter × 4 (50 %, synthetic-first)",
        "brighter × 4 only",
    ]
    assert len(set(fits(plan).values())) == 6
    ways = {run.arm: (run.synthetic_ratio, run.schedule) for run in plan.training_runs}
    assert ways["real"] == (0, "")
    assert ways["real + brighter × 4 (25 %, synthetic-first)"] == (0.25, "synthetic-first")
    assert ways["brighter × 4 only"] == (1, "")


def test_the_same_training_has_the_same_key_whatever_stands_beside_it(tmp_path: Path, trial_study: dict) -> None:
    one, several = fits(plan_of(tmp_path, trial_study)), fits(plan_of(tmp_path, trial_study, **BOTH))
    assert one["real + brighter × 4"] == several["real + brighter × 4 (50 %, mix)"]
    first = fits(plan_of(tmp_path, trial_study, schedule="synthetic-first", synthetic_ratio=0.25))
    assert first["real + brighter × 4"] == several["real + brighter × 4 (25 %, synthetic-first)"]


def test_tables_compare_each_with_the_duplicates_of_its_kind(tmp_path: Path, trial_study: dict) -> None:
    study = trial_study | {"generators": ["duplicate", "brighter"], "synthetic": ["1x"]} | BOTH
    run = synthbench.run(study, folder=tmp_path / "run", store=tmp_path / "store", engine="serial")
    assert run.failed == 0
    results = synthbench.load_results(run.folder)
    found = table(results)
    compared = found[found["generator"] == "brighter"]
    assert len(compared) == 4
    assert compared["delta_vs_duplicate"].notna().all()
    assert set(found["schedule"]) == {"", "mix", "synthetic-first"}
    text = markdown(baseline_delta(results))
    assert "brighter × 1x (25 %, synthetic-first)" in text
