"""Watershed from smoothed minima: cells that are darker than their borders.

The smoothing is the one number it learns: of a few candidates the one with the best F-score at IoU 0.5 on the
validation samples. From the training mix it takes how bright and how large a cell is.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from synthbench import Config, Context, Instances, SampleSet, Segmenter, TrainingMix
from synthbench.metrics.matching import count, pooled
from synthbench.toolkit.intensity.images import normalise


class Settings(Config):
    """Configuration of the segmenter."""

    candidates: tuple[float, ...] = Field(
        default=(0.08, 0.12, 0.16, 0.2, 0.25),
        min_length=1,
        description="standard deviations of the smoothing to try, as fractions of the side of a median cell",
    )


class Watershed(Segmenter[Settings]):
    """Learns three numbers, all at once, so `budgets` stays empty."""

    Config = Settings

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        area, inside, outside = _measured(train)
        self.level = float(inside + outside) / 2
        self.darker = bool(inside <= outside)
        self.side = float(np.sqrt(area))
        scores = [self._score(share, validation) for share in self.config.candidates]
        self.share = self.config.candidates[int(np.argmax(scores))]
        context.progress(1, 1, f"smoothing {self.share:.2f} of a cell")

    def fingerprint(self) -> str:
        """Keys know major and minor versions by themselves; who wins where basins tie, a patch may settle otherwise."""
        return f"scikit-image {metadata.version('scikit-image')}"

    def _score(self, share: float, validation: SampleSet) -> float:
        self.share = share
        counts = [count(sample.labels, self.predict(sample.image).labels, (0.5,)) for sample in validation]
        return float(pooled(counts)["f1"][0])

    def predict(self, image: np.ndarray) -> Instances:
        light = normalise(image).mean(axis=0)
        relief = ndimage.gaussian_filter(light, self.share * self.side) * (1 if self.darker else -1)
        fine = ndimage.gaussian_filter(light, 1.0)
        cell = fine < self.level if self.darker else fine > self.level
        deep = peak_local_max(
            -relief, min_distance=max(1, round(self.side / 4)), labels=cell.astype(int), exclude_border=False
        )
        seeds = np.zeros(cell.shape, np.int32)
        seeds[tuple(deep.T)] = np.arange(1, len(deep) + 1)
        labels = watershed(relief, seeds, mask=cell)
        present, labels = np.unique(labels, return_inverse=True)
        labels = labels.reshape(cell.shape) + (1 if present[0] > 0 else 0)
        number = int(labels.max())
        contrast = ndimage.mean(np.abs(fine - self.level), labels, np.arange(1, number + 1)) if number else []
        return Instances(labels.astype(np.int32), np.asarray(contrast, dtype=np.float64))

    def save(self, folder: Path) -> None:
        super().save(folder)
        learnt = {"level": self.level, "darker": self.darker, "side": self.side, "share": self.share}
        (folder / "learnt.json").write_text(json.dumps(learnt), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        for name, value in json.loads((folder / "learnt.json").read_text(encoding="utf-8")).items():
            setattr(new, name, value)
        return new


def _measured(mix: TrainingMix) -> tuple[float, float, float]:
    """Return the median area of the objects, and the median brightness within and around them.

    Those of the real and of the synthetic samples, weighed by the share that the mix gives them.
    """
    parts = ((mix.real, 1 - mix.synthetic_ratio), (mix.synthetic, mix.synthetic_ratio))
    return tuple(sum(share * np.array(_medians(samples)) for samples, share in parts if samples and share > 0))


def _medians(samples: SampleSet) -> tuple[float, float, float]:
    areas, inside, outside = [], [], []
    for sample in samples:
        light = ndimage.gaussian_filter(normalise(sample.image).mean(axis=0), 1.0)
        areas.append(np.unique(sample.labels[sample.labels > 0], return_counts=True)[1])
        inside.append(light[sample.labels > 0])
        outside.append(light[sample.labels == 0])
    joined = [np.concatenate(values) for values in (areas, inside, outside)]
    return tuple(
        float(np.median(values)) if len(values) else default
        for values, default in zip(joined, (64.0, 1.0, 0.0), strict=True)
    )
