"""What the controls share: they keep the training set, and use its samples in an order that the seed determines."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from synthbench import Config, Context, Generator, Sample, SampleSet
from synthbench.errors import DataError
from synthbench.toolkit.masks.objects import relabel
from synthbench.toolkit.rng import stream
from synthbench.types import FloatArray, LabelMap

ConfigT = TypeVar("ConfigT", bound=Config)

TRAIN_FOLDER = "train"


class Control(Generator[ConfigT]):
    """A generator that learns nothing: its artifact is the training set.

    Attributes
    ----------
    counts : Counter
        ``drawn``: samples that were returned so far; and whatever else a control counts.
    train : SampleSet
        The training set, after `fit` or `load`.
    """

    supports_ignore = True
    bfloat16_on_cpu = False

    def fit(self, train: SampleSet, context: Context) -> None:
        """Keep the training set.

        Raises
        ------
        DataError
            If it is empty.
        """
        if len(train) == 0:
            raise DataError("there are no training samples")
        self.train = train
        self.training_sample = lru_cache(maxsize=64)(train.__getitem__)

    def sample(self, index: int, seed: int) -> Sample:
        """Return one sample; see `synthbench.Generator.sample`."""
        self.counts["drawn"] += 1
        return self.make_sample(index, seed)

    @abstractmethod
    def make_sample(self, index: int, seed: int) -> Sample:
        """Return sample `index` of a seed; it isn't counted."""

    def save(self, folder: Path) -> None:
        """Write the configuration and the training set."""
        super().save(folder)
        self.train.save(folder / TRAIN_FOLDER)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return what `save` wrote."""
        new = super().load(folder, context)
        new.fit(SampleSet.open(folder / TRAIN_FOLDER), context)
        return new

    def position(self, index: int, seed: int) -> int:
        """Return the position of the training sample for sample `index`.

        Every training sample is used once, in random order, before any is used again.
        """
        epoch, place = divmod(index, len(self.train))
        order = stream(seed, "controls.order", epoch).permutation(len(self.train))
        return int(order[place])


def remove_fragments(
    warped: LabelMap, original: LabelMap, min_area: int, scale: float
) -> tuple[NDArray[np.int32], int]:
    """Make a warped label map valid: one object per connected piece, without the small rests of objects.

    Parameters
    ----------
    warped, original
        Instance label maps with the same labels; their shapes may differ.
    min_area
        Area in pixels, in the original, below which a piece may be a fragment.
    scale
        Factor by which areas were enlarged.

    Returns
    -------
    labels : ndarray
        ``(height, width)`` of `warped`, int32, 1 … n.
    removed : int
        Number of fragments: pieces that are smaller than `min_area` and than half of their object.
    """
    pieces, _ = relabel(warped)
    ids, first_pixels, sizes = np.unique(pieces, return_index=True, return_counts=True)
    objects, areas = np.unique(original, return_counts=True)
    object_area = areas[np.searchsorted(objects, warped.ravel()[first_pixels])]
    fragments = (ids > 0) & (sizes < min_area * scale) & (sizes < 0.5 * object_area * scale)
    labels, _ = relabel(np.where(fragments[pieces - ids[0]], 0, pieces))
    return labels, int(fragments.sum())


def sample_id(index: int) -> str:
    """Return the id of synthetic sample `index`."""
    return f"{index:06d}"


def round_to(values: FloatArray, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Round real values to an unsigned integer dtype, clipped to its range."""
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
