"""Compare synthetic images with real ones, by their features: distances, with interval and floor."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from synthbench.metrics.features import distance_names
from synthbench.metrics.frechet import frechet_distance
from synthbench.metrics.kernel import kernel_distance, kernel_interval
from synthbench.tasks.work import Work


def run(work: Work) -> dict[str, Any]:
    work.stage("load")
    features = {name: _features(work, name) for name in ("synthetic", "test", "train")}
    encoded = work.store.get("encode", work.task.where["synthetic"]).record
    fd, kd = distance_names(encoded["encoder"], encoded.get("variant", ""))
    counts = {name: len(rows) for name, rows in features.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"unequal numbers of images: {counts}")
    work.stage("compare")
    low, high = kernel_interval(features["synthetic"], features["test"], seed=0)
    result = {
        "encoder": encoded["encoder"],
        "metric_fd": fd,
        "metric_kd": kd,
        "fd": frechet_distance(features["synthetic"], features["test"]),
        "kd": kernel_distance(features["synthetic"], features["test"]),
        "kd_low": low,
        "kd_high": high,
        "n": counts["synthetic"],
        "floor_fd": frechet_distance(features["train"], features["test"]),
        "floor_kd": kernel_distance(features["train"], features["test"]),
    }
    (work.folder / "fidelity.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    return {}


def _features(work: Work, name: str) -> np.ndarray:
    folder = work.store.get("encode", work.task.where[name]).folder
    features: np.ndarray = np.load(folder / "features.npy", allow_pickle=False)
    return features
