"""Control `classic`: strong conventional augmentation of training samples, without any generative model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from synthbench import Config, Context, Sample, SampleSet
from synthbench.samples import MASK, split_ignored
from synthbench.toolkit.intensity.images import HIGH_PERCENTILE, LOW_PERCENTILE
from synthbench.toolkit.masks.objects import min_object_area
from synthbench.toolkit.rng import stream
from synthbench.types import FloatArray
from synthbench_controls.base import Control, remove_fragments, round_to, sample_id


class ClassicConfig(Config):
    """Ranges from which each sample draws its augmentation."""

    renamed: ClassVar[Mapping[str, str]] = {"spacing": "elastic_spacing"}

    rotation: float = Field(180.0, ge=0, le=180, description="largest rotation in either direction, in degrees")
    scale: float = Field(1.25, ge=1, le=4, description="largest factor of enlargement; the smallest is its inverse")
    elastic: float = Field(
        3.0, ge=0, le=1000, description="standard deviation of the displacements of the elastic deformation, in pixels"
    )
    elastic_spacing: int = Field(
        40, ge=4, description="distance between the control points of the elastic deformation, in pixels"
    )
    gain: float = Field(1.5, ge=1, le=100, description="largest factor of contrast; the smallest is its inverse")
    gamma: float = Field(
        1.4, ge=1, le=100, description="largest exponent of the intensity; the smallest is its inverse"
    )
    offset: float = Field(
        0.1, ge=0, le=1, description="largest change of brightness, as a fraction of the image's intensity range"
    )
    noise: float = Field(
        0.03,
        ge=0,
        le=1,
        description="standard deviation of the strongest noise, as a fraction of the image's intensity range",
    )
    blur: float = Field(1.2, ge=0, le=100, description="standard deviation of the strongest Gaussian blur, in pixels")


class Classic(Control[ClassicConfig]):
    """Training samples in random order, with random rotation, scale, elastic deformation, intensity, blur and noise.

    Image, label map and ignore region are deformed together (linear and nearest-neighbour interpolation), and continued
    by reflection beyond the border. An object that is cut into pieces becomes one object per piece; small pieces are
    removed (`synthbench_controls.base.remove_fragments`).
    """

    Config = ClassicConfig

    def fit(self, train: SampleSet, context: Context) -> None:
        """Keep the training set; see `Control.fit`."""
        super().fit(train, context)
        self.min_area = min_object_area(s.labels for s in train) if train.task == "instances" else 1

    def make_sample(self, index: int, seed: int) -> Sample:
        """Return sample `index` of a seed."""
        rng = stream(seed, "classic.sample", index)
        source = self.training_sample(self.position(index, seed))
        zoom = _random_factor(self.config.scale, rng)
        coordinates = self.source_coordinates(source.labels.shape, zoom, rng)
        labels, ignore = split_ignored(ndimage.map_coordinates(source.marked, coordinates, order=0, mode="reflect"))
        if self.train.task == "instances":
            labels, removed = remove_fragments(labels, source.labels, self.min_area, zoom**2)
            self.counts["removed"] += removed
        planes = np.moveaxis(np.atleast_3d(source.image), -1, 0).astype(np.float32)
        warped = np.stack([ndimage.map_coordinates(plane, coordinates, order=1, mode="reflect") for plane in planes])
        image = np.moveaxis(self._change_intensity(warped, planes, rng), 0, -1).reshape(source.image.shape)
        groups = {"source": source.id, MASK: "training"}
        return Sample(sample_id(index), round_to(image, source.image.dtype), labels, groups, ignore)

    def source_coordinates(self, shape: tuple[int, ...], zoom: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return where each pixel of the deformed image comes from.

        Parameters
        ----------
        shape
            ``(height, width)``.
        zoom
            Factor of enlargement.
        rng

        Returns
        -------
        ndarray
            ``(2, height, width)``: row and column in the original image.
        """
        angle = np.deg2rad(self.config.rotation) * rng.uniform(-1, 1)
        mirror = rng.choice((-1.0, 1.0))
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1.0, mirror])
        grid = np.indices(shape, dtype=np.float64)
        centre = (np.array(shape, dtype=np.float64).reshape(2, 1, 1) - 1) / 2
        coordinates = np.einsum("ij,jyx->iyx", matrix / zoom, grid - centre) + centre
        spacing = self.config.elastic_spacing
        points = [n // spacing + 4 for n in shape]
        displacements = rng.standard_normal((2, *points)) * self.config.elastic
        deformation = [ndimage.map_coordinates(each, grid / spacing + 1, order=3) for each in displacements]
        deformed: NDArray[np.float64] = coordinates + np.stack(deformation)
        return deformed

    def _change_intensity(
        self, planes: FloatArray, original: FloatArray, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return planes ``(channels, height, width)`` with another contrast, brightness, sharpness and noise.

        Red, green and blue have one intensity range; two or four channels have one each.
        """
        axes = (0, 1, 2) if len(original) in (1, 3) else (1, 2)
        low, high = np.percentile(original, (LOW_PERCENTILE, HIGH_PERCENTILE), axis=axes, keepdims=True)
        span = np.maximum(high - low, 1.0)
        values = (planes - low) / span
        values = np.where(values > 0, np.abs(values) ** _random_factor(self.config.gamma, rng), values)
        mean = values.mean(axis=axes, keepdims=True)
        gain = _random_factor(self.config.gain, rng)
        values = mean + (values - mean) * gain + self.config.offset * rng.uniform(-1, 1)
        sigma = self.config.blur * rng.random()
        values = ndimage.gaussian_filter(values, (0, sigma, sigma))
        values = values + self.config.noise * rng.random() * rng.standard_normal(values.shape)
        changed: NDArray[np.float64] = values * span + low
        return changed


def _random_factor(largest: float, rng: np.random.Generator) -> float:
    """Return a random factor between 1/largest and largest, uniform on a logarithmic scale."""
    return float(largest ** rng.uniform(-1, 1))
