"""New label maps from training masks only: turned and mirrored, or recombined object by object.

The conditional generators draw their masks here. Nothing but the training masks is ever looked at, and what
`MaskSampler.save` writes is all it needs, so a generator's artifact holds its mask bank.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np

from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.samples import MASK, MAX_LABEL, SampleSet, Task
from synthbench.toolkit.masks.objects import (
    Cutout,
    areas,
    cutouts,
    fraction_of_touching_objects,
    min_object_area,
    relabel,
)
from synthbench.toolkit.masks.placement import Canvas
from synthbench.toolkit.training.patches import dihedral

Mode = Literal["train", "recombine", "mixed"]
Layout = Literal["scatter", "discs"]

NEIGHBOURS = 8
"""How many training masks of the most similar object size lend their objects to a recombined mask."""
ROUNDS = 4
"""How often a recombined mask that is short of its target is added to."""
DISC_FILL = 0.4
"""Share of the discs' area that the objects of a colony are meant to cover."""

_FILE = "masks.npz"
_ORDER, _DRAW = 31, 32


@dataclass(frozen=True, eq=False)
class SampledMask:
    """A new label map, and how it came about.

    Attributes
    ----------
    labels : ndarray
        ``(height, width)`` int32. Instances: objects are connected and numbered 1 … n. Semantic: classes.
    source : int
        Position of the training mask that gave the size, and the mask itself or the target.
    recombined : bool
    target, reached : float
        Covered share that was aimed at, and what it became; 0 … 1.
    unplaced : int
        Objects that no room was found for.
    removed : int
        Pieces that were cut to specks, and removed.
    """

    labels: np.ndarray
    source: int
    recombined: bool
    target: float
    reached: float
    unplaced: int
    removed: int

    @property
    def groups(self) -> dict[str, str]:
        """What a sample of this mask says of where it comes from."""
        return {MASK: "recombined" if self.recombined else "training"}


class MaskSampler:
    """Draws label maps from training masks.

    Mode ``"train"`` takes every training mask once, in an order of the seed, before any comes again; flipped and
    turned by those of the eight symmetries that keep its height and width. Mode ``"recombine"`` takes the size and
    the covered share of a training mask, and pastes single objects of the training masks that are nearest to it in
    object size (so magnifications don't mix), each flipped and turned, without overlap, until that share is covered.
    As many of them touch a neighbour as do in the training masks. Mode ``"mixed"`` does either, with even chances.

    Parameters
    ----------
    masks
        Training label maps ``(height, width)``, whole numbers; class maps for a semantic task.
    task
    mode
        Semantic class maps can't be recombined.
    object_layout
        Where recombined objects lie: ``"scatter"``, anywhere; ``"discs"``, in one to four discs, as colonies do.
    foreground_fraction
        Covered share to aim at, instead of the training mask's own; 0 … 1.
    touching_fraction
        Share of recombined objects that are moved up to a neighbour, instead of the training masks' own; 0 … 1.

    Raises
    ------
    ConfigError
        If a semantic task is to be recombined, or a share is out of range.
    DataError
        If there are no masks, or an instance task has no objects at all.
    """

    def __init__(
        self,
        masks: Sequence[np.ndarray],
        *,
        task: Task = "instances",
        mode: Mode = "train",
        object_layout: Layout = "scatter",
        foreground_fraction: float | None = None,
        touching_fraction: float | None = None,
    ) -> None:
        if task == "semantic" and mode != "train":
            raise ConfigError(f"mask_source: {mode} requires an instance-segmentation task; set mask_source: train")
        for name, value in (("foreground_fraction", foreground_fraction), ("touching_fraction", touching_fraction)):
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name}: {value} is invalid; expected 0 … 1")
        if len(masks) == 0:
            raise DataError("there are no training masks to draw new ones from")
        self.masks = [mask.astype(np.min_scalar_type(int(mask.max(initial=0))), copy=False) for mask in masks]
        self.task: Task = task
        self.mode: Mode = mode
        self.object_layout: Layout = object_layout
        self.foreground_fraction = foreground_fraction
        self._touching_fraction = touching_fraction
        self.limit = 1
        self.touching_fraction = touching_fraction or 0.0
        self._sizes = np.ones(len(masks))
        if task == "instances":
            self._measure()
        self._cutouts = lru_cache(maxsize=64)(self._cut)

    def _measure(self) -> None:
        found = [areas(mask) for mask in self.masks]
        if not any(len(a) for a in found):
            raise DataError("the training masks hold no objects: there is nothing to draw new masks from")
        self._sizes = np.array([np.median(a) if len(a) else np.nan for a in found])
        self.limit = min_object_area(self.masks)
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
    ) -> MaskSampler:
        """Return a sampler of a training set's masks."""
        masks = [sample.labels for sample in samples]
        return cls(
            masks,
            task=samples.task,
            mode=mode,
            object_layout=object_layout,
            foreground_fraction=foreground_fraction,
            touching_fraction=touching_fraction,
        )

    def draw(self, seed: int, index: int) -> np.ndarray:
        """Return label map `index` of `seed`, ``(height, width)`` int32: a function of the two alone."""
        return self.sample(seed, index).labels

    def sample(self, seed: int, index: int) -> SampledMask:
        """Return label map `index` of `seed`, with its source and what was lost on the way."""
        epoch, place = divmod(index, len(self.masks))
        order = np.random.default_rng((seed, _ORDER, epoch)).permutation(len(self.masks))
        rng = np.random.default_rng((seed, _DRAW, index))
        source = int(order[place])
        recombine = {"train": False, "recombine": True, "mixed": bool(rng.integers(2))}[self.mode]
        return self._recombined(source, rng) if recombine else self._turned(source, rng)

    def _turned(self, source: int, rng: np.random.Generator) -> SampledMask:
        mask = self.masks[source]
        square = mask.shape[0] == mask.shape[1]
        turned = dihedral(mask, int(rng.choice(range(8) if square else (0, 2, 4, 6))))
        labels, removed = np.ascontiguousarray(turned, dtype=np.int32), 0
        if self.task == "instances":
            labels, removed = relabel(labels, self.limit)
        share = _share(labels)
        return SampledMask(labels, source, False, _share(mask), share, 0, removed)

    def _recombined(self, source: int, rng: np.random.Generator) -> SampledMask:
        shape = self.masks[source].shape
        share = _share(self.masks[source]) if self.foreground_fraction is None else self.foreground_fraction
        goal = share * shape[0] * shape[1]
        allowed = _discs(shape, goal, rng) if self.object_layout == "discs" else None
        canvas = Canvas(np.zeros(shape, np.int32), allowed)
        pool = self._pool(source)
        unplaced = 0
        for _ in range(ROUNDS):
            batch = _enough(pool, goal - canvas.covered, rng)
            before = canvas.count
            for mask in batch:
                corner = canvas.find(mask, rng, touch=bool(rng.random() < self.touching_fraction))
                if corner is None:
                    unplaced += 1
                else:
                    canvas.put(mask, corner)
            if canvas.count == before:
                break
        labels, removed = relabel(canvas.labels, self.limit)
        return SampledMask(labels, source, True, share, _share(labels), unplaced, removed)

    def similar_masks(self, position: int) -> list[int]:
        """Return the training masks nearest in object size to one of them, itself first: at most `NEIGHBOURS`.

        A mask without objects has the set's usual size. For a semantic task it is the mask itself alone.
        """
        if self.task == "semantic":
            return [position]
        sizes = np.log(self._sizes)
        own = sizes[position] if np.isfinite(sizes[position]) else float(np.nanmedian(sizes))
        distance = np.abs(sizes - own)
        distance[position] = -1.0
        return [int(i) for i in np.argsort(distance, kind="stable")[:NEIGHBOURS] if np.isfinite(distance[i])]

    def _pool(self, source: int) -> list[Cutout]:
        """Return the objects of the masks nearest in object size: whole ones, where there are any."""
        objects = [cut for i in self.similar_masks(source) for cut in self._cutouts(i) if cut.area >= self.limit]
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
                raise ValueError("an array is no label map")
            return cls(masks, **settings)
        except Exception as error:  # zip and npy readers raise anything on damaged input
            raise StoreError(f"{path}: the training masks can't be read: {error}; fit again") from None


def _share(labels: np.ndarray) -> float:
    return float((labels > 0).mean())


def _enough(pool: list[Cutout], missing: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Return random objects, flipped and turned, of `missing` pixels in all give or take one, largest first."""
    chosen: list[np.ndarray] = []
    while pool:
        cut = pool[rng.integers(len(pool))]
        if missing < cut.area / 2:
            break
        missing -= cut.area
        chosen.append(np.ascontiguousarray(dihedral(cut.mask, int(rng.integers(8)))))
    return sorted(chosen, key=lambda mask: -int(mask.sum()))


def _discs(shape: tuple[int, ...], goal: float, rng: np.random.Generator) -> np.ndarray:
    """Return where colonies lie, ``shape`` bool: one to four equal discs with room for `goal` pixels of objects."""
    count = int(rng.integers(1, 5))
    centres = (rng.random((count, 2)) * shape).tolist()
    room = min(goal / DISC_FILL, shape[0] * shape[1])
    radius = float(np.sqrt(room / count / np.pi))
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    while inside.sum() < room:
        for y, x in centres:
            inside |= (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        radius *= 1.1
    return inside
