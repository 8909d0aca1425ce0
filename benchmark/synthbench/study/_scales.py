"""The scale of a study: by how much the images of each dataset are scaled, from its training images alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from synthbench.errors import ConfigError, DataError
from synthbench.io.atomic import atomic_write
from synthbench.plugin.api import Progress
from synthbench.samples import SampleSet, check_sizes
from synthbench.store import OTHER_STORE, Store, disk_errors, key_of
from synthbench.study._object_sizes import FEW_PIXELS, ScaledObjects, object_diameters, scaled_objects
from synthbench.study.model import Scale
from synthbench.study.provenance import core_source
from synthbench.study.scaling import scaled_shape, scaled_side
from synthbench.types import FloatArray

__all__ = ["AUTO", "LARGEST_PART", "NONE", "Scaler", "Scaling", "check_scaled_sizes"]

NONE, AUTO = "none", "auto"

LARGEST_PART = 3
"""Objects are large where their median diameter is more than 1/3 of a training patch."""

SMALLEST, LARGEST = 0.05, 5.0
"""Factors outside these are refused."""

_DIGITS = 4
"""Decimal places of a factor."""

_NEGLIGIBLE = 0.02
"""Images aren't resampled for a change of size that is smaller than this."""

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Scaling:
    """How the images of a dataset are scaled in one fold.

    Attributes
    ----------
    factor : float
        Size of the scaled images, relative to the original ones; 1 where they stay as they are.
    diameter : float
        Median diameter of the objects of the training images in pixels at the original size; 0 where it wasn't
        measured: there are no objects, or they are small in any case.
    images, objects : int
        Number of training images and of their objects, 0 where they weren't measured.
    target : float
        The diameter that images are brought to; 0 where they stay as they are.
    too_large_for : mapping
        Plugins whose training patches are small for the scaled objects → side of the patch.
    smallest_side : int
        The smallest side of a training image in pixels where ``auto`` would scale further down, but patches must fit
        into this image; 0 otherwise.
    scaled : ScaledObjects or None
        What becomes of the objects of training and validation images, where they are scaled down.
    """

    factor: float = 1.0
    diameter: float = 0.0
    images: int = 0
    objects: int = 0
    target: float = 0.0
    too_large_for: Mapping[str, int] = field(default_factory=dict)
    smallest_side: int = 0
    scaled: ScaledObjects | None = None


class Scaler:
    """Finds the scale of datasets, and remembers in the store what it measured.

    Parameters
    ----------
    scale
        What the study says.
    patches
        Plugins that train → side of their training patches in pixels.
    store, progress
    """

    def __init__(self, scale: Scale, patches: Mapping[str, int], store: Store, progress: Progress) -> None:
        self._scale, self._patches, self._store, self._progress = scale, patches, store, progress
        self._diameters: dict[str, FloatArray] = {}

    def find(self, train: SampleSet, validation: SampleSet, owner: str) -> Scaling:
        """Return the scale of the images of a fold.

        Parameters
        ----------
        train
            All training images of the fold.
        validation
            Its validation images: what becomes of their objects is counted, and nothing else depends on them.
        owner
            Begins the message of an error.

        Raises
        ------
        ConfigError
            If the factor is beyond 0.05 … 5.
        """
        if self._scale == NONE and not self._may_be_large(train):
            return Scaling()
        diameter, objects = self._median_diameter(train)
        target, smallest_side = self._target(diameter, train)
        return self._scaling(train, validation, owner, diameter, objects, target, smallest_side)

    def find_beside(self, train: SampleSet, validation: SampleSet, owner: str, beside: Scaling) -> Scaling:
        """Return the scale of a dataset that segmenters are trained on first: to the diameter of the study's dataset.

        Where that isn't scaled, it is as in a study of this dataset. See `find` for the other parameters.
        """
        if self._scale == NONE:
            return Scaling()
        diameter, objects = self._median_diameter(train)
        target, smallest_side = (beside.target, 0) if beside.target else self._target(diameter, train)
        return self._scaling(train, validation, owner, diameter, objects, target, smallest_side)

    def _scaling(
        self,
        train: SampleSet,
        validation: SampleSet,
        owner: str,
        diameter: float,
        objects: int,
        target: float,
        smallest_side: int,
    ) -> Scaling:
        factor = round(target / diameter, _DIGITS) if target and diameter else 1.0
        if smallest_side:  # rounded up, so that the patch fits
            factor = min(1.0, math.ceil(max(self._patches.values()) / smallest_side * 10**_DIGITS) / 10**_DIGITS)
        if abs(factor - 1) < _NEGLIGIBLE:
            factor = 1.0
        if not SMALLEST <= factor <= LARGEST:
            raise ConfigError(
                f"{owner}: scale {self._scale}: objects with a median diameter of {diameter:.1f} px would be brought "
                f"to {target:.1f} px by a factor of {target / diameter:.3g}; expected a factor from {SMALLEST} to "
                f"{LARGEST:g}: {self._remedy(diameter)}"
            )
        scaled = self._scaled_objects((train, validation), factor) if factor < 1 else None
        largest = diameter * factor * (1 - _NEGLIGIBLE)
        is_large = {title: patch for title, patch in self._patches.items() if largest > patch / LARGEST_PART}
        return Scaling(
            factor,
            diameter,
            len(train),
            objects,
            target,
            is_large if train.task == "instances" else {},
            smallest_side,
            scaled,
        )

    def _remedy(self, diameter: float) -> str:
        if self._scale == AUTO:
            return f"use larger patches (--patch), or scale: {NONE}"
        low, high = math.ceil(diameter * SMALLEST), math.floor(diameter * LARGEST)
        return f"use scale: {AUTO}, or a diameter from {low} to {high}"

    def _target(self, diameter: float, train: SampleSet) -> tuple[float, int]:
        """Return the diameter that images are brought to, 0 for their own, and the smallest side if it sets a limit."""
        if not diameter or self._scale == NONE:
            return 0.0, 0
        if self._scale != AUTO:
            return float(self._scale), 0
        if not self._patches:
            return 0.0, 0
        target = min(self._patches.values()) / LARGEST_PART
        if diameter <= target:
            return 0.0, 0
        smallest = min(min(entry.height, entry.width) for entry in train.entries)
        fits = max(self._patches.values()) / smallest
        if target / diameter >= fits:
            return target, 0
        return (float(round(fits * diameter)) if fits < 1 else 0.0), smallest

    def _may_be_large(self, train: SampleSet) -> bool:
        """Whether objects may be large for a patch, as far as the index tells; their pixels needn't be read otherwise.

        At least half of the objects are as large as the median, so that the mean area is at least half of its area.
        """
        objects = sum(entry.objects for entry in train.entries)
        if train.task != "instances" or not objects or not self._patches:
            return False
        area = sum(entry.covered * entry.height * entry.width for entry in train.entries) / objects
        return 2 * math.sqrt(2 * area / math.pi) > min(self._patches.values()) / LARGEST_PART

    def _median_diameter(self, samples: SampleSet) -> tuple[float, int]:
        """Return the median diameter of the objects of all images, 0 without objects, and their number."""

        def measure() -> dict[str, Any]:
            for number, entry in enumerate(samples.entries):
                if entry.digest not in self._diameters:
                    self._diameters[entry.digest] = object_diameters(samples[number].labels, samples.task)
                self._progress(number + 1, len(samples), "measuring objects")
            every = np.concatenate([self._diameters[entry.digest] for entry in samples.entries])
            return {"median": float(np.median(every)) if len(every) else 0.0, "objects": len(every)}

        found = self._remembered("diameter", {"images": samples.fingerprint}, measure)
        return float(found["median"]), int(found["objects"])

    def _scaled_objects(self, sets: Sequence[SampleSet], factor: float) -> ScaledObjects | None:
        """Return what becomes of objects at a scale; None for classes."""
        if sets[0].task != "instances":
            return None

        def measure(samples: SampleSet) -> dict[str, Any]:
            total = ScaledObjects()
            for number, sample in enumerate(samples, 1):
                total += scaled_objects(sample.labels, factor)
                self._progress(number, len(samples), "measuring scaled objects")
            return asdict(total)

        total = ScaledObjects()
        for samples in sets:
            question = {"images": samples.fingerprint, "factor": factor, "few": FEW_PIXELS}
            total += ScaledObjects(**self._remembered("scaled", question, partial(measure, samples)))
        return total

    def _remembered(
        self, what: str, question: Mapping[str, Any], measure: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return what the store remembers of earlier measurements, or measure it."""
        key = key_of({**question, "code": core_source("object-sizes")})
        memo = self._store.root / ".memo" / f"{what}-{key}.json"
        try:
            found = json.loads(memo.read_text(encoding="utf-8"))
            if isinstance(found, dict) and all(isinstance(value, int | float) for value in found.values()):
                return found
        except (OSError, ValueError):
            pass
        found = measure()
        with disk_errors(memo):
            memo.parent.mkdir(exist_ok=True)
        atomic_write(memo, json.dumps(found), OTHER_STORE)
        return found


def check_scaled_sizes(samples: SampleSet | None, patch_size: int, scaling: Scaling) -> None:
    """Raise `DataError`, naming the first image, if a scaled image is smaller than a training patch."""
    factor = scaling.factor
    if factor == 1 or samples is None:
        check_sizes(samples, patch_size)
        return
    for entry in samples.entries:
        side = min(entry.height, entry.width)
        if scaled_side(side, factor) < patch_size:
            height, width = scaled_shape((entry.height, entry.width), factor)
            fitting = [f"--patch {2 ** (scaled_side(side, factor).bit_length() - 1)}"]
            if side >= patch_size:
                fitting.append(f"scale: {math.ceil(patch_size / side * scaling.diameter)} or more")
            raise DataError(
                f"sample {entry.id!r} is {entry.height}×{entry.width}, and at the scale {factor:g} {height}×{width}, "
                f"smaller than a patch of {patch_size}; use {', '.join(fitting)}, or leave the image out"
            )
