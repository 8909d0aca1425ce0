"""Control `copy-paste`: objects of training images pasted into other training images (Ghiasi et al., CVPR 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from synthbench import Config, Context, Sample, SampleSet
from synthbench.errors import DataError
from synthbench.samples import MASK
from synthbench.toolkit.masks.objects import (
    Cutout,
    cutouts,
    fraction_of_touching_objects,
    min_object_area,
    object_areas,
    relabel,
)
from synthbench.toolkit.masks.placement import Canvas, overlapping_slices
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training.patches import dihedral
from synthbench.types import Planes
from synthbench_controls import pasting
from synthbench_controls.base import Control, remove_fragments, round_to, sample_id

SIMILAR_IMAGES = 8
"""Number of training images, those most similar in object size and background, whose objects an image may get."""
COLOUR_WEIGHT = 3.0
"""Weight of the distance of background colours, 0 … 1, against the difference of the logarithms of object areas."""
MAX_GAIN = 4.0
"""Largest factor by which the contrast of a pasted object is adjusted to that of the image's own objects."""
PASTING_ROUNDS = 4
"""How often objects are pasted into an image that is covered less than its target."""
WHITE_PERCENTILE = 99.9
"""Percentile of the grey values that counts as white: what a camera reaches without its hot pixels."""


class CopyPasteConfig(Config):
    """How many objects are pasted, from how many images, and how their edges are blended."""

    renamed: ClassVar[Mapping[str, str]] = {
        "added": "pasted_ratio",
        "most": "max_foreground_fraction",
        "donors": "source_images",
        "feather": "feather_sigma",
        "touching": "touching_fraction",
    }

    pasted_ratio: float = Field(
        1.0, gt=0, le=10, description="area of the pasted objects, relative to the objects of a random training image"
    )
    max_foreground_fraction: float = Field(
        0.6, gt=0, le=1, description="fraction of the image covered by objects at which pasting stops"
    )
    source_images: int = Field(3, ge=1, description="number of training images whose objects one sample gets")
    feather_sigma: float = Field(
        1.0, gt=0, le=10, description="standard deviation of the decrease of opacity around an object, in pixels"
    )
    touching_fraction: float | None = Field(
        None,
        ge=0,
        le=1,
        description="fraction of the pasted objects that are moved until they touch a neighbour; by default the "
        "fraction of touching objects in the training masks",
    )


class CopyPaste(Control[CopyPasteConfig]):
    """Training samples in random order, with objects of other training images pasted into them.

    The objects come from the training images that are most similar in object size and background colour; only those
    that no image border cuts are used, if there are any. An object is flipped and rotated, gets the local background
    and the typical contrast of its new place, and its edge is blended. No object covers another; one without a free
    place is counted in ``counts["unplaced"]``. The ignore region stays that of the image, and what is pasted into it
    isn't in the mask. Adjusting intensity and choosing objects of similar size are this project's choices.
    """

    Config = CopyPasteConfig

    def fit(self, train: SampleSet, context: Context) -> None:
        """Keep the training set, and measure its objects.

        Raises
        ------
        DataError
            If it is empty or semantic, or has no objects.
        """
        super().fit(train, context)
        if train.task != "instances":
            raise DataError(f"{train.name!r} is {train.task}; copy-paste requires an instance-segmentation task")
        masks = [sample.labels for sample in train]
        areas = [object_areas(mask) for mask in masks]
        if not any(len(of_mask) for of_mask in areas):
            raise DataError(f"{train.name!r}: the training masks contain no objects")
        self.min_area = min_object_area(masks)
        configured = self.config.touching_fraction
        self.touching_fraction = fraction_of_touching_objects(masks) if configured is None else configured
        self.log_areas = np.log([float(np.median(of_mask)) if len(of_mask) else np.nan for of_mask in areas])
        self.colours = np.stack([pasting.background_colour(sample) for sample in train]) / _white_levels(train)[:, None]
        self.complete_objects = lru_cache(maxsize=64)(self._complete_objects)
        self._contrast = lru_cache(maxsize=1024)(lambda position: pasting.contrast(self.training_sample(position)))

    def make_sample(self, index: int, seed: int) -> Sample:
        """Return sample `index` of a seed."""
        rng = stream(seed, "copy-paste.sample", index)
        position = self.position(index, seed)
        base = self.training_sample(position)
        base_labels, removed = remove_fragments(base.labels, base.labels, self.min_area, 1.0)
        base_count = int(base_labels.max(initial=0))
        canvas = Canvas(base_labels)
        planes = pasting.image_planes(base.image)
        covered = self.train.entries[position].covered
        extra = self.config.pasted_ratio * self.train.entries[int(rng.integers(len(self.train)))].covered
        target_pixels = min(self.config.max_foreground_fraction, covered + extra) * base_labels.size
        candidates = self.similar_objects(position, rng)
        for _ in range(PASTING_ROUNDS):
            if not self._paste_objects(canvas, planes, target_pixels, position, candidates, rng):
                break
        hidden = base_labels > 0 if base.ignore is None else (base_labels > 0) | base.ignore
        labels, cut = relabel(np.where(hidden, 0, canvas.labels), self.min_area)
        labels[labels > 0] += base_count
        self.counts["pasted"] += canvas.count - base_count
        self.counts["removed"] += removed + cut
        image = round_to(np.moveaxis(planes, 0, -1).reshape(base.image.shape), base.image.dtype)
        groups = {"source": base.id, MASK: "recombined" if labels.any() else "training"}
        return Sample(sample_id(index), image, np.maximum(base_labels, labels), groups, base.ignore)

    def _paste_objects(
        self,
        canvas: Canvas,
        planes: Planes,
        target_pixels: float,
        position: int,
        candidates: list[tuple[int, Cutout]],
        rng: np.random.Generator,
    ) -> bool:
        """Paste objects of the missing area, the largest first; return whether any was pasted."""
        chosen: list[tuple[int, Cutout, int]] = []
        missing = target_pixels - canvas.covered
        while True:
            source, cutout = candidates[int(rng.integers(len(candidates)))]
            if missing < cutout.area / 2:
                break
            missing -= cutout.area
            chosen.append((source, cutout, int(rng.integers(8))))
        count = canvas.count
        for source, cutout, symmetry in sorted(chosen, key=lambda choice: -choice[1].area):
            mask = np.ascontiguousarray(dihedral(cutout.mask, symmetry))
            corner = canvas.find_place(mask, rng, touch=bool(rng.random() < self.touching_fraction))
            if corner is not None:
                _, visible = overlapping_slices(canvas.labels.shape, mask.shape, corner)
            if corner is None or mask[visible].sum() < self.min_area:
                self.counts["unplaced"] += 1
                continue
            prepared = pasting.cut_object(
                self.training_sample(source),
                cutout,
                channels=len(planes),
                gain=self._gain(source, position),
                symmetry=symmetry,
                feather_sigma=self.config.feather_sigma,
            )
            pasting.paste(planes, canvas, prepared, corner)
        return canvas.count > count

    def similar_objects(self, position: int, rng: np.random.Generator) -> list[tuple[int, Cutout]]:
        """Return the objects of a few random images similar to a training image, with the positions of the images."""
        size = self.log_areas[position]
        if not np.isfinite(size):
            size = float(np.nanmedian(self.log_areas))
        colour = np.linalg.norm(self.colours - self.colours[position], axis=1)
        distance = np.abs(self.log_areas - size) + COLOUR_WEIGHT * colour
        nearest = [int(i) for i in np.argsort(distance, kind="stable")[:SIMILAR_IMAGES] if np.isfinite(distance[i])]
        chosen = rng.permutation(nearest)[: self.config.source_images].tolist()
        return [(i, cutout) for i in chosen for cutout in self.complete_objects(i)]

    def _complete_objects(self, position: int) -> tuple[Cutout, ...]:
        """Return the objects of a training image that no border cuts and that aren't small, if there are any."""
        objects = cutouts(self.training_sample(position).labels)
        large = [cutout for cutout in objects if cutout.area >= self.min_area] or objects
        return tuple([cutout for cutout in large if cutout.whole] or large)

    def _gain(self, source: int, target: int) -> float:
        """Return the factor that adjusts the contrast of objects of one training image to that of another."""
        of_source, of_target = self._contrast(source), self._contrast(target)
        if of_source <= 0 or of_target <= 0:
            return 1.0
        return float(np.clip(of_target / of_source, 1 / MAX_GAIN, MAX_GAIN))


def _white_levels(train: SampleSet) -> NDArray[np.float64]:
    """Return the grey value that counts as white for each image, ``(images,)``: the largest of its dtype."""
    bright = [(sample.image.dtype, float(np.percentile(sample.image, WHITE_PERCENTILE))) for sample in train]
    white = {dtype: max(value for other, value in bright if other == dtype) for dtype, _ in bright}
    return np.array([max(white[dtype], np.iinfo(np.uint8).max) for dtype, _ in bright])
