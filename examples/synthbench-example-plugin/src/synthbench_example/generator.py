"""Training images and their masks, bent alike by a smooth random displacement (Simard 2003, section 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy import ndimage

from synthbench import Config, Context, Generator, Sample, SampleSet
from synthbench.samples import MASK
from synthbench.toolkit.masks.objects import relabel
from synthbench.toolkit.rng import stream


class Settings(Config):
    """Configuration of the generator."""

    strength: float = Field(default=2.5, ge=0, description="root mean square of the displacement, in pixels")
    scale: float = Field(
        default=12.0, gt=0, description="standard deviation of the Gaussian that smooths the displacement, in pixels"
    )


class Elastic(Generator[Settings]):
    """Keeps the training samples; it doesn't train, so `budgets` stays empty."""

    Config = Settings

    def fit(self, train: SampleSet, context: Context) -> None:
        self.train = train
        context.progress(len(train), len(train), "")

    def sample(self, index: int, seed: int) -> Sample:
        rng = stream(seed, "example-elastic.sample", index)
        chosen = self.train[int(rng.integers(len(self.train)))]
        place = self._displaced(chosen.labels.shape, rng)
        labels = ndimage.map_coordinates(chosen.labels, place, order=0, mode="mirror")
        if self.train.task == "instances":
            labels, _ = relabel(labels)  # what bending pulled apart becomes an object per piece, numbered 1 … n
        return Sample(f"{index:06d}", _resampled(chosen.image, place), labels, {MASK: "training"})

    def _displaced(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Return where each pixel is taken from, (2, height, width)."""
        noise = ndimage.gaussian_filter(rng.standard_normal((2, *shape)), self.config.scale, axes=(1, 2))
        return np.mgrid[: shape[0], : shape[1]] + noise * self.config.strength / max(float(noise.std()), 1e-9)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.train.save(folder / "train")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.train = SampleSet.open(folder / "train")
        return new


def _resampled(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    planes = np.moveaxis(np.atleast_3d(image), -1, 0)
    bent = [ndimage.map_coordinates(plane, place, order=1, mode="mirror") for plane in planes]
    return np.stack(bent, axis=-1).reshape(image.shape)
