"""Map a set of images to features, once per encoder, whatever compares with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from synthbench.plugin.variants import variant_of
from synthbench.tasks.work import Work, configured


def run(work: Work) -> dict[str, Any]:
    content = work.task.content
    work.stage("load")
    images = work.drawn(content["images"]["take"]) if "drawn" in content["images"] else work.samples("images")
    encoder = configured(work.load("encoder", content["encoder"]["name"]), content["encoder"])
    encoder.prepare(work.context)
    work.stage("encode")

    def pixels() -> Any:
        for done, sample in enumerate(images, 1):
            yield sample.image
            work.context.progress(done, len(images), "")

    features = np.asarray(encoder.encode(pixels()))
    if features.ndim != 2 or len(features) != len(images) or not np.isfinite(features).all():
        raise ValueError(f"the encoder gave features of shape {features.shape} for {len(images)} images, or NaN")
    np.save(work.folder / "features.npy", features, allow_pickle=False)
    return {
        "images": len(images),
        "dimension": features.shape[1],
        "encoder": content["encoder"]["name"],
        "variant": variant_of(encoder),
    }
