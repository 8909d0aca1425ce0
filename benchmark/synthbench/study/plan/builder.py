"""Study → tasks, what each needs, and their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthbench.samples import SampleSet
from synthbench.store import key_of
from synthbench.study.plan.models import Fidelity, LabelConsistency, Plan, Task, TrainingRun
from synthbench.study.provenance import PROTOCOL, compute_settings, core_source, core_versions
from synthbench.study.provenance.plugins import PluginFingerprint
from synthbench.study.resolve import Condition, Resolved, StudyPlugin, amount_of, spread

REAL = "real"
LABEL_CONSISTENCY_IMAGES = 100
"""Synthetic images at most that agreement is measured on: every segmenter seed looks at them, and they cost as much to
segment as test images do."""


def make_plan(resolved: Resolved, device: str = "cpu") -> Plan:
    """Lay out a resolved study as tasks, for one kind of device: ``"cpu"`` or ``"cuda"``."""
    plan = Plan(resolved, compute_settings(device))
    for number, condition in enumerate(resolved.conditions):
        _plan_condition(plan, number, condition)
    return plan


def _plan_condition(plan: Plan, number: int, condition: Condition) -> None:
    study = plan.resolved.study
    amounts = sorted({amount_of(amount, len(condition.train)) for amount in study.synthetic})
    draws = {
        (generator.title, seed): _plan_draw(plan, condition, generator, seed, amounts[-1])
        for generator in plan.resolved.generators
        for seed in range(generator.seeds)
    }
    for segmenter in plan.resolved.segmenters:
        for seed in range(segmenter.seeds):
            for arm in _arms(plan.resolved, amounts):
                fit, evaluate = _plan_segmenter(plan, condition, segmenter, seed, arm, draws)
                draw = draws.get((arm.generator, arm.generator_seed or 0))
                plan.training_runs.append(
                    TrainingRun(
                        condition=number,
                        arm=arm.name,
                        generator=arm.generator,
                        synthetic=arm.synthetic,
                        segmenter=segmenter.title,
                        generator_seed=arm.generator_seed,
                        seed=seed,
                        fit=fit,
                        evaluate=evaluate,
                        draw=draw.draw.key if draw else None,
                        fit_generator=draw.fit.key if draw else None,
                    )
                )
    count = min(len(condition.train), len(condition.test), amounts[-1])
    for (title, seed), drawn in draws.items():
        if count >= 2:
            assess = _plan_assess(plan, condition, f"{title} of seed {seed}", drawn, amounts[-1], count)
            plan.fidelity.append(Fidelity(number, title, seed, count, drawn.draw.key, assess))
            _plan_label_consistency(plan, number, title, seed, drawn, min(count, LABEL_CONSISTENCY_IMAGES))


@dataclass(frozen=True)
class _Arm:
    name: str
    generator: str = ""
    generator_seed: int | None = None
    synthetic: int = 0
    synthetic_ratio: float = 0.0


@dataclass(frozen=True)
class _Drawn:
    fit: Task
    draw: Task
    identity: str


def _arms(resolved: Resolved, amounts: list[int]) -> Iterator[_Arm]:
    yield _Arm(REAL)
    study = resolved.study
    for generator in resolved.generators:
        for seed in range(generator.seeds):
            for amount in amounts:
                yield _Arm(
                    f"{REAL} + {generator.title} × {amount}", generator.title, seed, amount, study.synthetic_ratio
                )
                if study.synthetic_only:
                    yield _Arm(f"{generator.title} × {amount} only", generator.title, seed, amount, 1.0)


def _plan_draw(plan: Plan, condition: Condition, generator: StudyPlugin, seed: int, count: int) -> _Drawn:
    fit = _add(
        plan,
        "fit-generator",
        {
            "plugin": generator.plugin.content(),
            "seed": seed,
            "train": condition.train.fingerprint,
            "core": core_source("train"),
            "compute": plan.compute,
        },
        where={"train": _where(condition, condition.train)},
        label=f"{generator.title} · seed {seed} · {condition.label}",
        plugin=generator.plugin,
    )
    identity = {"generator": fit.key, "seed": seed}
    draw = _add(
        plan,
        "draw",
        {**identity, "count": count, "compute": plan.compute},
        needs=(fit.key,),
        where={"generator": fit.key, "plugin": generator.plugin.name},
        label=f"{generator.title} × {count} · seed {seed} · {condition.label}",
        plugin=generator.plugin,
    )
    return _Drawn(fit, draw, key_of(identity))


def _plan_segmenter(
    plan: Plan,
    condition: Condition,
    segmenter: StudyPlugin,
    seed: int,
    arm: _Arm,
    draws: Mapping[tuple[str, int], _Drawn],
) -> tuple[str, str]:
    drawn = draws[arm.generator, arm.generator_seed or 0] if arm.generator else None
    title = f"{segmenter.title} on {arm.name} · seed {seed} · {condition.label}"
    synthetic = {"drawn": drawn.identity, "take": arm.synthetic} if drawn else None
    real = condition.train if arm.synthetic_ratio < 1 else condition.train[:0]
    fit = _add(
        plan,
        "fit-segmenter",
        {
            "plugin": segmenter.plugin.content(),
            "seed": seed,
            "train": real.fingerprint,
            "validation": condition.validation.fingerprint,
            "synthetic": synthetic,
            "synthetic_ratio": arm.synthetic_ratio,
            "core": core_source("train"),
            "compute": plan.compute,
        },
        needs=(drawn.draw.key,) if drawn else (),
        where={
            "train": _where(condition, real),
            "validation": _where(condition, condition.validation),
            "draw": drawn.draw.key if drawn else None,
        },
        label=title,
        plugin=segmenter.plugin,
    )
    evaluate = _add(
        plan,
        "evaluate",
        {"segmenter": fit.key, "test": condition.test.fingerprint, **_scored(plan)},
        needs=(fit.key,),
        where={"segmenter": fit.key, "plugin": segmenter.plugin.name, "test": _where(condition, condition.test)},
        label=title,
        plugin=segmenter.plugin,
    )
    return fit.key, evaluate.key


def _plan_label_consistency(plan: Plan, number: int, title: str, seed: int, drawn: _Drawn, count: int) -> None:
    """Let each segmenter's trainings on real images alone look at synthetic ones."""
    condition = plan.resolved.conditions[number]
    for segmenter in plan.resolved.segmenters:
        for own in range(segmenter.seeds):
            looks = f"looking at {title} of seed {seed} × {count}"
            fit, _ = _plan_segmenter(plan, condition, segmenter, own, _Arm(REAL), {})
            evaluate = _add(
                plan,
                "evaluate",
                {
                    "segmenter": fit,
                    "synthetic": {"drawn": drawn.identity, "take": count},
                    **_scored(plan),
                },
                needs=(fit, drawn.draw.key),
                where={"segmenter": fit, "plugin": segmenter.plugin.name, "draw": drawn.draw.key},
                label=f"{segmenter.title} on real · seed {own}, {looks} · {condition.label}",
                plugin=segmenter.plugin,
            )
            plan.label_consistency.append(LabelConsistency(number, title, seed, segmenter.title, own, evaluate.key))


def _plan_assess(plan: Plan, condition: Condition, source: str, drawn: _Drawn, amount: int, count: int) -> str:
    """Compare with test images; the floor is what training images reach, at the same count."""
    encoder = plan.resolved.encoder
    real = {"test": condition.test, "train": condition.train}
    looks = {name: _plan_encode(plan, condition, part) for name, part in real.items()}
    looks["synthetic"] = _add(
        plan,
        "encode",
        {
            "images": {"drawn": drawn.identity, "take": amount},
            **_encoded(plan),
        },
        needs=(drawn.draw.key,),
        where={"draw": drawn.draw.key},
        label=f"{source} × {amount} · {condition.label}",
        plugin=encoder,
    ).key
    assess = _add(
        plan,
        "assess",
        {
            **looks,
            "n": count,
            "spread": {name: [part.position(i) for i in spread(part, count).ids] for name, part in real.items()},
            "core": core_source("assess"),
            "versions": core_versions("assess"),
        },
        needs=tuple(looks.values()),
        where=looks,
        label=f"{source} · {condition.label}",
    )
    return assess.key


def _plan_encode(plan: Plan, condition: Condition, samples: SampleSet) -> str:
    encoder = plan.resolved.encoder
    task = _add(
        plan,
        "encode",
        {
            "images": {"set": samples.fingerprint},
            **_encoded(plan),
        },
        where={"images": _where(condition, samples)},
        label=f"{len(samples)} real images · {condition.label}",
        plugin=encoder,
    )
    return task.key


def _scored(plan: Plan) -> dict[str, Any]:
    return {"core": core_source("evaluate"), "versions": core_versions("evaluate"), "compute": plan.compute}


def _encoded(plan: Plan) -> dict[str, Any]:
    return {
        "encoder": plan.resolved.encoder.content(),
        "weights": plan.resolved.encoder_fingerprint,
        "core": core_source("encode"),
        "versions": core_versions("encode"),
        "compute": plan.compute,
    }


def _where(condition: Condition, samples: SampleSet) -> dict[str, Any]:
    return {"folder": str(condition.folder), "ids": list(samples.ids)}


def _add(
    plan: Plan,
    kind: str,
    content: Mapping[str, Any],
    *,
    where: Mapping[str, Any],
    label: str,
    needs: tuple[str, ...] = (),
    plugin: PluginFingerprint | None = None,
) -> Task:
    """Add a task, or return the one with its key that is there."""
    whole = {"kind": kind, "protocol": PROTOCOL, **content}
    key = key_of(whole)
    if key not in plan.tasks:
        plan.tasks[key] = Task(kind, key, whole, needs, where, label, plugin.name if plugin else "")
    return plan.tasks[key]
