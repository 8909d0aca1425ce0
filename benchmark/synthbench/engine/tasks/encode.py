"""Look at a set of images once, whatever compares with it: features, thumbnails, and what their masks measure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.engine.tasks.context import CHANGED, TaskContext, configured
from synthbench.errors import StoreError
from synthbench.metrics.comparison import Seen
from synthbench.metrics.mask_realism import MEASURES
from synthbench.metrics.residuals import Traces
from synthbench.plugin.variants import variant_of
from synthbench.samples import MASK


def run(ctx: TaskContext) -> dict[str, Any]:
    content = ctx.task.content
    ctx.enter_stage("load")
    drawn = "drawn" in content["images"]
    images = ctx.open_synthetic(content["images"]) if drawn else ctx.open_real("images")
    encoder = configured(ctx.load_plugin("encoder", content["encoder"]), content["encoder"])
    encoder.prepare(ctx.plugin_context)
    if encoder.fingerprint() != content["weights"]:
        raise StoreError(f"encoder {content['encoder']['name']!r}: its weights {CHANGED}")
    ctx.enter_stage("encode")

    seen = Seen()
    areas = []

    def pixels() -> Iterator[np.ndarray]:
        for done, sample in enumerate(images, 1):
            origin = sample.groups.get(MASK, "") if drawn else ""
            seen.add(sample.id, sample.image, sample.labels, sample.ignore, task=images.task, origin=origin)
            areas.append(sample.image.shape[0] * sample.image.shape[1])
            yield sample.image
            ctx.plugin_context.progress(done, len(images), "")

    features = np.asarray(encoder.encode(pixels()))
    if features.ndim != 2 or len(features) != len(images) or not np.isfinite(features).all():
        raise ValueError(f"the encoder gave features of shape {features.shape} for {len(images)} images, or NaN")
    seen.features = features
    save_seen(seen, ctx.folder)
    return {
        "images": len(images),
        "dimension": features.shape[1],
        "encoder": content["encoder"]["name"],
        "variant": variant_of(encoder),
        "area": float(np.median(areas)),
    }


def save_seen(seen: Seen, folder: Path) -> None:
    """Write what was seen of a set as arrays."""
    np.save(folder / "features.npy", seen.features, allow_pickle=False)
    np.save(folder / "thumbnails.npy", np.stack(seen.small), allow_pickle=False)
    if seen.layouts:
        np.save(folder / "layouts.npy", np.stack(seen.layouts), allow_pickle=False)
        np.save(folder / "textures.npy", np.stack([one.texture for one in seen.traces]), allow_pickle=False)
        np.save(folder / "lights.npy", np.stack([one.light for one in seen.traces]), allow_pickle=False)
        np.save(folder / "objects.npy", np.array([one.objects for one in seen.traces]), allow_pickle=False)
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in seen.names), encoding="utf-8")
    (folder / "origins.txt").write_text("".join(f"{origin}\n" for origin in seen.origins), encoding="utf-8")
    if seen.measures:
        values = {name: np.concatenate([one[name] for one in seen.measures]) for name in MEASURES}
        lengths = {f"{name}.lengths": np.array([len(one[name]) for one in seen.measures]) for name in MEASURES}
        np.savez(folder / "masks.npz", **values, **lengths)


def load_seen(folder: Path) -> Seen:
    """Read what `save_seen` wrote."""
    seen = Seen((folder / "names.txt").read_text(encoding="utf-8").splitlines())
    seen.small = list(np.load(folder / "thumbnails.npy", allow_pickle=False))
    seen.origins = (folder / "origins.txt").read_text(encoding="utf-8").splitlines()
    seen.features = np.load(folder / "features.npy", allow_pickle=False)
    if (folder / "layouts.npy").is_file():
        seen.layouts = list(np.load(folder / "layouts.npy", allow_pickle=False))
        kept = [np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("textures", "lights", "objects")]
        seen.traces = [Traces(texture, light, float(many)) for texture, light, many in zip(*kept, strict=True)]
    if (folder / "masks.npz").is_file():
        with np.load(folder / "masks.npz", allow_pickle=False) as stored:
            parts = {
                name: np.split(stored[name], np.cumsum(stored[f"{name}.lengths"])[:-1].astype(int)) for name in MEASURES
            }
        seen.measures = [{name: parts[name][i] for name in MEASURES} for i in range(len(seen.names))]
    return seen
