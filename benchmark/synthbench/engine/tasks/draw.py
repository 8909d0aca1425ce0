"""Draw a fixed-seed synthetic set from a trained generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from synthbench.engine.tasks.context import TaskContext
from synthbench.errors import DataError
from synthbench.plugin.api import Budget
from synthbench.samples import MASK, ORIGINS, Sample, SampleSet


def run(ctx: TaskContext) -> dict[str, Any]:
    content, where = ctx.task.content, ctx.task.where
    ctx.enter_stage("load")
    fitted = ctx.store.get("fit-generator", where["generator"])
    fit = fitted.record["content"]
    context = replace(ctx.plugin_context, seed=content["seed"], budget=Budget(**fit["plugin"]["budget"]))
    generator = ctx.load_plugin("generator", fit["plugin"]).load(fitted.folder / "model", context)
    ctx.enter_stage("draw")
    count, empty = content["count"], []

    def drawn() -> Iterator[Sample]:
        for first in range(0, count, generator.sample_batch_size):
            indices = range(first, min(first + generator.sample_batch_size, count))
            batch = generator.sample_batch(indices, content["seed"])
            if len(batch) != len(indices):
                raise DataError(f"generator {where['plugin']!r} drew {len(batch)} samples, asked for {len(indices)}")
            for index, sample in zip(indices, batch, strict=True):
                _check_image(sample, fitted.record["images"], where["plugin"])
                _check_origin(sample, where["plugin"])
                empty.append(not sample.labels.any())
                ctx.plugin_context.progress(index + 1, count, "")
                yield sample

    samples = SampleSet.write(
        ctx.folder / "samples",
        drawn(),
        name=where["plugin"],
        task=fitted.record["task"],
        classes=fitted.record["classes"],
    )
    counts = {**fitted.record["counts"], **generator.counts, "empty": sum(empty)}
    return {"samples": len(samples), "fingerprint": samples.fingerprint, "counts": counts}


def _check_origin(sample: Sample, plugin: str) -> None:
    """Raise `DataError` if a sample says something else of its mask than where it comes from."""
    origin = sample.groups.get(MASK, "")
    if origin and origin not in ORIGINS:
        raise DataError(
            f"generator {plugin!r}: sample {sample.id!r} has the group {MASK}: {origin!r}, which says where its mask "
            f"comes from; give {', '.join(ORIGINS[:-1])} or {ORIGINS[-1]}, or leave it out"
        )


def _check_image(sample: Sample, images: Sequence[tuple[str, int]], plugin: str) -> None:
    """Raise `DataError` if an image hasn't the dtype and channels of training images: its values mean another light."""
    dtype, channels = sample.image.dtype.name, sample.image.shape[2] if sample.image.ndim == 3 else 1
    if [dtype, channels] not in [list(known) for known in images]:
        trained = " and ".join(f"{name} with {planes}" for name, planes in images)
        raise DataError(
            f"generator {plugin!r}: sample {sample.id!r} is {dtype} with {channels} channel(s), and the training "
            f"images are {trained}; the plugin must draw what it was trained on"
        )
