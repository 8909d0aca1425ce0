"""Draw a fixed-seed synthetic set from a trained generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from synthbench.engine.tasks.context import TaskContext
from synthbench.errors import DataError
from synthbench.plugin.api import Budget
from synthbench.samples import MASK, ORIGINS, Sample, SampleSet, channel_count
from synthbench.study.scaling import scale_sample

__all__ = ["check_image", "check_origin", "run"]


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
                check_image(sample, fitted.record["images"], where["plugin"])
                check_origin(sample, where["plugin"])
                scaled = scale_sample(sample, ctx.scale)
                empty.append(not scaled.labels.any())
                ctx.plugin_context.progress(index + 1, count, "")
                yield scaled

    samples = SampleSet.write(
        ctx.folder / "samples",
        drawn(),
        name=where["plugin"],
        task=fitted.record["task"],
        classes=fitted.record["classes"],
    )
    counts = {**fitted.record["counts"], **generator.counts, "empty": sum(empty)}
    return {"samples": len(samples), "fingerprint": samples.fingerprint, "counts": counts}


def check_origin(sample: Sample, plugin: str) -> None:
    """Raise `DataError` if the group `mask` of a sample is no known origin of a mask."""
    origin = sample.groups.get(MASK, "")
    if origin and origin not in ORIGINS:
        raise DataError(
            f"generator {plugin!r}: sample {sample.id!r} has the group {MASK}: {origin!r}, the origin of its mask; "
            f"expected {', '.join(ORIGINS[:-1])} or {ORIGINS[-1]}, or no such group"
        )


def check_image(sample: Sample, images: Sequence[tuple[str, int]], plugin: str) -> None:
    """Raise `DataError` if an image hasn't the dtype and channels of a training image."""
    dtype, channels = sample.image.dtype.name, channel_count(sample.image)
    if [dtype, channels] not in [list(known) for known in images]:
        trained = " and ".join(f"{name} with {planes}" for name, planes in images)
        raise DataError(
            f"generator {plugin!r}: sample {sample.id!r} is {dtype} with {channels} channel(s), and the training "
            f"images are {trained}; the plugin must return images like those it was trained on"
        )
