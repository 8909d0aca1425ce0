"""Training objects pasted onto training images: more objects, in new company, under edges that are blended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pydantic import Field
from scipy import ndimage

from synthbench import Config, Context, Sample, SampleSet
from synthbench.errors import DataError
from synthbench.samples import MASK
from synthbench.toolkit.intensity.images import to_channels
from synthbench.toolkit.masks.objects import (
    Cutout,
    cutouts,
    fraction_of_touching_objects,
    min_object_area,
    object_areas,
    relabel,
)
from synthbench.toolkit.masks.placement import Canvas, overlapping_slices
from synthbench.toolkit.training.patches import dihedral
from synthbench_controls.base import Control, name, to_dtype, without_fragments

NEIGHBOURS = 8
"""How many training images, the most alike in object size and background, may lend objects to an image."""
COLOUR = 3.0
"""Weight of a full step in background colour against a factor e in object area, when likeness is measured."""
RING = 5
"""Width, in pixels, of the surroundings that an object's local background is measured in."""
GAIN = 4.0
"""Largest factor by which a pasted object's contrast is brought to that of the image's own objects."""
ROUNDS = 4
BRIGHTEST = 99.9
"""Percentile of an image that it reaches: the camera's 12 bits, say, and not a hot pixel."""

_DRAW = 44


class CopyPasteConfig(Config):
    """What is pasted, and how.

    Attributes
    ----------
    added : float
        The pasted objects cover this many times what the objects of a random training image cover.
    most : float
        Covered share that pasting stops at, 0 … 1.
    donors : int
        How many training images lend objects to one sample.
    feather : float
        Width of the blended edge outside an object: the standard deviation of its fall, in pixels.
    touching : float or None
        Share of the pasted objects that are moved up to a neighbour; None takes the training masks' own.
    """

    added: float = Field(1.0, gt=0, le=10)
    most: float = Field(0.6, gt=0, le=1)
    donors: int = Field(3, ge=1)
    feather: float = Field(1.0, gt=0, le=10)
    touching: float | None = Field(None, ge=0, le=1)


@dataclass(frozen=True, eq=False)
class Donor:
    """An object with its surroundings, ready to paste.

    Attributes
    ----------
    mask : ndarray
        ``(h, w)`` bool, the object.
    light : ndarray
        ``(channels, h, w)`` float32: image minus local background, at the contrast of the image it goes to.
    alpha : ndarray
        ``(h, w)`` float32, 0 … 1: 1 on the object, falling to 0 around it and on its old neighbours.
    """

    mask: np.ndarray
    light: np.ndarray
    alpha: np.ndarray


class CopyPaste(Control[CopyPasteConfig]):
    """Sample i is the training image at the i-th place of seeded permutations, with objects of others added.

    Objects are whole ones (not cut by a border) of the training images most alike in object size and background
    colour, flipped and turned. Each takes the local background and the typical contrast of its new place, and is
    blended in over a feathered rim. The ignore region stays that of the image: what is pasted into it can't be seen in
    the mask. None covers another; what finds no room is counted in ``counts["unplaced"]``.
    The idea is Ghiasi et al., CVPR 2021; matching of light and size is this project's choice.
    """

    Config = CopyPasteConfig

    def fit(self, train: SampleSet, context: Context) -> None:
        super().fit(train, context)
        if train.task != "instances":
            raise DataError(f"copy-paste needs instances, and {train.name!r} is {train.task}")
        masks = [s.labels for s in train]
        found = [object_areas(mask) for mask in masks]
        if not any(len(a) for a in found):
            raise DataError(f"{train.name!r}: the training masks hold no objects: there is nothing to paste")
        self.min_area = min_object_area(masks)
        self.touching = fraction_of_touching_objects(masks) if self.config.touching is None else self.config.touching
        self.sizes = np.log([np.median(a) if len(a) else np.nan for a in found])
        self.colours = np.stack([_background(s) for s in train]) / _whites(train)[:, None]
        self._cutouts = lru_cache(maxsize=64)(self._whole)
        self._contrast = lru_cache(maxsize=1024)(self._measure)

    def _sample(self, index: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, _DRAW, index))
        own = self.position(index, seed)
        base = self._read(own)
        before, removed = without_fragments(base.labels, base.labels, self.min_area, 1.0)
        canvas = Canvas(before)
        light = _planes(base.image)
        share = self.train.entries[own].covered
        extra = self.config.added * self.train.entries[int(rng.integers(len(self.train)))].covered
        goal = min(self.config.most, share + extra) * before.size
        lenders = self._lenders(own, rng)
        for _ in range(ROUNDS):
            if not self._paste_round(canvas, light, goal, own, lenders, rng):
                break
        hidden = before > 0 if base.ignore is None else (before > 0) | base.ignore
        labels, cut = relabel(np.where(hidden, 0, canvas.labels), self.min_area)
        labels[labels > 0] += before.max(initial=0)
        self.counts["pasted"] += canvas.count - int(before.max(initial=0))
        self.counts["removed"] += removed + cut
        image = to_dtype(np.moveaxis(light, 0, -1).reshape(base.image.shape), base.image.dtype)
        groups = {"source": base.id, MASK: "recombined" if labels.any() else "training"}
        return Sample(name(index), image, np.maximum(before, labels), groups, base.ignore)

    def _paste_round(
        self,
        canvas: Canvas,
        light: np.ndarray,
        goal: float,
        own: int,
        lenders: list[tuple[int, Cutout]],
        rng: np.random.Generator,
    ) -> bool:
        """Paste what is missing, largest first; return whether anything was pasted."""
        chosen: list[tuple[int, Cutout, int]] = []
        missing = goal - canvas.covered
        while True:
            position, cut = lenders[int(rng.integers(len(lenders)))]
            if missing < cut.area / 2:
                break
            missing -= cut.area
            chosen.append((position, cut, int(rng.integers(8))))
        pasted = 0
        for position, cut, symmetry in sorted(chosen, key=lambda item: -item[1].area):
            mask = np.ascontiguousarray(dihedral(cut.mask, symmetry))
            corner = canvas.find_place(mask, rng, touch=bool(rng.random() < self.touching))
            if corner is None or self._visible(canvas, mask, corner) < self.min_area:
                self.counts["unplaced"] += 1
                continue
            blend(light, canvas, self._donor(position, cut, symmetry, own, len(light)), corner)
            pasted += 1
        return pasted > 0

    @staticmethod
    def _visible(canvas: Canvas, mask: np.ndarray, corner: tuple[int, int]) -> int:
        _, part = overlapping_slices(canvas.labels.shape, mask.shape, corner)
        return int(mask[part].sum())

    def _lenders(self, own: int, rng: np.random.Generator) -> list[tuple[int, Cutout]]:
        """Return the objects of a few training images like this one, each with its image's position."""
        size = self.sizes[own] if np.isfinite(self.sizes[own]) else float(np.nanmedian(self.sizes))
        colour = np.linalg.norm(self.colours - self.colours[own], axis=1)
        distance = np.abs(self.sizes - size) + COLOUR * colour
        nearest = [int(i) for i in np.argsort(distance, kind="stable")[:NEIGHBOURS] if np.isfinite(distance[i])]
        chosen = rng.permutation(nearest)[: self.config.donors].tolist()
        return [(i, cut) for i in chosen for cut in self._cutouts(i)]

    def _whole(self, position: int) -> tuple[Cutout, ...]:
        found = cutouts(self._read(position).labels)
        large = [cut for cut in found if cut.area >= self.min_area] or found
        return tuple([cut for cut in large if cut.whole] or large)

    def _measure(self, position: int) -> float:
        """Return how far objects stand out from background in an image, over all channels; 0 where there are none."""
        sample = self._read(position)
        planes, labels = _planes(sample.image), sample.marked
        inside, outside = labels > 0, labels == 0
        if not inside.any() or not outside.any():
            return 0.0
        difference = np.median(planes[:, inside], axis=1) - np.median(planes[:, outside], axis=1)
        return float(np.linalg.norm(difference)) / math.sqrt(len(planes))

    def _donor(self, position: int, cut: Cutout, symmetry: int, own: int, channels: int) -> Donor:
        sample = self._read(position)
        pad = RING + math.ceil(3 * self.config.feather)
        rows, columns = cut.box
        ys = np.arange(rows.start - pad, rows.stop + pad).clip(0, sample.labels.shape[0] - 1)
        xs = np.arange(columns.start - pad, columns.stop + pad).clip(0, sample.labels.shape[1] - 1)
        labels = sample.marked[np.ix_(ys, xs)]
        planes = to_channels(_planes(sample.image)[:, ys[:, None], xs], channels)
        mask = np.pad(cut.mask, pad)
        ring = ndimage.binary_dilation(mask, iterations=RING) & (labels == 0)
        rim = ring if ring.any() else mask
        background = np.median(planes[:, rim], axis=1)[:, None, None]
        alpha = np.minimum(1.0, 2.0 * ndimage.gaussian_filter(mask.astype(np.float32), self.config.feather))
        alpha[mask] = 1.0
        alpha[(labels > 0) & ~mask] = 0.0
        theirs, mine = self._contrast(position), self._contrast(own)
        gain = float(np.clip(mine / theirs, 1 / GAIN, GAIN)) if theirs > 0 and mine > 0 else 1.0
        turned = [dihedral(part, symmetry) for part in (mask, gain * (planes - background), alpha)]
        return Donor(*turned)


def blend(light: np.ndarray, canvas: Canvas, donor: Donor, corner: tuple[int, int]) -> None:
    """Paste an object into ``light`` ``(channels, height, width)`` and onto the canvas, the two in step.

    Parameters
    ----------
    corner
        Top left of the object's own bounding box.
    """
    rows, columns = ndimage.find_objects(donor.mask.astype(np.int8))[0]
    around = (corner[0] - rows.start, corner[1] - columns.start)
    here, part = overlapping_slices(canvas.labels.shape, donor.mask.shape, around)
    mask = donor.mask[part]
    free = canvas.labels[here] == 0
    alpha = np.where(free, donor.alpha[part], 0.0)
    target = light[:, here[0], here[1]]
    background = np.median(target[:, mask & free], axis=1)[:, None, None]
    target += alpha * (donor.light[:, part[0], part[1]] + background - target)
    canvas.place(donor.mask[rows, columns], corner)


def _background(sample: Sample) -> np.ndarray:
    """Return the median colour of what no object covers, ``(3,)``; of everything where objects cover it all."""
    planes, outside = _planes(sample.image), sample.marked == 0
    median = np.median(planes[:, outside] if outside.any() else planes.reshape(len(planes), -1), axis=1)
    return np.broadcast_to(median, (3,))


def _whites(train: SampleSet) -> np.ndarray:
    """Return the grey value that each image's colours are a part of, ``(images,)``: what those of its dtype reach."""
    reached = [(s.image.dtype, float(np.percentile(s.image, BRIGHTEST))) for s in train]
    whites = {dtype: max(value for other, value in reached if other == dtype) for dtype, _ in reached}
    return np.array([max(whites[dtype], np.iinfo(np.uint8).max) for dtype, _ in reached])


def _planes(image: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32)
