"""From InstanSeg's output to instances, by the library's own decoding."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synthbench import Instances
from synthbench_instanseg.config import InstanSegConfig
from synthbench_instanseg.library import SEED_SCALE, losses

THRESHOLD_GRID: Mapping[str, tuple[float, ...]] = {
    "seed_threshold": (0.5, 0.6, 0.7, 0.8, 0.4, 0.3),
    "mask_threshold": (0.53, 0.45, 0.6, 0.38),
    "peak_distance": (4, 6, 9, 3),
    "overlap_threshold": (0.5, 0.3),
}
"""Thresholds that are tried on validation images, within the ranges of the library's own search."""

DEFAULT_THRESHOLDS = {"seed_threshold": 0.5, "mask_threshold": 0.53, "peak_distance": 4, "overlap_threshold": 0.5}
"""The library's own, kept where nothing beats them."""

KEEP_ALL = -1
"""Smallest size that the library is given: its filter takes rows of instances for others if one has no pixel."""


def seed_map(output: torch.Tensor) -> torch.Tensor:
    """Return how near each pixel is to its instance's centre, ``(height, width)``: about 0 outside, 1 in the centre."""
    return output[-1] / SEED_SCALE + 0.5


def decode(
    method: Any, output: torch.Tensor, config: InstanSegConfig, thresholds: Mapping[str, float]
) -> NDArray[np.int32]:
    """Return the label map ``(height, width)`` of the network's output.

    Parameters
    ----------
    method
        The library's method, on the device of `output`.
    output
        ``(5, height, width)`` float32, sides of at least 16.
    config
        `max_seeds`, `min_size` and `window_size` are used.
    thresholds
        Values of the names in `THRESHOLD_GRID`.
    """
    distance, minimum = int(thresholds["peak_distance"]), float(thresholds["seed_threshold"])
    centres = seed_map(output)
    seeds = losses().torch_peak_local_max(centres, distance, minimum)
    if len(seeds) > config.max_seeds:
        strongest = centres[seeds[:, 0], seeds[:, 1]].argsort(descending=True, stable=True)[: config.max_seeds]
        seeds = seeds[strongest.sort().values]
    if not len(seeds):
        return np.zeros(output.shape[1:], np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's sparse matrices, which the library multiplies, are in beta
        labels = method.postprocessing(
            output,
            mask_threshold=float(thresholds["mask_threshold"]),
            overlap_threshold=float(thresholds["overlap_threshold"]),
            window_size=config.window_size,
            min_size=KEEP_ALL,
            max_seeds=config.max_seeds,
            precomputed_seeds=seeds,
        )[0]
    found = labels.cpu().numpy().astype(np.int32)
    found[np.bincount(found.ravel())[found] <= config.min_size] = 0
    present, numbered = np.unique(found, return_inverse=True)
    decoded: NDArray[np.int32] = numbered.reshape(found.shape).astype(np.int32) + np.int32(present[0] > 0)
    return decoded


def score(labels: NDArray[np.int32], output: torch.Tensor) -> Instances:
    """Return instances whose scores are the highest value of the map of seeds in them, 0 … 1."""
    centres = seed_map(output).clamp(0, 1).cpu().numpy()
    highest = np.zeros(int(labels.max()) + 1)
    np.maximum.at(highest, labels.ravel(), centres.ravel())
    return Instances(labels, highest[1:])
