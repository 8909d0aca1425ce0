"""The trainings on most real images, scored on validation images: what the choice of a budget rests on."""

from __future__ import annotations

from dataclasses import replace

from synthbench.study.plan._models import Plan, TrainingRun
from synthbench.study.plan._tasks import location
from synthbench.study.plan._trainings import REAL, plan_test

__all__ = ["on_validation_images"]


def on_validation_images(plan: Plan) -> Plan:
    """Return the part of a plan that scores segmenters on validation images, in the place of test images.

    It has the trainings on real images alone, in the first fold of each dataset, on its largest amount of real images.
    Their keys are those of the study's own trainings.
    """
    conditions = plan.resolved.conditions
    chosen: dict[str, int] = {}
    for number, condition in enumerate(conditions):
        most = chosen.get(condition.dataset)
        if condition.fold == 0 and (most is None or len(condition.train) > len(conditions[most].train)):
            chosen[condition.dataset] = number
    segmenters = {segmenter.title: segmenter for segmenter in plan.resolved.segmenters}
    runs: list[TrainingRun] = []
    for run in plan.training_runs:
        if run.condition not in chosen.values() or run.arm != REAL or run.tested_on:
            continue
        condition = conditions[run.condition]
        where = location(condition, condition.validation)
        fit = plan.tasks[run.fit]
        scored = plan_test(plan, segmenters[run.segmenter], fit, condition.validation, where, "validation images")
        runs.append(replace(run, evaluate=scored.key))
    return replace(plan, training_runs=runs, fidelity=[], label_consistency=[])
