"""The procedural arm: drawn shapes and drawn light, with the statistics of the training images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field
from scipy import ndimage

import synthbench
from synthbench import Context, Generator, Sample, SampleSet, Stopped
from synthbench.errors import DataError, StoreError
from synthbench.samples import MASK
from synthbench_phantoms import filaments, shapes
from synthbench_phantoms.measure import DEPTHS, Measures, completed, measure, regions_of

STATE = "measures.json"
_TAG = 0xFA27


class PhantomGeneratorConfig(synthbench.Config):
    """How much is measured."""

    images: int = Field(32, ge=1, description="training images that are measured, evenly spread over the set")


class Phantom(Generator[PhantomGeneratorConfig]):
    """Measures the training images, and draws images with those statistics; nothing is trained.

    Each drawn image follows one training image: its size, the number, areas and stretch of its objects (or the
    shares and widths of its classes), and its light by depth inside and outside the borders, texture and noise.
    No outline and no pixel is copied. Objects of less than `synthbench_phantoms.shapes.SMALLEST` pixels become as large
    as that.
    """

    Config = PhantomGeneratorConfig

    def __init__(self, config: PhantomGeneratorConfig | None = None) -> None:
        super().__init__(config)
        self._rows: list[Measures] = []
        self._set: dict[str, Any] = {}

    def fit(self, train: SampleSet, context: Context) -> None:
        """Measure ``config.images`` of the training images.

        Raises
        ------
        DataError
            If there are none.
        """
        if not len(train):
            raise DataError(f"sample set {train.name!r}: there is no training image to measure")
        chosen = np.unique(np.linspace(0, len(train) - 1, min(self.config.images, len(train))).astype(int))
        semantic, channels = train.task == "semantic", max(entry.channels for entry in train.entries)
        classes = max(len(train.classes), *(1 + int(s.labels.max()) for s in train)) if semantic else 0
        self._set = {"task": train.task, "classes": classes}
        rows = []
        for done, index in enumerate(chosen, 1):
            if context.should_stop():
                raise Stopped("measuring begins anew")
            rows.append(measure(train[int(index)], train.task, self._set["classes"], channels))
            context.progress(done, len(chosen), "measured")
        self._rows = completed(rows)

    def sample(self, index: int, seed: int) -> Sample:
        """Return one sample; see `synthbench.Generator.sample`."""
        rng = np.random.default_rng((seed, _TAG, index))
        row = self._rows[rng.integers(len(self._rows))]
        labels = draw_objects(rng, row) if self._set["task"] == "instances" else draw_classes(rng, row)
        return Sample(f"{index:06d}", self._photograph(rng, row, labels), labels, {MASK: "new"})

    def save(self, folder: Path) -> None:
        super().save(folder)
        state = {"set": self._set, "rows": [row.as_json() for row in self._rows]}
        (folder / STATE).write_text(json.dumps(state) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        try:
            state = json.loads((folder / STATE).read_text(encoding="utf-8"))
            new._set, new._rows = state["set"], [Measures.from_json(row) for row in state["rows"]]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{folder / STATE}: can't be read: {error!r}; fit again") from None
        return new

    def _photograph(self, rng: np.random.Generator, row: Measures, labels: np.ndarray) -> np.ndarray:
        planes = light(rng, row, labels, *regions_of(labels, self._set["task"], self._set["classes"]))
        white = max(other.white for other in self._rows if other.dtype == row.dtype)
        planes = np.clip(np.rint(planes), 0, white).astype(row.dtype)
        return planes[0] if row.grey else np.ascontiguousarray(np.moveaxis(planes, 0, -1))


def draw_objects(rng: np.random.Generator, row: Measures) -> np.ndarray:
    """Return a label map ``(height, width)`` int32 of objects like those that were measured."""
    count = rng.poisson(row.count) if row.count > 8 else row.count
    outlines = []
    for which in rng.integers(len(row.areas), size=count if len(row.areas) else 0):
        area = max(row.areas[which] * np.exp(rng.normal(0, 0.12)), shapes.SMALLEST)
        stretch, solidity = row.elongations[which], row.solidities[which]
        if solidity > 0.78 or area < 80:
            outlines.append(shapes.rounded(rng, area, stretch, 0.03 + 0.5 * max(0.0, 0.95 - solidity)))
        elif stretch > 2.2:
            outlines.append(shapes.spindle(rng, area, stretch))
        else:
            outlines.append(shapes.spread(rng, area, int(rng.integers(2, 6))))
    outlines.sort(key=lambda outline: -shapes.enclosed(outline))
    labels, _ = shapes.place(rng, (row.height, row.width), outlines, clustering=row.touching, overlap=0.12)
    return labels


def draw_classes(rng: np.random.Generator, row: Measures) -> np.ndarray:
    """Return a class map ``(height, width)`` uint8 with the classes' shares and widths.

    Broad classes divide the picture by levels of smooth noise, the rarest first; thin ones are drawn over them.
    """
    shape = (row.height, row.width)
    thin = row.length > 0
    if thin.all():
        thin[np.argmax(row.shares)] = False
    broad = [k for k in np.argsort(row.shares, kind="stable") if not thin[k]]
    labels = np.full(shape, broad[-1], np.uint8)
    free, left = np.ones(shape, bool), sum(row.shares[k] for k in broad)
    for k in broad[:-1]:
        if row.shares[k] > 0:
            wave = shapes.field(rng, shape, float(np.clip(row.thickness[k] / 2.5, 1.0, max(shape) / 4)))
            taken = free & (wave > np.quantile(wave[free], 1 - row.shares[k] / left))
            labels[taken] = k
            free &= ~taken
            left -= row.shares[k]
    for k in np.flatnonzero(thin):
        labels[_web(rng, shape, row.shares[k], row.thickness[k])] = k
    return labels


def _web(rng: np.random.Generator, shape: tuple[int, int], share: float, width: float) -> np.ndarray:
    """Lines of a width that cover a share of the picture, bool."""
    covered = np.zeros(shape, bool)
    for _ in range(4):
        missing = share - covered.mean()
        if missing > 0.1 * share:
            covered |= filaments.near(filaments.network(rng, shape, missing / width), shape, width / 2)
    return covered


def light(
    rng: np.random.Generator, row: Measures, labels: np.ndarray, regions: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    """Return ``(C, height, width)`` float64, grey values of a picture of `labels` as the measured camera sees it."""
    shape = labels.shape
    planes = np.zeros((row.profile.shape[1], *shape))
    for region, channels in enumerate(row.profile):
        here = regions == region
        for plane, profile in zip(planes, channels, strict=True):
            plane[here] = np.interp(depth[here], DEPTHS, profile)
    own = np.clip(rng.standard_normal(int(labels.max(initial=0)) + 1), -2, 2)
    own[0] = 0
    planes = planes + row.spread[:, None, None] * ndimage.gaussian_filter(own[labels], 0.7)
    for region in range(len(row.shares)):
        here = regions == region
        if here.any():
            bumps = np.where(here, shapes.field(rng, shape, float(row.scale[region])), 0)
            planes += row.texture[region][:, None, None] * bumps
    noise = np.moveaxis(row.noise[regions], -1, 0)
    return planes + noise * rng.standard_normal(planes.shape)
