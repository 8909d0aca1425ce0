"""The tasks that compare synthetic images with real ones: fidelity and label consistency."""

from __future__ import annotations

from typing import Any

from synthbench.samples import SampleSet
from synthbench.study.plan._models import LabelConsistency, Plan, Task
from synthbench.study.plan._tasks import add_task, location, scale_part
from synthbench.study.plan._trainings import REAL, Arm, SyntheticSet, plan_training
from synthbench.study.resolve import Condition, in_hash_order

__all__ = ["plan_assess", "plan_label_consistency"]


def plan_label_consistency(
    plan: Plan, number: int, title: str, generator_seed: int, synthetic: SyntheticSet, count: int
) -> None:
    """Let the segmenters that were trained on real images alone segment synthetic ones."""
    condition = plan.resolved.conditions[number]
    for segmenter in plan.resolved.segmenters:
        for seed in range(segmenter.seeds):
            fit, _ = plan_training(plan, condition, segmenter, seed, Arm(REAL), None)
            source = f"{title}, generator seed {generator_seed}"
            evaluate = add_task(
                plan,
                "evaluate",
                {"segmenter": fit.key, "synthetic": synthetic.first(count)},
                needs=(fit.key, synthetic.draw.key),
                where={"segmenter": fit.key, "plugin": segmenter.plugin.name, "draw": synthetic.draw.key},
                label=f"label consistency of {segmenter.title}, seed {seed}, on {count} images of {source} · "
                f"{condition.label}",
                plugin=segmenter.plugin,
            )
            plan.label_consistency.append(
                LabelConsistency(number, title, generator_seed, segmenter.title, seed, evaluate.key)
            )


def plan_assess(
    plan: Plan, condition: Condition, source: str, synthetic: SyntheticSet, amount: int, count: int
) -> Task:
    """Compare synthetic images with test images; training images, at the same count, are the real-vs-real baseline."""
    real = {"test": condition.test, "train": condition.train}
    encoded = {name: _plan_encode(plan, condition, samples).key for name, samples in real.items()}
    encoded["synthetic"] = add_task(
        plan,
        "encode",
        {"images": synthetic.first(amount), **_encoder(plan)},
        needs=(synthetic.draw.key,),
        where={"draw": synthetic.draw.key},
        label=f"{source} × {amount} · {condition.label}",
        plugin=plan.resolved.encoder,
    ).key
    positions = {
        name: [samples.position(sample) for sample in in_hash_order(samples, count).ids]
        for name, samples in real.items()
    }
    return add_task(
        plan,
        "assess",
        {**encoded, "n": count, "spread": positions},
        needs=tuple(encoded.values()),
        where=encoded,
        label=f"{source} · {condition.label}",
        compute=False,
    )


def _plan_encode(plan: Plan, condition: Condition, samples: SampleSet) -> Task:
    return add_task(
        plan,
        "encode",
        {
            "images": {"set": samples.fingerprint},
            **_encoder(plan),
            **scale_part(condition.scaling, plan.resolved.encoder),
        },
        where={"images": location(condition, samples)},
        label=f"{len(samples)} real images · {condition.label}",
        plugin=plan.resolved.encoder,
    )


def _encoder(plan: Plan) -> dict[str, Any]:
    return {"encoder": plan.resolved.encoder.content(), "weights": plan.resolved.encoder_fingerprint}
