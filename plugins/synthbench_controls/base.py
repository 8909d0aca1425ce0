"""What the controls share: they keep the training set, and draw from it in seeded order."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from synthbench import Config, Context, Generator, Sample, SampleSet
from synthbench.errors import DataError
from synthbench.toolkit.masks.objects import relabel

ConfigT = TypeVar("ConfigT", bound=Config)

TRAIN = "train"
_ORDER = 41


class Control(Generator[ConfigT]):
    """A generator that learns nothing: its artifact is the training set.

    Attributes
    ----------
    counts : Counter
        What drawing has come to so far: ``drawn`` samples, and whatever else a control counts.
    """

    supports_ignore = True

    def fit(self, train: SampleSet, context: Context) -> None:
        """Keep the training set; raise `DataError` if it is empty."""
        if len(train) == 0:
            raise DataError("there are no training samples to draw from")
        self.train = train
        self._read = lru_cache(maxsize=64)(train.__getitem__)

    def sample(self, index: int, seed: int) -> Sample:
        """Return one sample; see `synthbench.Generator.sample`."""
        self.counts["drawn"] += 1
        return self._sample(index, seed)

    @abstractmethod
    def _sample(self, index: int, seed: int) -> Sample:
        """Return one sample, uncounted."""

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.train.save(folder / TRAIN)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.fit(SampleSet.open(folder / TRAIN), context)
        return new

    def position(self, index: int, seed: int) -> int:
        """Return which training sample comes at place `index`: every one once, in random order, before any repeats."""
        epoch, place = divmod(index, len(self.train))
        order = np.random.default_rng((seed, _ORDER, epoch)).permutation(len(self.train))
        return int(order[place])


def without_fragments(warped: np.ndarray, original: np.ndarray, limit: int, growth: float) -> tuple[np.ndarray, int]:
    """Make a warped label map valid: one object per piece, without the specks that objects were cut to.

    Parameters
    ----------
    warped, original
        Instance label maps with the same ids; shapes may differ.
    limit
        Area in pixels, at the original's scale, below which a piece can be a speck.
    growth
        Factor by which areas have grown.

    Returns
    -------
    labels : ndarray
        int32, 1 … n.
    removed : int
        Pieces below the limit that hold less than half of their object.
    """
    pieces, _ = relabel(warped)
    ids, first, sizes = np.unique(pieces, return_index=True, return_counts=True)
    parents, areas = np.unique(original, return_counts=True)
    whole = areas[np.searchsorted(parents, warped.ravel()[first])]
    specks = (ids > 0) & (sizes < limit * growth) & (sizes < 0.5 * whole * growth)
    labels, _ = relabel(np.where(specks[pieces - ids[0]], 0, pieces))
    return labels, int(specks.sum())


def name(index: int) -> str:
    """Return the id of synthetic sample `index`."""
    return f"{index:06d}"


def to_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round and clip real values to an unsigned integer type."""
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
