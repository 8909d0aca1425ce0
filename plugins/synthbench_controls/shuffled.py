"""Control `shuffled`: training images with the masks of other training images, which must make segmenters worse."""

from __future__ import annotations

import numpy as np

from synthbench import Config, Context, Sample, SampleSet
from synthbench.samples import MASK, split_ignored
from synthbench.toolkit.masks.objects import min_object_area, relabel
from synthbench.toolkit.rng import stream
from synthbench.types import LabelMap
from synthbench_controls.base import Control, sample_id


class Shuffled(Control[Config]):
    """Training images in random order, each with the mask of another one.

    The mask and its ignore region come from an image of the same size, if there is one; otherwise from any other,
    cropped or continued by reflection to the size of the image, without the small pieces that cropping leaves. An image
    never keeps its own mask; the mask of the only training image is rotated by 180°.
    """

    def fit(self, train: SampleSet, context: Context) -> None:
        """Keep the training set; see `Control.fit`."""
        super().fit(train, context)
        self.min_area = min_object_area(s.labels for s in train) if train.task == "instances" else 1

    def make_sample(self, index: int, seed: int) -> Sample:
        """Return sample `index` of a seed."""
        rng = stream(seed, "shuffled.sample", index)
        position = self.position(index, seed)
        source = self.training_sample(position)
        mask_source = self.training_sample(self._choose_mask(position, rng))
        marked = mask_source.marked
        if mask_source is source:
            marked = np.ascontiguousarray(marked[::-1, ::-1])
        resized = marked.shape != source.labels.shape
        if resized:
            marked = fit_to_shape(marked, source.labels.shape, rng)
        labels, ignore = split_ignored(marked)
        if resized and self.train.task == "instances":
            labels, removed = relabel(labels, self.min_area)
            self.counts["removed"] += removed
        groups = {"source": source.id, "mask_source": mask_source.id, MASK: "training"}
        return Sample(sample_id(index), source.image, labels, groups, ignore)

    def _choose_mask(self, position: int, rng: np.random.Generator) -> int:
        """Return the position of the training sample whose mask is used."""
        sizes = [(entry.height, entry.width) for entry in self.train.entries]
        others = [i for i in range(len(sizes)) if i != position]
        same_size = [i for i in others if sizes[i] == sizes[position]]
        candidates = same_size or others or [position]
        return candidates[int(rng.integers(len(candidates)))]


def fit_to_shape(labels: LabelMap, shape: tuple[int, ...], rng: np.random.Generator) -> LabelMap:
    """Return a label map of another shape: continued by reflection if too small, cropped at random if too large."""
    missing = [max(0, target - size) for target, size in zip(shape, labels.shape, strict=True)]
    labels = np.pad(labels, [(0, n) for n in missing], mode="symmetric")
    top, left = (int(rng.integers(size - target + 1)) for target, size in zip(shape, labels.shape, strict=True))
    return labels[top : top + shape[0], left : left + shape[1]]
