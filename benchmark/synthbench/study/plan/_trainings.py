"""The tasks of an arm: a generator and its samples, a segmenter and its scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from synthbench.plugin.api import Schedule
from synthbench.samples import SampleSet
from synthbench.store import key_of
from synthbench.study.model import Study
from synthbench.study.plan._models import Plan, Task
from synthbench.study.plan._tasks import add_task, location, scale_part
from synthbench.study.provenance.plugins import PluginFingerprint
from synthbench.study.resolve import Condition, Scaling, StudyPlugin

__all__ = ["Arm", "REAL", "SyntheticSet", "plan_draw", "plan_test", "plan_training", "synthetic_arms"]

REAL = "real"
"""Name of the arm without synthetic images."""


@dataclass(frozen=True)
class Arm:
    """What a segmenter is trained on beside real images; the defaults are those of the arm without synthetic ones."""

    name: str
    generator: str = ""
    generator_seed: int | None = None
    synthetic: int = 0
    synthetic_ratio: float = 0.0
    schedule: Schedule = "mix"
    joint: PluginFingerprint | None = None


def synthetic_arms(study: Study, generator: str, amounts: Iterable[int]) -> Iterator[Arm]:
    """Yield the arms of a generator that isn't trained together with segmenters, without generator seeds."""
    ways = list(product(study.synthetic_ratio, study.schedule))
    for amount in amounts:
        name = f"{generator} × {amount}"
        for ratio, schedule in ways:
            several = [f"{100 * ratio:g} %"] * (len(study.synthetic_ratio) > 1)
            several += [schedule] * (len(study.schedule) > 1)
            how = f" ({', '.join(several)})" if several else ""
            yield Arm(f"{REAL} + {name}{how}", generator, None, amount, ratio, schedule)
        if study.synthetic_only:
            yield Arm(f"{name} only", generator, None, amount, 1.0)


@dataclass(frozen=True)
class SyntheticSet:
    """The tasks that fit a generator and draw from it.

    Attributes
    ----------
    fit, draw : Task
    identity : str
        Stands for the samples in keys, whatever their number.
    """

    fit: Task
    draw: Task
    identity: str

    def first(self, count: int) -> dict[str, Any]:
        """Return the part of a key that stands for the first `count` samples."""
        return {"drawn": self.identity, "take": count}


def plan_draw(plan: Plan, condition: Condition, generator: StudyPlugin, seed: int, count: int) -> SyntheticSet:
    """Fit a generator, and draw samples."""
    unlabelled = condition.unlabelled.samples if generator.plugin.uses_unlabelled else None
    fit = add_task(
        plan,
        "fit-generator",
        {
            "plugin": generator.plugin.content(),
            "seed": seed,
            "train": condition.train.fingerprint,
            **({"unlabelled": unlabelled.fingerprint} if unlabelled is not None else {}),
            **scale_part(condition.scaling, generator.plugin),
        },
        where={
            "train": location(condition, condition.train),
            **({"unlabelled": location(condition, unlabelled)} if unlabelled is not None else {}),
            "locations": dict(generator.plugin.locations),
        },
        label=f"{generator.title} · seed {seed} · {condition.label}",
        plugin=generator.plugin,
    )
    identity = {"generator": fit.key, "seed": seed}
    exists = (condition.dataset, generator.title) in plan.resolved.existing
    draw = add_task(
        plan,
        "draw",
        {**identity, "count": count, **(scale_part(condition.scaling, generator.plugin) if exists else {})},
        needs=(fit.key,),
        where={"generator": fit.key, "plugin": generator.plugin.name},
        label=f"{generator.title} × {count} · seed {seed} · {condition.label}",
        plugin=generator.plugin,
    )
    return SyntheticSet(fit, draw, key_of(identity))


def plan_training(
    plan: Plan, condition: Condition, segmenter: StudyPlugin, seed: int, arm: Arm, synthetic: SyntheticSet | None
) -> tuple[Task, Task]:
    """Train a segmenter in one arm, and evaluate it on the condition's test images."""
    label = f"{segmenter.title} on {arm.name} · seed {seed} · {condition.label}"
    start, before = _plan_start(plan, condition, segmenter, seed)
    real = condition.train if arm.synthetic_ratio < 1 else condition.train[:0]
    fit = add_task(
        plan,
        "fit-segmenter",
        {
            "plugin": segmenter.plugin.content(),
            "seed": seed,
            "train": real.fingerprint,
            "validation": condition.validation.fingerprint,
            "synthetic": synthetic.first(arm.synthetic) if synthetic else None,
            "synthetic_ratio": arm.synthetic_ratio,
            **({"schedule": arm.schedule} if arm.schedule != "mix" else {}),
            "init": start,
            "joint": arm.joint.content() if arm.joint else None,
            **scale_part(condition.scaling, segmenter.plugin),
        },
        needs=(*before, *((synthetic.draw.key,) if synthetic else ())),
        where={
            "init": str(segmenter.init.file) if segmenter.init and segmenter.init.file else None,
            "train": location(condition, real),
            "validation": location(condition, condition.validation),
            "draw": synthetic.draw.key if synthetic else None,
            "locations": dict(segmenter.plugin.locations),
        },
        label=label,
        plugin=segmenter.plugin,
    )
    evaluate = plan_test(plan, segmenter, fit, condition.test, location(condition, condition.test))
    return fit, evaluate


def plan_test(
    plan: Plan, segmenter: StudyPlugin, fit: Task, test: SampleSet, where: Mapping[str, Any], on: str = ""
) -> Task:
    """Evaluate a trained segmenter on test images; `on` names their dataset, where it is another one."""
    return add_task(
        plan,
        "evaluate",
        {"segmenter": fit.key, "test": test.fingerprint, **_scale_of(fit)},
        needs=(fit.key,),
        where={"segmenter": fit.key, "plugin": segmenter.plugin.name, "test": where},
        label=f"{fit.label} · tested on {on}" if on else fit.label,
        plugin=segmenter.plugin,
    )


def _scale_of(fit: Task) -> dict[str, Any]:
    """Return the part of the key of a training that says how images are scaled: test images are scaled likewise."""
    return {"scale": fit.content["scale"]} if "scale" in fit.content else {}


def _plan_start(
    plan: Plan, condition: Condition, segmenter: StudyPlugin, seed: int
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Return the part of a key that stands for what a segmenter starts from, and the tasks that make it."""
    init = segmenter.init
    if init is None:
        return None, ()
    if init.pretraining is None:
        return {"file": init.digest}, ()
    before = init.pretraining
    places = {
        name: {"folder": str(before.folder), "ids": list(samples.ids)}
        for name, samples in (("train", before.train), ("validation", before.validation))
    }
    fit = add_task(
        plan,
        "fit-segmenter",
        {
            "plugin": before.plugin.content(),
            "seed": seed,
            "train": before.train.fingerprint,
            "validation": before.validation.fingerprint,
            "synthetic": None,
            "synthetic_ratio": 0.0,
            "init": None,
            "joint": None,
            **scale_part(condition.init_scalings.get(segmenter.title, Scaling()), before.plugin),
        },
        where={**places, "draw": None, "init": None, "locations": dict(before.plugin.locations)},
        label=f"{before.plugin.name} on {before.dataset}, to start from · seed {seed}",
        plugin=before.plugin,
    )
    return {"segmenter": fit.key}, (fit.key,)
