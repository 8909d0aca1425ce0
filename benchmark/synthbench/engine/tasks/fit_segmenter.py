"""Train a segmenter on the arm's mix, with thresholds tuned on the validation samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synthbench.engine.tasks.context import Work, configured
from synthbench.errors import DataError
from synthbench.plugin.api import Budget, TrainingMix


def run(work: Work) -> dict[str, Any]:
    content = work.task.content
    plugin, synthetic = content["plugin"], content["synthetic"]
    work.stage("load")
    segmenter = configured(work.load("segmenter", plugin, fits=True), plugin)
    drawn = work.drawn(synthetic) if synthetic else None
    mix = TrainingMix(work.samples("train"), drawn, content["share"])
    check_ignored(segmenter, mix, plugin["name"])
    context = replace(work.context, seed=content["seed"], budget=Budget(**plugin["budget"]))
    work.stage("fit")
    segmenter.fit(mix, work.samples("validation"), context)
    work.compare(type(segmenter), "segmenter", plugin)
    work.stage("save")
    model = work.folder / "model"
    model.mkdir()
    segmenter.save(model)
    work.keep_log()
    return {"real": len(mix.real), "synthetic": len(drawn or ())}


def check_ignored(segmenter: Any, mix: TrainingMix, name: str) -> None:
    """Raise `DataError` if a segmenter would take pixels of unknown label, real or drawn, for background."""
    parts = (mix.real, mix.synthetic)
    if any(part is not None and part.ignoring for part in parts) and not segmenter.supports_ignore:
        raise DataError(f"segmenter {name!r} would take ignored pixels for background; leave it out of the study")
