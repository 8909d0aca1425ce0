"""Train a segmenter on the arm's mix, with thresholds tuned on the validation samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from synthbench.engine.tasks.context import CHANGED, TaskContext, configured
from synthbench.errors import DataError, StoreError
from synthbench.plugin.api import Budget, Init, TrainingMix
from synthbench.study.inputs import weights_digest

__all__ = ["check_ignored", "open_init", "run"]


def run(ctx: TaskContext) -> dict[str, Any]:
    content = ctx.task.content
    plugin, synthetic = content["plugin"], content["synthetic"]
    ctx.enter_stage("load")
    segmenter = configured(ctx.load_plugin("segmenter", plugin, fits=True), ctx.settings(plugin))
    drawn = ctx.open_synthetic(synthetic) if synthetic else None
    mix = TrainingMix(ctx.open_real("train"), drawn, content["synthetic_ratio"], content.get("schedule", "mix"))
    check_ignored(segmenter, mix, plugin["name"])
    start = open_init(ctx)
    context = replace(ctx.plugin_context, seed=content["seed"], budget=Budget(**plugin["budget"]), init=start)
    ctx.enter_stage("fit")
    generator = ctx.load_plugin("generator", content["joint"], fits=True) if content["joint"] else None
    if generator is not None:
        drawing = configured(generator, content["joint"])
        context = replace(context, partner=drawing.partner(mix.real, replace(context, init=None)))
    segmenter.fit(mix, ctx.open_real("validation"), context)
    if generator is not None:
        ctx.check_plugin(generator, "generator", content["joint"])
    ctx.check_plugin(type(segmenter), "segmenter", plugin)
    open_init(ctx)
    ctx.enter_stage("save")
    model = ctx.folder / "model"
    model.mkdir()
    segmenter.save(model)
    ctx.keep_log()
    return {
        "real": len(mix.real),
        "synthetic": len(drawn or ()),
        "task": mix.task,
        "classes": list(mix.classes),
        "images": sorted({(entry.dtype, entry.channels) for entry in mix.reference.entries}),
    }


def open_init(ctx: TaskContext) -> Init | None:
    """Return what the segmenter starts from; raise `StoreError` if it isn't what the key says."""
    planned = ctx.task.content["init"]
    if planned is None:
        return None
    if "segmenter" in planned:
        return Init(model=ctx.store.get("fit-segmenter", planned["segmenter"]).folder / "model")
    file = Path(ctx.task.where["init"])
    if weights_digest(file) != planned["file"]:
        raise StoreError(f"{file}: {CHANGED}")
    return Init(file=file)


def check_ignored(segmenter: Any, mix: TrainingMix, name: str) -> None:
    """Raise `DataError` if a segmenter would take pixels of unknown label, real or drawn, for background."""
    parts = (mix.real, mix.synthetic)
    if any(part is not None and part.has_ignored for part in parts) and not segmenter.supports_ignore:
        raise DataError(f"segmenter {name!r} would take ignored pixels for background; leave it out of the study")
