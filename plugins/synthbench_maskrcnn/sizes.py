"""What the network takes from the sizes of the training objects: scale, anchors, number of detections, tile overlap.

The size of an object is the square root of its bounding box's area. The rules are this project's.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from synthbench import SampleSet
from synthbench.toolkit.masks.distance import bounding_boxes
from synthbench.types import FloatArray
from synthbench_maskrcnn.config import MaskRCNNConfig

__all__ = ["TILE", "UNMEASURED", "Geometry", "anchor_sizes", "measure", "object_sizes"]

LEVELS = 5
"""Levels of the feature pyramid, with strides of 4, 8, 16, 32 and 64 pixels."""

MEDIAN_SIZE = 24.0
"""Size in pixels that the median object is brought to, within `SCALES`."""

SCALES = (1.0, 4.0)
SMALLEST_ANCHOR = 8.0
RESERVE = 1.5
"""Detections per object of the training image that has most."""

TILE = 512
"""Longest side in pixels of what is detected at once, before it is enlarged."""

SAMPLES = 500
"""Number of training samples that are measured, evenly spread."""


@dataclass(frozen=True)
class Geometry:
    """What follows from the training objects, and is saved with the weights.

    Attributes
    ----------
    scale : float
        Factor by which images are enlarged.
    anchors : tuple of float
        Sides of the anchors in pixels of the enlarged image, one a level.
    detections : int
        Highest number of detections per image or tile.
    overlap : int
        Overlap of tiles in pixels.
    """

    scale: float
    anchors: tuple[float, ...]
    detections: int
    overlap: int

    def extended(self, other: Geometry) -> Geometry:
        """Return the same with enough detections and overlap for another set of objects, too."""
        return replace(
            self,
            detections=max(self.detections, other.detections),
            overlap=max(self.overlap, other.overlap),
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return what `to_json` described."""
        return cls(
            scale=float(content["scale"]),
            anchors=tuple(float(side) for side in content["anchors"]),
            detections=int(content["detections"]),
            overlap=int(content["overlap"]),
        )


UNMEASURED = Geometry(scale=1.0, anchors=(32.0, 64.0, 128.0, 256.0, 512.0), detections=500, overlap=64)
"""Torchvision's anchors, where there are no objects to measure."""


def object_sizes(samples: SampleSet) -> tuple[FloatArray, int, int]:
    """Return the sizes of all objects, the longest side of any, and the highest number of them in one sample."""
    chosen = min(len(samples), SAMPLES)
    sides, most = [], 0
    for position in range(chosen):
        boxes = bounding_boxes(samples[position * len(samples) // chosen].labels)
        most = max(most, len(boxes))
        sides += [[part.stop - part.start for part in box] for _, box in boxes]
    measured = np.array(sides, float).reshape(-1, 2)
    return np.sqrt(measured.prod(axis=1)), int(measured.max(initial=0)), most


def anchor_sizes(sizes: FloatArray) -> tuple[float, ...]:
    """Return one anchor side for each level, the finest first.

    The first is the 10th percentile of the objects' sizes, at least `SMALLEST_ANCHOR`. Each next is twice as large, as
    the strides are, or larger by the factor that brings the last one to the 95th percentile, if that is more.

    Parameters
    ----------
    sizes
        In pixels of the enlarged image; may be empty.
    """
    low, high = np.percentile(sizes, (10, 95)) if sizes.size else (SMALLEST_ANCHOR, SMALLEST_ANCHOR)
    first = max(SMALLEST_ANCHOR, float(low))
    factor = max(2.0, (float(high) / first) ** (1 / (LEVELS - 1)))
    return tuple(round(first * factor**level, 1) for level in range(LEVELS))


def measure(samples: SampleSet, config: MaskRCNNConfig) -> Geometry:
    """Return the geometry for training samples; what the configuration sets stays as it is."""
    sizes, longest, most = object_sizes(samples)
    median = float(np.median(sizes)) if sizes.size else MEDIAN_SIZE
    scale = config.scale or round(float(np.clip(MEDIAN_SIZE / median, *SCALES)), 2)
    return Geometry(
        scale=scale,
        anchors=config.anchor_sizes or anchor_sizes(scale * sizes),
        detections=max(config.detections_per_image, math.ceil(RESERVE * most)),
        overlap=int(np.clip(1.25 * longest, 32, TILE // 2)),
    )
