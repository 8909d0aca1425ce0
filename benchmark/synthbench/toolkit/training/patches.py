"""The patch stream: which sample, which crop, which flip comes next, drawn from the seed.

Every segmenter of a seed sees the same real patches in the same order, and two arms differ in the synthetic patches
only: the real patch of a slot depends on ``(seed, slot)`` alone, and a synthetic one takes the place of a slot without
moving the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from synthbench.plugin.api import Budget, TrainingMix
from synthbench.samples import Sample, SampleSet, check_sizes
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.rng import stream
from synthbench.types import IntArray, Planes

__all__ = ["EncodeSample", "PatchStream", "Slot", "adjust_intensity", "channels_of", "dihedral"]

TargetPlanes: TypeAlias = NDArray[Any]
"""What a network is trained to predict, ``(K, H, W)``, of any numeric dtype."""

EncodeSample: TypeAlias = Callable[[Sample], tuple[Planes, TargetPlanes]]
"""Sample → image planes ``(C, H, W)`` float32 and target planes ``(K, H, W)``; called once per sample, and cached."""

CACHE_BYTES = 4 * 2**30
"""Memory that the encoded samples of one stream may take."""

_CACHED_ORDERS = 16
"""Epochs whose order is cached."""

ArrayT = TypeVar("ArrayT", bound=NDArray[Any])


@dataclass(frozen=True)
class Slot:
    """One slot of the stream.

    Attributes
    ----------
    synthetic : bool
        Whether its sample is synthetic.
    index : int
        Position of the sample in its set.
    y, x : float
        Where the crop lies between the first and the last possible place, 0 … 1, whatever the patch size is.
    symmetry : int
        One of the eight flips and rotations; see `dihedral`.
    gain, offset, gamma : float
        Intensity augmentation of the normalised image; see `adjust_intensity`.
    """

    synthetic: bool
    index: int
    y: float
    x: float
    symmetry: int
    gain: float
    offset: float
    gamma: float


class PatchStream:
    """The training patches of one arm and seed: ``steps × batch_size`` slots.

    Parameters
    ----------
    mix
        Real and synthetic samples, and the ratio of the slots that synthetic ones take. By the schedule ``mix`` they
        are spread evenly: among any k consecutive slots ``ratio · k`` are synthetic, plus or minus one. By
        ``synthetic-first`` they take all slots of the first ``ratio · steps`` steps, rounded, at least one, and real
        ones those of the other steps, at least one.
    budget
    seed
    encode
        What patches are cropped from; by default the normalised image, and the label map as the only target plane, −1
        where the label is unknown (`synthbench.samples.Sample.marked`).
    augment_intensity
        Whether the intensities of patches are augmented.
    channels
        Of the image patches; by default those of the mix's reference. See `channels_of`.

    Raises
    ------
    DataError
        If an image is smaller than a patch.
    """

    def __init__(
        self,
        mix: TrainingMix,
        budget: Budget,
        seed: int,
        *,
        encode: EncodeSample | None = None,
        augment_intensity: bool = True,
        channels: int | None = None,
    ) -> None:
        self.mix = mix
        self.budget = budget
        self.seed = seed
        self.augment_intensity = augment_intensity
        self.channels = channels or channels_of(mix)
        self._encode = encode or _default_encoding
        self._cache: dict[tuple[bool, int], tuple[Planes, TargetPlanes]] = {}
        self._cached_bytes = 0
        self._orders: dict[tuple[bool, int], IntArray] = {}
        for samples in (mix.real, mix.synthetic):
            check_sizes(samples, budget.patch_size)

    def __len__(self) -> int:
        """Return the number of slots."""
        return self.budget.steps * self.budget.batch_size

    def __iter__(self) -> Iterator[tuple[Planes, TargetPlanes]]:
        """Yield the batches of all steps."""
        return (self.batch(step) for step in range(self.budget.steps))

    def slot(self, number: int) -> Slot:
        """Return what is in a slot; slots can be asked for in any order."""
        synthetic, turn = self._turn(number)
        samples = self._samples(synthetic)
        epoch, place = divmod(turn, len(samples))
        rng = stream(self.seed, "patches.synthetic" if synthetic else "patches.real", number)
        y, x, gain, offset, gamma = rng.random(5)
        return Slot(
            synthetic=synthetic,
            index=int(self._order(synthetic, epoch)[place]),
            y=float(y),
            x=float(x),
            symmetry=int(rng.integers(8)),
            gain=0.7 + 0.7 * float(gain),
            offset=0.2 * float(offset) - 0.1,
            gamma=2.0 ** (float(gamma) - 0.5),
        )

    def _turn(self, number: int) -> tuple[bool, int]:
        """Return whether a slot's sample is synthetic, and how many of its kind come before it."""
        ratio = self.mix.synthetic_ratio
        if self.mix.schedule == "mix" or ratio in (0, 1):
            synthetic = int((number + 1) * ratio) > int(number * ratio)
            return synthetic, int(number * ratio) if synthetic else number
        steps = max(1, min(round(self.budget.steps * ratio), self.budget.steps - 1))
        return number < steps * self.budget.batch_size, number

    def slots(self, step: int) -> list[Slot]:
        """Return what is in the slots of a step."""
        size = self.budget.batch_size
        return [self.slot(number) for number in range(step * size, (step + 1) * size)]

    def planes(self, slot: Slot) -> tuple[Planes, TargetPlanes]:
        """Return the encoded planes of a slot's whole sample: image and targets, cached while memory allows."""
        key = (slot.synthetic, slot.index)
        if key in self._cache:
            return self._cache[key]
        image, target = self._encode(self._samples(slot.synthetic)[slot.index])
        planes = (to_channels(image, self.channels), target)
        size = planes[0].nbytes + planes[1].nbytes
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[key] = planes
            self._cached_bytes += size
        return planes

    def crop(self, slot: Slot, height: int, width: int) -> tuple[slice, slice]:
        """Return the rows and columns of a slot's patch in an image of this size."""
        size = self.budget.patch_size
        top = int(slot.y * (height - size + 1))
        left = int(slot.x * (width - size + 1))
        return slice(top, top + size), slice(left, left + size)

    def patch(self, number: int) -> tuple[Planes, TargetPlanes]:
        """Return the patch of a slot: image ``(C, P, P)`` float32 and targets ``(K, P, P)``."""
        slot = self.slot(number)
        image, target = self.planes(slot)
        rows, columns = self.crop(slot, image.shape[1], image.shape[2])
        image_patch = dihedral(image[:, rows, columns], slot.symmetry)
        target_patch = dihedral(target[:, rows, columns], slot.symmetry)
        if self.augment_intensity:
            image_patch = adjust_intensity(image_patch, slot.gain, slot.offset, slot.gamma)
        return np.ascontiguousarray(image_patch), np.ascontiguousarray(target_patch)

    def batch(self, step: int) -> tuple[Planes, TargetPlanes]:
        """Return the patches of a step: images ``(B, C, P, P)`` float32 and targets ``(B, K, P, P)``."""
        first = step * self.budget.batch_size
        patches = [self.patch(number) for number in range(first, first + self.budget.batch_size)]
        return np.stack([image for image, _ in patches]), np.stack([target for _, target in patches])

    def first_patches(self, count: int) -> Planes:
        """Return the patches of the first slots, image and targets joined: ``(n, C + K, P, P)``, n ≤ `count`."""
        return np.stack([np.concatenate(self.patch(number)) for number in range(min(count, len(self)))])

    def _samples(self, synthetic: bool) -> SampleSet:
        samples = self.mix.synthetic if synthetic else self.mix.real
        assert samples is not None
        return samples

    def _order(self, synthetic: bool, epoch: int) -> IntArray:
        """Return the order of the samples in an epoch: a permutation of its own."""
        key = (synthetic, epoch)
        if key not in self._orders:
            if len(self._orders) >= _CACHED_ORDERS:
                self._orders.clear()
            rng = stream(self.seed, "patches.synthetic.order" if synthetic else "patches.real.order", epoch)
            self._orders[key] = rng.permutation(len(self._samples(synthetic)))
        return self._orders[key]


def channels_of(mix: TrainingMix) -> int:
    """Return the channels of a mix's reference: 1 … 4, and 3 if any image of a grey set has colours."""
    return mix.reference.channels


def _default_encoding(sample: Sample) -> tuple[Planes, TargetPlanes]:
    return normalise(sample.image), sample.marked[None]


def dihedral(planes: ArrayT, symmetry: int) -> ArrayT:
    """Apply one of the eight symmetries of the square to the last two axes.

    Parameters
    ----------
    planes
        ``(…, H, W)``.
    symmetry
        0 … 3: that many quarter turns; 4 … 7: mirrored, then ``symmetry − 4`` quarter turns.
    """
    mirrored = planes[..., ::-1] if symmetry >= 4 else planes
    return cast(ArrayT, np.rot90(mirrored, symmetry % 4, axes=(-2, -1)))


def adjust_intensity(image: Planes, gain: float, offset: float, gamma: float) -> Planes:
    """Return ``gain · image^gamma + offset``, float32; the exponent doesn't apply to values below 0."""
    adjusted: Planes = (gain * np.where(image > 0, np.abs(image) ** gamma, image) + offset).astype(np.float32)
    return adjusted
