"""Label maps the size of a LIVECell image with about 1,500 cells, and predictions that are nearly right."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

HEIGHT, WIDTH = 1040, 1408


def crowd(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a true and a predicted label map, uint16: cells are moved, one in twenty is lost, one in twenty split."""
    rng = np.random.default_rng((15, seed))
    y, x = (part.ravel() for part in np.meshgrid(np.arange(13, HEIGHT, 27), np.arange(13, WIDTH, 36), indexing="ij"))
    centres = np.column_stack([y, x]) + rng.uniform(-7, 7, (len(y), 2))
    radii = rng.uniform(10, 17, len(centres))
    kept = rng.uniform(size=len(centres)) > 0.05
    found = centres[kept] + rng.normal(0, 1.5, (kept.sum(), 2))
    split = rng.uniform(size=len(found)) < 0.05
    found = np.concatenate([found, found[split] + rng.uniform(-9, 9, (split.sum(), 2))])
    found_radii = np.concatenate([radii[kept], radii[kept][split]]) * rng.uniform(0.9, 1.1, len(found))
    return _drawn(centres, radii), _drawn(found, found_radii)


def _drawn(centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Give each pixel to the nearest centre, if that is near enough."""
    pixels = np.indices((HEIGHT, WIDTH)).reshape(2, -1).T
    distance, nearest = cKDTree(centres).query(pixels)
    labels = np.where(distance < radii[nearest], nearest + 1, 0)
    return labels.reshape(HEIGHT, WIDTH).astype(np.uint16)
