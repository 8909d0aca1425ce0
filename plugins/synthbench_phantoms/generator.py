"""Generator `phantom`: procedural images with the statistics of the training images; nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field
from scipy import ndimage

import synthbench
from synthbench import Context, Generator, Sample, SampleSet, Stopped
from synthbench.errors import DataError
from synthbench.samples import MASK
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training.state_files import read_state
from synthbench.types import BoolMask, FloatArray, Image, LabelMap
from synthbench_phantoms import filaments, shapes
from synthbench_phantoms.measure import DEPTHS, ImageStatistics, fill_missing, measure_image, regions_and_depth

STATISTICS_FILE = "measures.json"


class PhantomGeneratorConfig(synthbench.Config):
    """How many training images are measured."""

    images: int = Field(
        32, ge=1, description="number of training images that are measured, evenly spaced in the training set"
    )


class Phantom(Generator[PhantomGeneratorConfig]):
    """Measures the training images, and generates images with the same statistics.

    Each generated image reproduces the statistics of one training image: its size, the number, areas and elongations of
    its objects (or the fractions and widths of its classes), its intensity as a function of the distance from the
    borders, its texture and its noise. No outline and no pixel is copied. Objects have at least
    `synthbench_phantoms.shapes.MIN_VISIBLE_AREA` pixels.
    """

    Config = PhantomGeneratorConfig
    bfloat16_on_cpu = False

    def __init__(self, config: PhantomGeneratorConfig | None = None) -> None:
        super().__init__(config)
        self.statistics: list[ImageStatistics] = []
        self._set: dict[str, Any] = {}

    def fit(self, train: SampleSet, context: Context) -> None:
        """Measure ``config.images`` of the training images.

        Raises
        ------
        DataError
            If there are none.
        """
        if not len(train):
            raise DataError(f"sample set {train.name!r}: there are no training images")
        chosen = np.unique(np.linspace(0, len(train) - 1, min(self.config.images, len(train))).astype(int))
        semantic, channels = train.task == "semantic", train.channels
        classes = max(len(train.classes), *(1 + int(s.labels.max()) for s in train)) if semantic else 0
        self._set = {"task": train.task, "classes": classes}
        rows = []
        for done, index in enumerate(chosen, 1):
            if context.should_stop():
                raise Stopped("stopped while measuring the training images")
            rows.append(measure_image(train[int(index)], train.task, self._set["classes"], channels))
            context.progress(done, len(chosen), "measured")
        self.statistics = fill_missing(rows)

    def sample(self, index: int, seed: int) -> Sample:
        """Return one sample; see `synthbench.Generator.sample`."""
        rng = stream(seed, "phantom.sample", index)
        row = self.statistics[rng.integers(len(self.statistics))]
        labels = sample_objects(rng, row) if self._set["task"] == "instances" else sample_classes(rng, row)
        return Sample(f"{index:06d}", self._render(rng, row, labels), labels, {MASK: "new"})

    def save(self, folder: Path) -> None:
        super().save(folder)
        state = {"set": self._set, "rows": [row.as_json() for row in self.statistics]}
        (folder / STATISTICS_FILE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new._set, new.statistics = read_state(
            folder / STATISTICS_FILE,
            lambda state: (state["set"], [ImageStatistics.from_json(row) for row in state["rows"]]),
        )
        return new

    def _render(self, rng: np.random.Generator, row: ImageStatistics, labels: LabelMap) -> Image:
        planes = render_planes(rng, row, labels, *regions_and_depth(labels, self._set["task"], self._set["classes"]))
        brightest = max(other.max_value for other in self.statistics if other.dtype == row.dtype)
        planes = np.clip(np.rint(planes), 0, brightest).astype(row.dtype)
        return planes[0] if row.grey else np.ascontiguousarray(np.moveaxis(planes, 0, -1))


def sample_objects(rng: np.random.Generator, row: ImageStatistics) -> LabelMap:
    """Return a label map ``(height, width)`` int32 with objects like those that were measured."""
    count = rng.poisson(row.object_count) if row.object_count > 8 else row.object_count
    outlines = []
    for which in rng.integers(len(row.areas), size=count if len(row.areas) else 0):
        area = max(row.areas[which] * np.exp(rng.normal(0, 0.12)), shapes.MIN_VISIBLE_AREA)
        stretch, solidity = row.elongations[which], row.solidities[which]
        if solidity > 0.78 or area < 80:
            outlines.append(shapes.rounded_outline(rng, area, stretch, 0.03 + 0.5 * max(0.0, 0.95 - solidity)))
        elif stretch > 2.2:
            outlines.append(shapes.spindle_outline(rng, area, stretch))
        else:
            outlines.append(shapes.spread_outline(rng, area, int(rng.integers(2, 6))))
    outlines.sort(key=lambda outline: -shapes.outline_area(outline))
    labels, _ = shapes.place_objects(
        rng, (row.height, row.width), outlines, clustering=row.touching_fraction, overlap=0.12
    )
    return labels


def sample_classes(rng: np.random.Generator, row: ImageStatistics) -> LabelMap:
    """Return a class map ``(height, width)`` uint8 with the measured fractions and widths of the classes.

    Wide classes divide the image by thresholds on smooth noise, the rarest class first; lines are put on top of them.
    """
    shape = (row.height, row.width)
    thin = row.line_density > 0
    if thin.all():
        thin[np.argmax(row.fractions)] = False
    wide = [k for k in np.argsort(row.fractions, kind="stable") if not thin[k]]
    labels = np.full(shape, wide[-1], np.uint8)
    free, remaining = np.ones(shape, bool), sum(row.fractions[k] for k in wide)
    for k in wide[:-1]:
        if row.fractions[k] > 0:
            wave = shapes.smooth_noise(rng, shape, float(np.clip(row.line_width[k] / 2.5, 1.0, max(shape) / 4)))
            taken = free & (wave > np.quantile(wave[free], 1 - row.fractions[k] / remaining))
            labels[taken] = k
            free &= ~taken
            remaining -= row.fractions[k]
    for k in np.flatnonzero(thin):
        labels[_lines(rng, shape, row.fractions[k], row.line_width[k])] = k
    return labels


def _lines(rng: np.random.Generator, shape: tuple[int, int], fraction: float, width: float) -> BoolMask:
    """Return lines of a width that cover a fraction of the image, ``(height, width)`` bool."""
    covered = np.zeros(shape, bool)
    for _ in range(4):
        missing = fraction - covered.mean()
        if missing > 0.1 * fraction:
            covered |= filaments.near(filaments.network(rng, shape, missing / width), shape, width / 2)
    return covered


def render_planes(
    rng: np.random.Generator, row: ImageStatistics, labels: LabelMap, regions: LabelMap, depth: FloatArray
) -> FloatArray:
    """Return the grey values of an image with these labels and statistics, ``(channels, height, width)`` float64."""
    shape = labels.shape
    planes = np.zeros((row.depth_profile.shape[1], *shape))
    for region, channels in enumerate(row.depth_profile):
        here = regions == region
        for plane, profile in zip(planes, channels, strict=True):
            plane[here] = np.interp(depth[here], DEPTHS, profile)
    of_object = np.clip(rng.standard_normal(int(labels.max(initial=0)) + 1), -2, 2)
    of_object[0] = 0
    planes = planes + row.object_std[:, None, None] * ndimage.gaussian_filter(of_object[labels], 0.7)
    for region in range(len(row.fractions)):
        here = regions == region
        if here.any():
            bumps = np.where(here, shapes.smooth_noise(rng, shape, float(row.texture_sigma[region])), 0)
            planes += row.texture_std[region][:, None, None] * bumps
    noise = np.moveaxis(row.noise_std[regions], -1, 0)
    noisy: FloatArray = planes + noise * rng.standard_normal(planes.shape)
    return noisy
