"""Compare synthetic samples with real ones: images by features and thumbnails, masks by the shapes of objects."""

from __future__ import annotations

import json
from typing import Any

from synthbench.engine.tasks.context import TaskContext
from synthbench.engine.tasks.encode import load_features
from synthbench.metrics.comparison import compare_features, compare_kernel, compare_mask_shapes
from synthbench.metrics.duplicates import TooFewHeldOut, find_duplicates

__all__ = ["run"]


def run(ctx: TaskContext) -> dict[str, Any]:
    """Write ``fidelity.json``.

    Figures that depend on the number of images are computed from equally many of each set, all others from all images.
    """
    ctx.enter_stage("load")
    content = ctx.task.content
    artifacts = {name: ctx.store.get("encode", ctx.task.where[name]) for name in ("synthetic", "test", "train")}
    every = {name: load_features(artifact.folder) for name, artifact in artifacts.items()}
    encoded = artifacts["synthetic"].record
    synthetic = every["synthetic"].take(range(content["n"]))
    test, train = (every[name].take(content["spread"][name]) for name in ("test", "train"))
    ctx.enter_stage("compare")
    names = encoded["encoder"], encoded.get("variant", "")
    distances = compare_features(synthetic, test, train, *names)
    distances["kernel"] = compare_kernel(every["synthetic"], every["test"], every["train"], *names)
    ctx.enter_stage("search for duplicates")
    try:
        memorisation = find_duplicates(every["synthetic"], every["test"], every["train"])
    except TooFewHeldOut:
        memorisation = None
    result = {
        "n": content["n"],
        "area": {"synthetic": encoded["area"], "test": artifacts["test"].record["area"]},
        "encoder": {"name": encoded["encoder"], "variant": encoded.get("variant", "")},
        **distances,
        "memorisation": memorisation,
        "masks": compare_mask_shapes(synthetic, test, train),
    }
    (ctx.folder / "fidelity.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return {}
