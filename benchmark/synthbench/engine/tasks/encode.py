"""Encode a set of images once for all comparisons: features, thumbnails, residuals and measures of masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthbench.engine.tasks.context import CHANGED, TaskContext, configured
from synthbench.errors import StoreError
from synthbench.metrics.feature_set import FeatureSet, ImageToEncode, extract_features
from synthbench.metrics.mask_realism import MEASURES
from synthbench.metrics.residuals import Residuals
from synthbench.plugin.variants import variant_of
from synthbench.samples import MASK

__all__ = ["load_features", "run", "save_features"]


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

    areas: list[int] = []

    def samples() -> Iterator[ImageToEncode]:
        for sample in images:
            areas.append(sample.image.shape[0] * sample.image.shape[1])
            origin = sample.groups.get(MASK, "") if drawn else ""
            yield ImageToEncode(sample.id, sample.image, sample.labels, sample.ignore, images.task, origin)

    feature_set = extract_features(encoder.encode, samples(), len(images), ctx.plugin_context.progress)
    save_features(feature_set, ctx.folder)
    return {
        "images": len(images),
        "dimension": feature_set.features.shape[1],
        "encoder": content["encoder"]["name"],
        "variant": variant_of(encoder),
        "area": float(np.median(areas)),
    }


def save_features(features: FeatureSet, folder: Path) -> None:
    """Write a feature set as arrays."""
    np.save(folder / "features.npy", features.features, allow_pickle=False)
    np.save(folder / "thumbnails.npy", np.stack(features.image_thumbnails), allow_pickle=False)
    if features.mask_thumbnails:
        arrays = {
            "mask_thumbnails": np.stack(features.mask_thumbnails),
            "textures": np.stack([one.texture for one in features.residuals]),
            "brightness": np.stack([one.brightness for one in features.residuals]),
            "effective_objects": np.array([one.effective_objects for one in features.residuals]),
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in features.names), encoding="utf-8")
    (folder / "origins.txt").write_text("".join(f"{origin}\n" for origin in features.mask_origins), encoding="utf-8")
    if measures := features.mask_measures:
        values = {name: np.concatenate([one[name] for one in measures]) for name in MEASURES}
        lengths = {f"{name}.lengths": np.array([len(one[name]) for one in measures]) for name in MEASURES}
        np.savez(folder / "masks.npz", **values, **lengths)


def load_features(folder: Path) -> FeatureSet:
    """Read what `save_features` wrote."""

    def array(name: str) -> NDArray[Any]:
        loaded: NDArray[Any] = np.load(folder / f"{name}.npy", allow_pickle=False)
        return loaded

    features = FeatureSet((folder / "names.txt").read_text(encoding="utf-8").splitlines())
    features.image_thumbnails = list(array("thumbnails"))
    features.mask_origins = (folder / "origins.txt").read_text(encoding="utf-8").splitlines()
    features.features = array("features")
    if (folder / "mask_thumbnails.npy").is_file():
        features.mask_thumbnails = list(array("mask_thumbnails"))
        rows = zip(array("textures"), array("brightness"), array("effective_objects"), strict=True)
        features.residuals = [Residuals(texture, brightness, float(objects)) for texture, brightness, objects in rows]
    if (folder / "masks.npz").is_file():
        with np.load(folder / "masks.npz", allow_pickle=False) as stored:
            parts = {
                name: np.split(stored[name], np.cumsum(stored[f"{name}.lengths"])[:-1].astype(int)) for name in MEASURES
            }
        features.mask_measures = [{name: parts[name][i] for name in MEASURES} for i in range(len(features.names))]
    return features
