"""The patch stream: which sample, which crop, which flip comes next, drawn from the seed by the core.

Every segmenter of a seed sees the same real patches in the same order, and two arms differ in nothing but the
synthetic ones: the real patch of a slot depends on ``(seed, slot)`` alone, and a synthetic sample takes a slot's
place without moving the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from synthbench.plugin.api import Budget, TrainingMix
from synthbench.samples import Sample, SampleSet, check_sizes
from synthbench.toolkit.intensity.images import normalise, to_channels

Encode = Callable[[Sample], tuple[np.ndarray, np.ndarray]]
"""Sample → image planes ``(C, H, W)`` float32 and target planes ``(K, H, W)``; called once per sample, and kept."""

CACHE_BYTES = 4 * 2**30
_REAL, _SYNTHETIC, _ORDER = 1, 2, 3
_ORDERS = 16
"""Epochs whose order is remembered."""


@dataclass(frozen=True)
class Draw:
    """One slot of the stream.

    Attributes
    ----------
    synthetic : bool
        From the synthetic samples, or the real ones.
    index : int
        Position in its sample set.
    y, x : float
        Where the crop lies between the first and the last place it can, 0 … 1: the same for every patch size.
    symmetry : int
        One of the eight flips and rotations; see `dihedral`.
    gain, offset, gamma : float
        Conventional intensity augmentation of the normalised image; see `relight`.
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
        Real and synthetic samples, and the share of the slots that synthetic ones take. Slots are dealt out
        evenly: any run of k slots holds ``share · k`` synthetic ones, give or take one.
    budget
    seed
    encode
        What is cut from; by default the normalised image, and the label map as the one target plane, −1 where the
        label is unknown (`synthbench.samples.Sample.marked`).
    augment_intensity
        Whether intensity augmentation is on.

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
        encode: Encode | None = None,
        augment_intensity: bool = True,
    ) -> None:
        self.mix = mix
        self.budget = budget
        self.seed = seed
        self.augment_intensity = augment_intensity
        self.channels = 3 if any(e.channels == 3 for e in mix.reference.entries) else 1
        self._encode = encode or self._plain
        self._cache: dict[tuple[bool, int], tuple[np.ndarray, np.ndarray]] = {}
        self._cached = 0
        self._orders: dict[tuple[bool, int], np.ndarray] = {}
        for samples in (mix.real, mix.synthetic):
            check_sizes(samples, budget.patch_size)

    def __len__(self) -> int:
        return self.budget.steps * self.budget.batch_size

    def draw(self, slot: int) -> Draw:
        """Return what is in a slot; any slot, in any order."""
        share = self.mix.synthetic_ratio
        synthetic = int((slot + 1) * share) > int(slot * share)
        samples = self._samples(synthetic)
        turn = int(slot * share) if synthetic else slot
        epoch, place = divmod(turn, len(samples))
        rng = np.random.default_rng((self.seed, _SYNTHETIC if synthetic else _REAL, slot))
        y, x, gain, offset, gamma = rng.random(5)
        return Draw(
            synthetic=synthetic,
            index=int(self._order(synthetic, epoch)[place]),
            y=float(y),
            x=float(x),
            symmetry=int(rng.integers(8)),
            gain=0.7 + 0.7 * float(gain),
            offset=0.2 * float(offset) - 0.1,
            gamma=2.0 ** (float(gamma) - 0.5),
        )

    def planes(self, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """Return the encoded planes of a draw's whole sample: image and targets, kept in memory while they fit."""
        key = (draw.synthetic, draw.index)
        if key in self._cache:
            return self._cache[key]
        image, target = self._encode(self._samples(draw.synthetic)[draw.index])
        pair = (to_channels(image, self.channels), target)
        size = pair[0].nbytes + pair[1].nbytes
        if self._cached + size <= CACHE_BYTES:
            self._cache[key] = pair
            self._cached += size
        return pair

    def cut(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a slot's patch: image ``(C, P, P)`` float32 and targets ``(K, P, P)``."""
        draw = self.draw(slot)
        image, target = self.planes(draw)
        window = self.window(draw, image.shape[1], image.shape[2])
        patch = dihedral(image[:, window[0], window[1]], draw.symmetry)
        cut_target = dihedral(target[:, window[0], window[1]], draw.symmetry)
        if self.augment_intensity:
            patch = relight(patch, draw.gain, draw.offset, draw.gamma)
        return np.ascontiguousarray(patch), np.ascontiguousarray(cut_target)

    def window(self, draw: Draw, height: int, width: int) -> tuple[slice, slice]:
        """Return the rows and columns of a draw's crop in an image of this size."""
        size = self.budget.patch_size
        top = int(draw.y * (height - size + 1))
        left = int(draw.x * (width - size + 1))
        return slice(top, top + size), slice(left, left + size)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a step's patches: images ``(B, C, P, P)`` float32 and targets ``(B, K, P, P)``."""
        first = step * self.budget.batch_size
        cuts = [self.cut(slot) for slot in range(first, first + self.budget.batch_size)]
        return np.stack([image for image, _ in cuts]), np.stack([target for _, target in cuts])

    def first(self, count: int) -> np.ndarray:
        """Return the patches of the first slots, image and targets joined: ``(count, C + K, P, P)``, or fewer."""
        return np.stack([np.concatenate(self.cut(slot)) for slot in range(min(count, len(self)))])

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (self.batch(step) for step in range(self.budget.steps))

    def _samples(self, synthetic: bool) -> SampleSet:
        samples = self.mix.synthetic if synthetic else self.mix.real
        assert samples is not None
        return samples

    def _order(self, synthetic: bool, epoch: int) -> np.ndarray:
        """Every sample once per epoch, in an order of that epoch's own."""
        key = (synthetic, epoch)
        if key not in self._orders:
            if len(self._orders) >= _ORDERS:
                self._orders.clear()
            rng = np.random.default_rng((self.seed, _ORDER, int(synthetic), epoch))
            self._orders[key] = rng.permutation(len(self._samples(synthetic)))
        return self._orders[key]

    def _plain(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        return normalise(sample.image), sample.marked[None]


def dihedral(planes: np.ndarray, symmetry: int) -> np.ndarray:
    """Apply one of the eight symmetries of the square to the last two axes: 0 is none, +4 mirrors, then turns."""
    if symmetry >= 4:
        planes = planes[..., ::-1]
    return np.rot90(planes, symmetry % 4, axes=(-2, -1))


def relight(image: np.ndarray, gain: float, offset: float, gamma: float) -> np.ndarray:
    """Return ``gain · max(image, 0)^gamma + offset``, float32; values below 0 only get gain and offset."""
    return (gain * np.where(image > 0, np.abs(image) ** gamma, image) + offset).astype(np.float32)
