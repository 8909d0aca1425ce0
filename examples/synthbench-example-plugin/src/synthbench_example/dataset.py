"""A sheet of epithelial cells with stained borders, drawn: a relaxed Voronoi tessellation.

Points are moved to the middle of their own cells a few times (Lloyd 1982), which gives the even, mostly six-sided
cells of an epithelium. Fluorescence marks the borders; light is uneven, and photons are counted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field
from scipy import ndimage
from scipy.spatial import cKDTree

from synthbench import Config, Context, Dataset, Sample
from synthbench.toolkit.rng import stream


class Settings(Config):
    """Configuration of the dataset."""

    images: int = Field(default=24, ge=2, description="number of images; the last quarter is the official test split")
    size: int = Field(default=128, ge=32, description="height and width, in pixels")
    cells: int = Field(default=40, ge=2, description="mean number of cells per image")
    seed: int = Field(default=0, description="seed of the images")


class Epithelium(Dataset[Settings]):
    """Image i depends on the configuration and i alone."""

    Config = Settings
    source = "drawn by this plugin"
    licence = "BSD-3-Clause"
    citation = "Lloyd 1982, Least squares quantization in PCM, doi:10.1109/TIT.1982.1056489 (the relaxation)"

    def samples(self, context: Context) -> Iterator[Sample]:
        total = self.config.images
        for i in range(total):
            split = "train" if i < total - total // 4 else "test"
            yield self._draw(f"epithelium-{i:04d}", stream(self.config.seed, "example-epithelium", i), split)
            context.progress(i + 1, total, "")

    def _draw(self, name: str, rng: np.random.Generator, split: str) -> Sample:
        size = self.config.size
        pixels = np.stack(np.mgrid[:size, :size], axis=-1).reshape(-1, 2).astype(float)
        points = rng.uniform(0, size, (int(rng.poisson(self.config.cells)) + 2, 2))
        for _ in range(3):
            owner = cKDTree(points).query(pixels)[1]
            weight = np.maximum(np.bincount(owner, minlength=len(points)), 1)
            points = np.stack([np.bincount(owner, pixels[:, k], len(points)) / weight for k in (0, 1)], axis=-1)
        (near, second), owner = (part.T for part in cKDTree(points).query(pixels, k=2))
        border = ((second - near) < 2.0).reshape(size, size)
        labels = np.where(border, 0, owner[0].reshape(size, size) + 1)
        glow = ndimage.gaussian_filter(border.astype(float), 1.0) * 0.8 + 0.08
        shade = 1 + 0.3 * ndimage.gaussian_filter(rng.standard_normal((size, size)), size / 4) * size / 2
        photons = rng.poisson(np.clip(glow * shade, 0, None) * 150)
        image = np.clip(photons * 1.3 + rng.normal(6, 2, labels.shape), 0, 255).astype(np.uint8)
        numbers = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
        return Sample(name, image, numbers, {"split": split})
