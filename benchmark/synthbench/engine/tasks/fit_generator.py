"""Train a generator on the training samples, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synthbench.engine.tasks.context import Work, configured
from synthbench.plugin.api import Budget


def run(work: Work) -> dict[str, Any]:
    plugin = work.task.content["plugin"]
    work.stage("load")
    generator = configured(work.load("generator", plugin, fits=True), plugin)
    train = work.samples("train")
    context = replace(work.context, seed=work.task.content["seed"], budget=Budget(**plugin["budget"]))
    work.stage("fit")
    generator.fit(train, context)
    work.compare(type(generator), "generator", plugin)
    work.stage("save")
    model = work.folder / "model"
    model.mkdir()
    generator.save(model)
    work.keep_log()
    return {
        "task": train.task,
        "classes": list(train.classes),
        "training_samples": len(train),
        "images": sorted({(entry.dtype, entry.channels) for entry in train.entries}),
        "counts": dict(generator.counts),
    }
