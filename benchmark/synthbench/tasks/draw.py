"""Draw a fixed-seed synthetic set from a trained generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from synthbench.errors import DataError
from synthbench.plugin.api import Budget
from synthbench.samples import Sample, SampleSet
from synthbench.tasks.work import Work


def run(work: Work) -> dict[str, Any]:
    content, where = work.task.content, work.task.where
    work.stage("load")
    fitted = work.store.get("fit-generator", where["generator"])
    fit = fitted.record["content"]
    context = replace(work.context, seed=content["seed"], budget=Budget(**fit["plugin"]["budget"]))
    generator = work.load("generator", where["plugin"]).load(fitted.folder / "model", context)
    work.stage("draw")
    count = content["count"]

    def drawn() -> Iterator[Sample]:
        given = 0
        for sample in generator.draw(range(count), content["seed"]):
            given += 1
            work.context.progress(given, count, "")
            yield sample
        if given != count:
            raise DataError(f"generator {where['plugin']!r} drew {given} samples, asked for {count}")

    samples = SampleSet.write(
        work.folder / "samples",
        drawn(),
        name=where["plugin"],
        task=fitted.record["task"],
        classes=fitted.record["classes"],
    )
    counts = {**fitted.record["counts"], **generator.counts}
    return {"samples": len(samples), "fingerprint": samples.fingerprint, "counts": counts}
