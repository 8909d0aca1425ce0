"""Train a generator on the training samples, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synthbench.engine.tasks.context import TaskContext, configured
from synthbench.plugin.api import Budget


def run(ctx: TaskContext) -> dict[str, Any]:
    plugin = ctx.task.content["plugin"]
    ctx.stage("load")
    generator = configured(ctx.load("generator", plugin, fits=True), plugin)
    train = ctx.samples("train")
    context = replace(ctx.plugin_context, seed=ctx.task.content["seed"], budget=Budget(**plugin["budget"]))
    ctx.stage("fit")
    generator.fit(train, context)
    ctx.compare(type(generator), "generator", plugin)
    ctx.stage("save")
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
