"""Training images with the masks of other training images: the negative control, which must hurt."""

from __future__ import annotations

import numpy as np

from synthbench import Config, Context, Sample, SampleSet
from synthbench.samples import MASK, split_ignored
from synthbench.toolkit.masks.objects import min_object_area, relabel
from synthbench_controls.base import Control, name

_DRAW = 42


class Shuffled(Control[Config]):
    """Sample i is the training image at the i-th place of seeded permutations, with another one's mask.

    The mask, and its ignore region with it, comes from an image of the same size where there is one; else from any
    other, cut or continued by reflection to fit, and rid of the specks that cutting leaves. An image never keeps its
    own mask; where there is only one training image, its mask is turned by half.
    """

    def fit(self, train: SampleSet, context: Context) -> None:
        super().fit(train, context)
        self.min_area = min_object_area(s.labels for s in train) if train.task == "instances" else 1

    def _sample(self, index: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, _DRAW, index))
        own = self.position(index, seed)
        source, other = self._read(own), self._read(self._partner(own, rng))
        marked = other.marked
        if other is source:
            marked = np.ascontiguousarray(marked[::-1, ::-1])
        cut = marked.shape != source.labels.shape
        if cut:
            marked = fit_to(marked, source.labels.shape, rng)
        labels, ignore = split_ignored(marked)
        if cut and self.train.task == "instances":
            labels, removed = relabel(labels, self.min_area)
            self.counts["removed"] += removed
        groups = {"source": source.id, "mask_source": other.id, MASK: "training"}
        return Sample(name(index), source.image, labels, groups, ignore)

    def _partner(self, own: int, rng: np.random.Generator) -> int:
        entries = self.train.entries
        size = (entries[own].height, entries[own].width)
        others = [i for i in range(len(entries)) if i != own]
        alike = [i for i in others if (entries[i].height, entries[i].width) == size]
        choice = alike or others or [own]
        return choice[int(rng.integers(len(choice)))]


def fit_to(labels: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a label map of another shape: continued by reflection where too small, cut at random where too big."""
    short = [max(0, want - have) for want, have in zip(shape, labels.shape, strict=True)]
    labels = np.pad(labels, [(0, n) for n in short], mode="symmetric")
    top, left = (int(rng.integers(have - want + 1)) for want, have in zip(shape, labels.shape, strict=True))
    return labels[top : top + shape[0], left : left + shape[1]]
