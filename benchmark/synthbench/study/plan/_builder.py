"""A resolved study as tasks: what each needs, and its key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from synthbench.plugin.precision import Precision
from synthbench.study.plan._comparisons import plan_assess, plan_label_consistency
from synthbench.study.plan._models import SCRATCH, Fidelity, Plan, TrainingRun
from synthbench.study.plan._tasks import location
from synthbench.study.plan._trainings import REAL, Arm, plan_draw, plan_test, plan_training, synthetic_arms
from synthbench.study.resolve import Condition, Resolved, StudyPlugin, amount_of, test_sets_of

__all__ = ["LABEL_CONSISTENCY_IMAGES", "make_plan"]

LABEL_CONSISTENCY_IMAGES = 100
"""Synthetic images at most that label consistency is measured on: they are segmented by every seed of every segmenter,
and cost as much as test images do."""


def make_plan(resolved: Resolved, device: str = "cpu", precision: Precision = "auto") -> Plan:
    """Lay out a resolved study as tasks.

    Parameters
    ----------
    resolved
    device
        The kind of device that all tasks compute on, ``"cpu"`` or ``"cuda"``.
    precision
        How precisely, where a plugin leaves the choice.
    """
    plan = Plan(resolved, device, precision)
    for number, condition in enumerate(resolved.conditions):
        _plan_condition(plan, number, condition)
    return plan


def _plan_condition(plan: Plan, number: int, condition: Condition) -> None:
    study = plan.resolved.study
    amounts = sorted({amount_of(amount, len(condition.train)) for amount in study.synthetic})
    synthetic_sets = {
        (generator.title, seed): plan_draw(plan, condition, generator, seed, amounts[-1])
        for generator in ([] if condition.real_only else plan.resolved.generators)
        for seed in range(generator.seeds)
    }
    for segmenter in plan.resolved.segmenters:
        for seed in range(segmenter.seeds):
            for arm in [Arm(REAL)] if condition.real_only else _arms(plan.resolved, segmenter, amounts):
                draws = arm.generator and arm.joint is None
                synthetic = synthetic_sets[arm.generator, arm.generator_seed or 0] if draws else None
                fit, evaluate = plan_training(plan, condition, segmenter, seed, arm, synthetic)
                own = TrainingRun(
                    condition=number,
                    arm=arm.name,
                    generator=arm.generator,
                    synthetic=arm.synthetic,
                    synthetic_ratio=arm.synthetic_ratio,
                    schedule=arm.schedule if 0 < arm.synthetic_ratio < 1 else "",
                    segmenter=segmenter.title,
                    generator_seed=arm.generator_seed,
                    seed=seed,
                    fit=fit.key,
                    evaluate=evaluate.key,
                    draw=synthetic.draw.key if synthetic else None,
                    fit_generator=synthetic.fit.key if synthetic else None,
                    init=segmenter.init.title if segmenter.init else SCRATCH,
                    weights_seen=segmenter.init.seen(condition.origins) if segmenter.init else "",
                    **_existing(plan, condition, arm.generator),
                )
                plan.training_runs += [own, *_tested_elsewhere(plan, condition, segmenter, own)]
    count = min(len(condition.train), len(condition.test), amounts[-1])
    if count < 2:
        return
    for (title, seed), synthetic in synthetic_sets.items():
        assess = plan_assess(plan, condition, f"{title} of seed {seed}", synthetic, amounts[-1], count)
        plan.fidelity.append(Fidelity(number, title, seed, count, synthetic.draw.key, assess.key))
        plan_label_consistency(plan, number, title, seed, synthetic, min(count, LABEL_CONSISTENCY_IMAGES))


def _tested_elsewhere(
    plan: Plan, condition: Condition, segmenter: StudyPlugin, run: TrainingRun
) -> Iterator[TrainingRun]:
    """Evaluate a training on the test images of other datasets too."""
    for tested in test_sets_of(condition, plan.resolved.test_sets):
        where = location(tested, tested.samples)
        evaluate = plan_test(plan, segmenter, plan.tasks[run.fit], tested.samples, where, tested.dataset)
        copies = plan.resolved.copies_elsewhere.get((condition.dataset, run.generator, tested.dataset))
        yield replace(
            run,
            tested_on=tested.dataset,
            evaluate=evaluate.key,
            weights_seen=segmenter.init.seen(tested.origins) if segmenter.init else "",
            test_copies=copies if run.test_copies is not None else None,
        )


def _existing(plan: Plan, condition: Condition, generator: str) -> dict[str, Any]:
    """Return what is known of existing samples: what their maker has seen, and copies; nothing of a fitted one's."""
    if (found := plan.resolved.existing.get((condition.dataset, generator))) is None:
        return {}
    splits = [other.split for other in plan.resolved.conditions if other.dataset == condition.dataset]
    return {
        "generator_seen": found.more_seen(condition.train),
        "test_copies": found.copied(splits, "test").total(),
        "validation_copies": found.copied(splits, "validation").total(),
    }


def _arms(resolved: Resolved, segmenter: StudyPlugin, amounts: list[int]) -> Iterator[Arm]:
    yield Arm(REAL)
    study = resolved.study
    if not segmenter.is_trained:
        return
    for joint in resolved.joint:
        if segmenter.title in joint.plugins:
            yield Arm(f"{REAL} + {joint.title}", joint.title, joint=joint.plugins[segmenter.title])
    for generator in resolved.generators:
        for seed in range(generator.seeds):
            for arm in synthetic_arms(study, generator.title, amounts):
                yield replace(arm, generator_seed=seed)
