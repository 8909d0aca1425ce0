"""Small pictures of two to four channels: discs, and stains of their rims, what is around them, and lower halves."""

from __future__ import annotations

import numpy as np

from helpers.blobs import blobs
from synthbench.samples import Sample, SampleSet
from synthbench.samples.pictures import inner_boundaries

__all__ = ["stains"]


def stains(count: int, channels: int, dtype: type = np.uint16) -> SampleSet:
    """Return `count` samples of 64 × 64; values stay below 256 in every channel."""
    samples = []
    for seed in range(count):
        plain = blobs(seed)
        rows = np.arange(plain.labels.shape[0])[:, None] > plain.labels.shape[0] / 2
        inside = plain.labels > 0
        light = [np.where(place, 170, 30) for place in (inner_boundaries(plain.labels), ~inside, inside & rows)]
        noisy = [np.random.default_rng((seed, k)).normal(plane, 6) for k, plane in enumerate(light)]
        image = np.stack([plain.image, *noisy], axis=-1)[..., :channels]
        samples.append(Sample(plain.id, np.clip(image, 0, 255).astype(dtype), plain.labels))
    return SampleSet.of(samples, name="stains")
