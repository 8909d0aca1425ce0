"""Train a generator on the training samples, and on images without labels if it asks for them; on nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synthbench.engine.tasks.context import TaskContext, configured
from synthbench.plugin.api import Budget

__all__ = ["run"]


def run(ctx: TaskContext) -> dict[str, Any]:
    plugin = ctx.task.content["plugin"]
    ctx.enter_stage("load")
    generator = configured(ctx.load_plugin("generator", plugin, fits=True), ctx.settings(plugin))
    train = ctx.open_real("train")
    context = replace(
        ctx.plugin_context,
        seed=ctx.task.content["seed"],
        budget=Budget(**plugin["budget"]),
        unlabelled=ctx.open_real("unlabelled") if "unlabelled" in ctx.task.content else None,
    )
    ctx.enter_stage("fit")
    generator.fit(train, context)
    ctx.check_plugin(type(generator), "generator", plugin)
    ctx.enter_stage("save")
    model = ctx.folder / "model"
    model.mkdir()
    generator.save(model)
    ctx.keep_log()
    return {
        "task": train.task,
        "classes": list(train.classes),
        "training_samples": len(train),
        "images": sorted({(entry.dtype, entry.channels) for entry in train.entries}),
        "counts": dict(generator.counts),
    }
