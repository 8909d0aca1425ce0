"""Trainings scored on validation images: what the choice of a budget, and of a trained segmenter, rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthbench.study.plan._models import Plan, TrainingRun
from synthbench.study.plan._tasks import location
from synthbench.study.plan._trainings import REAL, plan_test

__all__ = ["on_validation_images"]


def on_validation_images(plan: Plan, runs: Sequence[TrainingRun] | None = None) -> Plan:
    """Return the part of a plan that scores segmenters on validation images, in the place of test images.

    Parameters
    ----------
    plan
    runs
        Trainings of the plan; by default those on real images alone, in the first fold of each dataset, on its largest
        amount of real images. Their keys are those of the study's own trainings.
    """
    segmenters = {segmenter.title: segmenter for segmenter in plan.resolved.segmenters}
    scored_runs: list[TrainingRun] = []
    for run in _on_most_real_images(plan) if runs is None else runs:
        if run.tested_on:
            continue
        condition = plan.resolved.conditions[run.condition]
        where = location(condition, condition.validation)
        fit = plan.tasks[run.fit]
        scored = plan_test(plan, segmenters[run.segmenter], fit, condition.validation, where, "validation images")
        scored_runs.append(replace(run, evaluate=scored.key))
    return replace(plan, training_runs=scored_runs, fidelity=[], label_consistency=[])


def _on_most_real_images(plan: Plan) -> list[TrainingRun]:
    conditions = plan.resolved.conditions
    chosen: dict[str, int] = {}
    for number, condition in enumerate(conditions):
        most = chosen.get(condition.dataset)
        if condition.fold == 0 and (most is None or len(condition.train) > len(conditions[most].train)):
            chosen[condition.dataset] = number
    return [run for run in plan.training_runs if run.condition in chosen.values() and run.arm == REAL]
