"""New label maps made from the training masks: flipped and rotated, or recombined object by object.

Mask-to-image generators get their masks here. The sampler uses the training masks only, and `MaskSampler.save` writes
all that it needs, so the artifact of a generator contains its masks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.samples import MASK, MAX_LABEL, SampleSet, Task
from synthbench.toolkit.masks._recombination import Layout, recombine
from synthbench.toolkit.masks.objects import (
    Cutout,
    cutouts,
    fraction_of_touching_objects,
    min_object_area,
    object_areas,
    relabel,
)
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training.patches import dihedral
from synthbench.types import LabelMap

__all__ = ["MaskSampler", "Mode", "SampledMask"]

Mode = Literal["train", "recombine", "mixed"]

SIMILAR_MASKS = 8
"""Number of training masks, those of the most similar object size, whose objects a recombined mask may contain."""

_FILE = "masks.npz"


@dataclass(frozen=True, eq=False)
class SampledMask:
    """A new label map, and how it was made.

    Attributes
    ----------
    labels : ndarray
        ``(height, width)`` int32. Instances: objects are connected and numbered 1 … n. Semantic: classes.
    source : int
        Position of the training mask that it has its size from, and either its objects or its target.
    recombined : bool
        Whether objects were rearranged.
    target, reached : float
        Foreground fraction that was aimed at, and the one of `labels`; 0 … 1.
    unplaced : int
        Objects for which no free place was found.
    removed : int
        Pieces that were removed because flipping, rotating or the image border left them too small.
    """

    labels: NDArray[np.int32]
    source: int
    recombined: bool
    target: float
    reached: float
    unplaced: int
    removed: int

    @property
    def groups(self) -> dict[str, str]:
        """The groups of a sample with this mask: whether the mask is a training mask or recombined."""
        return {MASK: "recombined" if self.recombined else "training"}


class MaskSampler:
    """Samples new label maps from training masks.

    Mode ``"train"`` uses every training mask once, in an order that depends on the seed, before any is used again. The
    mask is flipped and rotated by one of the eight symmetries that keep its height and width. Mode ``"recombine"``
    takes the size and the foreground fraction of a training mask, and pastes single objects, each flipped and rotated,
    without overlap until that fraction is covered. The objects come from the training masks of the most similar object
    size, so magnifications aren't mixed, and as many touch a neighbour as in the training masks. Mode ``"mixed"`` uses
    either, with equal probability.

    Parameters
    ----------
    masks
        Training label maps ``(height, width)``, integers; class maps for a semantic task.
    task
    mode
        A semantic task allows ``"train"`` only.
    object_layout
        Where recombined objects are placed. ``"scatter"``: anywhere; ``"discs"``: in one to four discs, as colonies.
    foreground_fraction
        Foreground fraction to aim at, 0 … 1; None: that of the training mask.
    touching_fraction
        Fraction of the recombined objects that are moved until they touch a neighbour, 0 … 1; None: that of the
        training masks.
    kinds
        What kind of image each mask belongs to, such as a cell type by number: only masks of the same kind are similar.
        None: all are of one kind.

    Attributes
    ----------
    min_area : int
        Smallest area of an object in pixels, by `synthbench.toolkit.masks.objects.min_object_area`.

    Raises
    ------
    ConfigError
        If the masks of a semantic task are to be recombined, or a fraction is out of range.
    DataError
        If there are no masks, or the masks of an instance task contain no objects.
    """

    def __init__(
        self,
        masks: Sequence[LabelMap],
        *,
        task: Task = "instances",
        mode: Mode = "train",
        object_layout: Layout = "scatter",
        foreground_fraction: float | None = None,
        touching_fraction: float | None = None,
        kinds: Sequence[int] | None = None,
    ) -> None:
        if task == "semantic" and mode != "train":
            raise ConfigError(f"mask_source: {mode} requires an instance-segmentation task; set mask_source: train")
        for name, value in (("foreground_fraction", foreground_fraction), ("touching_fraction", touching_fraction)):
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name}: {value} is invalid; expected 0 … 1")
        if len(masks) == 0:
            raise DataError("there are no training masks to sample from")
        self.masks = [mask.astype(np.min_scalar_type(int(mask.max(initial=0))), copy=False) for mask in masks]
        self.kinds = np.array(kinds if kinds is not None else [0] * len(masks))
        self.task: Task = task
        self.mode: Mode = mode
        self.object_layout: Layout = object_layout
        self.foreground_fraction = foreground_fraction
        self._touching_fraction = touching_fraction
        self.min_area = 1
        self.touching_fraction = touching_fraction or 0.0
        self._typical_areas = np.ones(len(masks))
        if task == "instances":
            self._measure()
        self._cutouts = lru_cache(maxsize=64)(self._cut)

    def _measure(self) -> None:
        areas = [object_areas(mask) for mask in self.masks]
        if not any(len(of_mask) for of_mask in areas):
            raise DataError("the training masks contain no objects")
        self._typical_areas = np.array([np.median(of_mask) if len(of_mask) else np.nan for of_mask in areas])
        self.min_area = min_object_area(self.masks)
        if self._touching_fraction is None and self.mode != "train":
            self.touching_fraction = fraction_of_touching_objects(self.masks)

    @classmethod
    def of(
        cls,
        samples: SampleSet,
        *,
        mode: Mode = "train",
        object_layout: Layout = "scatter",
        foreground_fraction: float | None = None,
        touching_fraction: float | None = None,
        kinds: Sequence[int] | None = None,
    ) -> MaskSampler:
        """Return a sampler of the masks of a training set."""
        masks = [sample.labels for sample in samples]
        return cls(
            masks,
            task=samples.task,
            mode=mode,
            object_layout=object_layout,
            foreground_fraction=foreground_fraction,
            touching_fraction=touching_fraction,
            kinds=kinds,
        )

    def sample_mask(self, index: int, seed: int, source: int | None = None) -> SampledMask:
        """Return the label map number `index` of a seed: it depends on the arguments alone.

        Parameters
        ----------
        index
            0 or above.
        seed
        source
            Position of the training mask to take; by default each is taken once before any is taken again.
        """
        epoch, place = divmod(index, len(self.masks))
        order = stream(seed, "masks.order", epoch).permutation(len(self.masks))
        rng = stream(seed, "masks.sample", index)
        source = int(order[place]) if source is None else source
        recombine = {"train": False, "recombine": True, "mixed": bool(rng.integers(2))}[self.mode]
        return self._recombine(source, rng) if recombine else self._transform(source, rng)

    def _transform(self, source: int, rng: np.random.Generator) -> SampledMask:
        mask = self.masks[source]
        square = mask.shape[0] == mask.shape[1]
        transformed = dihedral(mask, int(rng.choice(range(8) if square else (0, 2, 4, 6))))
        labels, removed = np.ascontiguousarray(transformed, dtype=np.int32), 0
        if self.task == "instances":
            labels, removed = relabel(labels, self.min_area)
        return SampledMask(labels, source, False, _foreground(mask), _foreground(labels), 0, removed)

    def _recombine(self, source: int, rng: np.random.Generator) -> SampledMask:
        shape = self.masks[source].shape
        target = _foreground(self.masks[source]) if self.foreground_fraction is None else self.foreground_fraction
        canvas, unplaced = recombine(
            self._similar_objects(source), shape, target, self.object_layout, self.touching_fraction, rng
        )
        labels, removed = relabel(canvas.labels, self.min_area)
        return SampledMask(labels, source, True, target, _foreground(labels), unplaced, removed)

    def similar_masks(self, position: int) -> list[int]:
        """Return the positions of the masks of the same kind and most similar object size, at most `SIMILAR_MASKS`.

        The mask itself comes first; for a semantic task it is the only one. A mask without objects is treated as one of
        the median object size.
        """
        if self.task == "semantic":
            return [position]
        sizes = np.log(self._typical_areas)
        size = sizes[position] if np.isfinite(sizes[position]) else float(np.nanmedian(sizes))
        distance = np.abs(sizes - size)
        distance[position] = -1.0
        distance[self.kinds != self.kinds[position]] = np.nan
        return [int(i) for i in np.argsort(distance, kind="stable")[:SIMILAR_MASKS] if np.isfinite(distance[i])]

    def _similar_objects(self, source: int) -> list[Cutout]:
        """Return the objects of the similar masks; only those that no image border cuts, if there are any."""
        objects = [cut for i in self.similar_masks(source) for cut in self._cutouts(i) if cut.area >= self.min_area]
        return [cut for cut in objects if cut.whole] or objects

    def _cut(self, position: int) -> list[Cutout]:
        return cutouts(self.masks[position])

    def save(self, folder: Path) -> None:
        """Write the masks and the settings into `folder`, which exists."""
        settings = {
            "task": self.task,
            "mode": self.mode,
            "object_layout": self.object_layout,
            "foreground_fraction": self.foreground_fraction,
            "touching_fraction": self._touching_fraction,
            "kinds": self.kinds.tolist(),
        }
        arrays = {f"mask_{i:06d}": mask for i, mask in enumerate(self.masks)}
        text = np.frombuffer(json.dumps(settings, sort_keys=True).encode(), np.uint8)
        np.savez_compressed(folder / _FILE, allow_pickle=False, settings=text, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what `save` wrote.

        Raises
        ------
        StoreError
            If the file is missing or damaged.
        """
        path = folder / _FILE
        try:
            with np.load(path, allow_pickle=False) as stored:
                settings = json.loads(bytes(stored["settings"]))
                masks = [stored[name] for name in sorted(stored.files) if name.startswith("mask_")]
            if any(m.ndim != 2 or m.dtype.kind != "u" or m.max(initial=0) > MAX_LABEL for m in masks):
                raise ValueError("an array isn't a label map")
            return cls(masks, **settings)
        except Exception as error:  # zip and npy readers raise anything on damaged input
            raise StoreError(f"{path}: the training masks can't be read: {error}; fit again") from None


def _foreground(labels: LabelMap) -> float:
    return float((labels > 0).mean())
