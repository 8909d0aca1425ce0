"""Small pictures of discs."""

from __future__ import annotations

import numpy as np

from synthbench.samples import Sample


def blobs(seed: int, size: int = 64, count: int = 6, *, rgb: bool = False, dtype: str = "uint8") -> Sample:
    """A picture of `count` bright discs, some of them touching, with their label map."""
    rng = np.random.default_rng((20, seed))
    yy, xx = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint16)
    for label in range(1, count + 1):
        y, x, radius = *rng.uniform(6, size - 6, 2), rng.uniform(4, 8)
        labels[((yy - y) ** 2 + (xx - x) ** 2 < radius**2) & (labels == 0)] = label
    top = np.iinfo(dtype).max
    light = 0.1 + 0.6 * (labels > 0) + 0.03 * rng.standard_normal(labels.shape)
    image = (np.clip(light, 0, 1) * top).astype(dtype)
    if rgb:
        image = np.stack([image, image // 2, top - image], axis=-1)
    return Sample(f"blobs-{seed}", image, labels)
