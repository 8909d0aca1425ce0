"""A resolved study as tasks: what each needs, and its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthbench.samples import SampleSet
from synthbench.store import key_of
from synthbench.study.plan._models import SCRATCH, Fidelity, LabelConsistency, Plan, Task, TrainingRun
from synthbench.study.provenance import compute_settings, task_content
from synthbench.study.provenance.plugins import PluginFingerprint
from synthbench.study.resolve import Condition, Resolved, StudyPlugin, amount_of, in_hash_order

__all__ = ["LABEL_CONSISTENCY_IMAGES", "REAL", "make_plan"]

REAL = "real"
"""Name of the arm without synthetic images."""

LABEL_CONSISTENCY_IMAGES = 100
"""Synthetic images at most that label consistency is measured on: they are segmented by every seed of every segmenter,
and cost as much as test images do."""


def make_plan(resolved: Resolved, device: str = "cpu") -> Plan:
    """Lay out a resolved study as tasks.

    Parameters
    ----------
    resolved
    device
        The kind of device that all tasks compute on, ``"cpu"`` or ``"cuda"``.
    """
    plan = Plan(resolved, compute_settings(device))
    for number, condition in enumerate(resolved.conditions):
        _plan_condition(plan, number, condition)
    return plan


@dataclass(frozen=True)
class _Arm:
    name: str
    generator: str = ""
    generator_seed: int | None = None
    synthetic: int = 0
    synthetic_ratio: float = 0.0
    joint: PluginFingerprint | None = None


@dataclass(frozen=True)
class _SyntheticSet:
    fit: Task
    draw: Task
    identity: str

    def first(self, count: int) -> dict[str, Any]:
        """Return the part of a key that stands for the first `count` samples."""
        return {"drawn": self.identity, "take": count}


def _plan_condition(plan: Plan, number: int, condition: Condition) -> None:
    study = plan.resolved.study
    amounts = sorted({amount_of(amount, len(condition.train)) for amount in study.synthetic})
    synthetic_sets = {
        (generator.title, seed): _plan_draw(plan, condition, generator, seed, amounts[-1])
        for generator in plan.resolved.generators
        for seed in range(generator.seeds)
    }
    for segmenter in plan.resolved.segmenters:
        for seed in range(segmenter.seeds):
            for arm in _arms(plan.resolved, segmenter, amounts):
                draws = arm.generator and arm.joint is None
                synthetic = synthetic_sets[arm.generator, arm.generator_seed or 0] if draws else None
                fit, evaluate = _plan_training(plan, condition, segmenter, seed, arm, synthetic)
                plan.training_runs.append(
                    TrainingRun(
                        condition=number,
                        arm=arm.name,
                        generator=arm.generator,
                        synthetic=arm.synthetic,
                        segmenter=segmenter.title,
                        generator_seed=arm.generator_seed,
                        seed=seed,
                        fit=fit.key,
                        evaluate=evaluate.key,
                        draw=synthetic.draw.key if synthetic else None,
                        fit_generator=synthetic.fit.key if synthetic else None,
                        init=segmenter.init.title if segmenter.init else SCRATCH,
                        weights_seen=segmenter.init.seen(condition) if segmenter.init else "",
                        generator_seen=_seen(plan, condition, arm.generator),
                    )
                )
    count = min(len(condition.train), len(condition.test), amounts[-1])
    if count < 2:
        return
    for (title, seed), synthetic in synthetic_sets.items():
        assess = _plan_assess(plan, condition, f"{title} of seed {seed}", synthetic, amounts[-1], count)
        plan.fidelity.append(Fidelity(number, title, seed, count, synthetic.draw.key, assess.key))
        _plan_label_consistency(plan, number, title, seed, synthetic, min(count, LABEL_CONSISTENCY_IMAGES))


def _seen(plan: Plan, condition: Condition, generator: str) -> str:
    """Return what the maker of existing samples has seen; an empty string where a generator is fitted."""
    found = plan.resolved.existing.get((condition.dataset, generator))
    return found.more_seen(condition.train) if found else ""


def _arms(resolved: Resolved, segmenter: StudyPlugin, amounts: list[int]) -> Iterator[_Arm]:
    yield _Arm(REAL)
    study = resolved.study
    if not segmenter.is_trained:
        return
    for joint in resolved.joint:
        if segmenter.title in joint.plugins:
            yield _Arm(f"{REAL} + {joint.title}", joint.title, joint=joint.plugins[segmenter.title])
    for generator in resolved.generators:
        for seed in range(generator.seeds):
            for amount in amounts:
                name = f"{generator.title} × {amount}"
                yield _Arm(f"{REAL} + {name}", generator.title, seed, amount, study.synthetic_ratio)
                if study.synthetic_only:
                    yield _Arm(f"{name} only", generator.title, seed, amount, 1.0)


def _plan_draw(plan: Plan, condition: Condition, generator: StudyPlugin, seed: int, count: int) -> _SyntheticSet:
    unlabelled = condition.unlabelled.samples if generator.plugin.uses_unlabelled else None
    fit = _add(
        plan,
        "fit-generator",
        {
            "plugin": generator.plugin.content(),
            "seed": seed,
            "train": condition.train.fingerprint,
            **({"unlabelled": unlabelled.fingerprint} if unlabelled is not None else {}),
        },
        where={
            "train": _location(condition, condition.train),
            **({"unlabelled": _location(condition, unlabelled)} if unlabelled is not None else {}),
            "locations": dict(generator.plugin.locations),
        },
        label=f"{generator.title} · seed {seed} · {condition.label}",
        plugin=generator.plugin,
    )
    identity = {"generator": fit.key, "seed": seed}
    draw = _add(
        plan,
        "draw",
        {**identity, "count": count},
        needs=(fit.key,),
        where={"generator": fit.key, "plugin": generator.plugin.name},
        label=f"{generator.title} × {count} · seed {seed} · {condition.label}",
        plugin=generator.plugin,
    )
    return _SyntheticSet(fit, draw, key_of(identity))


def _plan_training(
    plan: Plan, condition: Condition, segmenter: StudyPlugin, seed: int, arm: _Arm, synthetic: _SyntheticSet | None
) -> tuple[Task, Task]:
    """Train a segmenter in one arm, and evaluate it on the test images."""
    label = f"{segmenter.title} on {arm.name} · seed {seed} · {condition.label}"
    start, before = _plan_start(plan, segmenter, seed)
    real = condition.train if arm.synthetic_ratio < 1 else condition.train[:0]
    fit = _add(
        plan,
        "fit-segmenter",
        {
            "plugin": segmenter.plugin.content(),
            "seed": seed,
            "train": real.fingerprint,
            "validation": condition.validation.fingerprint,
            "synthetic": synthetic.first(arm.synthetic) if synthetic else None,
            "synthetic_ratio": arm.synthetic_ratio,
            "init": start,
            "joint": arm.joint.content() if arm.joint else None,
        },
        needs=(*before, *((synthetic.draw.key,) if synthetic else ())),
        where={
            "init": str(segmenter.init.file) if segmenter.init and segmenter.init.file else None,
            "train": _location(condition, real),
            "validation": _location(condition, condition.validation),
            "draw": synthetic.draw.key if synthetic else None,
            "locations": dict(segmenter.plugin.locations),
        },
        label=label,
        plugin=segmenter.plugin,
    )
    evaluate = _add(
        plan,
        "evaluate",
        {"segmenter": fit.key, "test": condition.test.fingerprint},
        needs=(fit.key,),
        where={
            "segmenter": fit.key,
            "plugin": segmenter.plugin.name,
            "test": _location(condition, condition.test),
        },
        label=label,
        plugin=segmenter.plugin,
    )
    return fit, evaluate


def _plan_start(plan: Plan, segmenter: StudyPlugin, seed: int) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
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
    fit = _add(
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
        },
        where={**places, "draw": None, "init": None, "locations": dict(before.plugin.locations)},
        label=f"{before.plugin.name} on {before.dataset}, to start from · seed {seed}",
        plugin=before.plugin,
    )
    return {"segmenter": fit.key}, (fit.key,)


def _plan_label_consistency(
    plan: Plan, number: int, title: str, generator_seed: int, synthetic: _SyntheticSet, count: int
) -> None:
    """Let the segmenters that were trained on real images alone segment synthetic ones."""
    condition = plan.resolved.conditions[number]
    for segmenter in plan.resolved.segmenters:
        for seed in range(segmenter.seeds):
            fit, _ = _plan_training(plan, condition, segmenter, seed, _Arm(REAL), None)
            source = f"{title}, generator seed {generator_seed}"
            evaluate = _add(
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


def _plan_assess(
    plan: Plan, condition: Condition, source: str, synthetic: _SyntheticSet, amount: int, count: int
) -> Task:
    """Compare synthetic images with test images; training images, at the same count, are the real-vs-real baseline."""
    real = {"test": condition.test, "train": condition.train}
    encoded = {name: _plan_encode(plan, condition, samples).key for name, samples in real.items()}
    encoded["synthetic"] = _add(
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
    return _add(
        plan,
        "assess",
        {**encoded, "n": count, "spread": positions},
        needs=tuple(encoded.values()),
        where=encoded,
        label=f"{source} · {condition.label}",
        compute=False,
    )


def _plan_encode(plan: Plan, condition: Condition, samples: SampleSet) -> Task:
    return _add(
        plan,
        "encode",
        {"images": {"set": samples.fingerprint}, **_encoder(plan)},
        where={"images": _location(condition, samples)},
        label=f"{len(samples)} real images · {condition.label}",
        plugin=plan.resolved.encoder,
    )


def _encoder(plan: Plan) -> dict[str, Any]:
    return {"encoder": plan.resolved.encoder.content(), "weights": plan.resolved.encoder_fingerprint}


def _location(condition: Condition, samples: SampleSet) -> dict[str, Any]:
    return {"folder": str(condition.folder), "ids": list(samples.ids)}


def _add(
    plan: Plan,
    kind: str,
    inputs: Mapping[str, Any],
    *,
    where: Mapping[str, Any],
    label: str,
    needs: tuple[str, ...] = (),
    plugin: PluginFingerprint | None = None,
    compute: bool = True,
) -> Task:
    """Add a task, or return the one with its key that is there.

    Parameters
    ----------
    plan, kind
    inputs
        What the task reads, and its plugin: the part of its key that differs from task to task.
    where, label, needs
        See `Task`.
    plugin
        The plugin that does the work.
    compute
        Whether the result depends on the device.
    """
    code = plugin.code[kind] if plugin else None
    content = task_content(kind, inputs, plan.compute if compute else None, code)
    key = key_of(content)
    if key not in plan.tasks:
        name, environment = (plugin.name, plugin.environment) if plugin else ("", "")
        plan.tasks[key] = Task(kind, key, content, needs, where, label, name, environment)
    return plan.tasks[key]
