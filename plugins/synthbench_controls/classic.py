"""Strong conventional augmentation: what flips, warps, blur and noise are worth without any generator."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy import ndimage

from synthbench import Config, Context, Sample, SampleSet
from synthbench.samples import MASK, split_ignored
from synthbench.toolkit.intensity.images import HIGH_PERCENTILE, LOW_PERCENTILE
from synthbench.toolkit.masks.objects import min_object_area
from synthbench_controls.base import Control, name, to_dtype, without_fragments

_DRAW = 43


class ClassicConfig(Config):
    """How strong the augmentation is; each sample draws its own values from these ranges.

    Attributes
    ----------
    rotation : float
        Largest turn to either side, in degrees.
    scale : float
        Largest factor of enlargement; shrinking goes to its inverse.
    elastic : float
        Standard deviation of the warp, in pixels.
    spacing : int
        Distance of the warp's nodes, in pixels: smaller is more crumpled.
    gain, gamma : float
        Largest factor of contrast, and largest exponent; both go down to their inverse.
    offset, noise : float
        Largest change of brightness, and standard deviation of the strongest noise, as shares of the image's range.
    blur : float
        Standard deviation of the strongest blur, in pixels.
    """

    rotation: float = Field(180.0, ge=0, le=180)
    scale: float = Field(1.25, ge=1, le=4)
    elastic: float = Field(3.0, ge=0)
    spacing: int = Field(40, ge=4)
    gain: float = Field(1.5, ge=1)
    gamma: float = Field(1.4, ge=1)
    offset: float = Field(0.1, ge=0, le=1)
    noise: float = Field(0.03, ge=0, le=1)
    blur: float = Field(1.2, ge=0)


class Classic(Control[ClassicConfig]):
    """Sample i is the training image at the i-th place of seeded permutations, warped, relit, blurred and made noisy.

    Image, label map and ignore region go through one geometry (linear and nearest-neighbour interpolation), and are
    continued by reflection beyond the border. Objects that come apart become one object a piece. Pieces cut to less
    than half of their object, and to less than the training objects' area range (taken at the sample's scale), are
    removed.
    """

    Config = ClassicConfig

    def fit(self, train: SampleSet, context: Context) -> None:
        super().fit(train, context)
        self.min_area = min_object_area(s.labels for s in train) if train.task == "instances" else 1

    def _sample(self, index: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, _DRAW, index))
        source = self._read(self.position(index, seed))
        zoom = _factor(self.config.scale, rng)
        places = self._geometry(source.labels.shape, zoom, rng)
        labels, ignore = split_ignored(ndimage.map_coordinates(source.marked, places, order=0, mode="reflect"))
        if self.train.task == "instances":
            labels, removed = without_fragments(labels, source.labels, self.min_area, zoom**2)
            self.counts["removed"] += removed
        planes = np.moveaxis(np.atleast_3d(source.image), -1, 0).astype(np.float32)
        warped = np.stack([ndimage.map_coordinates(plane, places, order=1, mode="reflect") for plane in planes])
        image = np.moveaxis(self._relight(warped, planes, rng), 0, -1).reshape(source.image.shape)
        groups = {"source": source.id, MASK: "training"}
        return Sample(name(index), to_dtype(image, source.image.dtype), labels, groups, ignore)

    def _geometry(self, shape: tuple[int, ...], zoom: float, rng: np.random.Generator) -> np.ndarray:
        """Return where each pixel comes from, ``(2, height, width)``: turned, mirrored, scaled, warped."""
        angle = np.deg2rad(self.config.rotation) * rng.uniform(-1, 1)
        mirror = rng.choice((-1.0, 1.0))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1.0, mirror])
        grid = np.indices(shape, dtype=np.float64)
        centre = (np.array(shape, dtype=np.float64).reshape(2, 1, 1) - 1) / 2
        places = np.einsum("ij,jyx->iyx", turn / zoom, grid - centre) + centre
        nodes = [n // self.config.spacing + 4 for n in shape]
        coarse = rng.standard_normal((2, *nodes)) * self.config.elastic
        warp = [ndimage.map_coordinates(part, grid / self.config.spacing + 1, order=3) for part in coarse]
        return places + np.stack(warp)

    def _relight(self, image: np.ndarray, original: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return ``(channels, height, width)`` with other contrast, brightness and sharpness, in the same units."""
        floor, top = np.percentile(original, (LOW_PERCENTILE, HIGH_PERCENTILE))
        span = max(top - floor, 1.0)
        value = (image - floor) / span
        value = np.where(value > 0, np.abs(value) ** _factor(self.config.gamma, rng), value)
        mean = value.mean()
        value = mean + (value - mean) * _factor(self.config.gain, rng) + self.config.offset * rng.uniform(-1, 1)
        sigma = self.config.blur * rng.random()
        value = ndimage.gaussian_filter(value, (0, sigma, sigma))
        value = value + self.config.noise * rng.random() * rng.standard_normal(value.shape)
        return value * span + floor


def _factor(most: float, rng: np.random.Generator) -> float:
    """Return a factor between 1/most and most, even on a logarithmic scale."""
    return float(most ** rng.uniform(-1, 1))
