"""Compare synthetic samples with real ones: images by their features and thumbnails, masks by their shapes."""

from __future__ import annotations

import json
from typing import Any

from synthbench.engine.tasks.context import TaskContext
from synthbench.engine.tasks.encode import load_seen
from synthbench.metrics.comparison import Seen, distances, kernel, masks
from synthbench.metrics.duplicates import NotHeldOut, copies


def run(ctx: TaskContext) -> dict[str, Any]:
    """Compare all images of each set, or equally many where a figure depends on it; look for copies in all of them."""
    ctx.enter_stage("load")
    content = ctx.task.content
    seen = {name: _seen(ctx, name) for name in ("synthetic", "test", "train")}
    encoded, of_test = (ctx.store.get("encode", ctx.task.where[name]).record for name in ("synthetic", "test"))
    synthetic = seen["synthetic"].take(range(content["n"]))
    test, floor = (seen[name].take(content["spread"][name]) for name in ("test", "train"))
    ctx.enter_stage("compare")
    names = encoded["encoder"], encoded.get("variant", "")
    apart = distances(synthetic, test, floor, *names)
    apart["kernel"] = kernel(seen["synthetic"], seen["test"], seen["train"], *names)
    ctx.enter_stage("look for copies")
    try:
        found = copies(seen["synthetic"], seen["test"], seen["train"])
    except NotHeldOut:
        found = None
    result = {
        "n": content["n"],
        "area": {"synthetic": encoded["area"], "test": of_test["area"]},
        "encoder": {"name": encoded["encoder"], "variant": encoded.get("variant", "")},
        **apart,
        "memorisation": found,
        "masks": masks(synthetic, test, floor),
    }
    (ctx.folder / "fidelity.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return {}


def _seen(ctx: TaskContext, name: str) -> Seen:
    return load_seen(ctx.store.get("encode", ctx.task.where[name]).folder)
