"""The patch stream as torch tensors, on the device that trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from synthbench.toolkit.training.patches import PatchStream, Slot

__all__ = ["Batches", "DeviceCache"]

GPU_MEMORY_FRACTION = 0.3
"""Fraction of a GPU's free memory that cached samples may take; the rest is for the network."""

ImageAndTarget: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class Batches:
    """The batches of a patch stream, by step: ``images, targets = batches[step]``.

    Images are ``(B, C, P, P)`` float32; targets are ``(B, K, P, P)``, of the dtype that the stream's encoding returns.
    On a GPU, encoded samples are uploaded when they are first used and kept while memory allows, and patches are
    cropped, flipped and augmented there. On a CPU a batch is the stream's own, bit for bit.

    Parameters
    ----------
    stream
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
    """

    def __init__(self, stream: PatchStream, device: str | torch.device) -> None:
        self.stream = stream
        self.device = torch.device(device)
        self._batch: Callable[[int], ImageAndTarget] = self._from_stream
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            self._batch = DeviceCache(stream, self.device, int(GPU_MEMORY_FRACTION * free)).batch

    def __len__(self) -> int:
        """Return the number of steps."""
        return self.stream.budget.steps

    def __getitem__(self, step: int) -> ImageAndTarget:
        """Return the images and targets of a step; raise `IndexError` after the last one."""
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of {len(self)}")
        return self._batch(step)

    def _from_stream(self, step: int) -> ImageAndTarget:
        images, targets = self.stream.batch(step)
        return torch.from_numpy(images), torch.from_numpy(targets)


class DeviceCache:
    """Keeps encoded samples on a device, and crops patches there.

    Parameters
    ----------
    stream
    device
    free_bytes
        Memory that the samples may take; those that don't fit are uploaded whenever they are used.
    """

    def __init__(self, stream: PatchStream, device: torch.device, free_bytes: int) -> None:
        self.stream = stream
        self.device = device
        self.free_bytes = free_bytes
        self._cache: dict[tuple[bool, int], ImageAndTarget] = {}

    def batch(self, step: int) -> ImageAndTarget:
        """Return the images and targets of a step, on the device."""
        slots = self.stream.slots(step)
        patches = [self._patch(slot) for slot in slots]
        images = torch.stack([image for image, _ in patches])
        targets = torch.stack([target for _, target in patches])
        return (self._adjust_intensity(images, slots) if self.stream.augment_intensity else images), targets

    def _patch(self, slot: Slot) -> ImageAndTarget:
        image, target = self._planes(slot)
        rows, columns = self.stream.crop(slot, image.shape[1], image.shape[2])
        return _dihedral(image[:, rows, columns], slot.symmetry), _dihedral(target[:, rows, columns], slot.symmetry)

    def _planes(self, slot: Slot) -> ImageAndTarget:
        key = (slot.synthetic, slot.index)
        if key in self._cache:
            return self._cache[key]
        image, target = self.stream.planes(slot)
        planes = self._upload(image), self._upload(target)
        size = sum(each.nbytes for each in planes)
        if size <= self.free_bytes:
            self.free_bytes -= size
            self._cache[key] = planes
        return planes

    def _upload(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _adjust_intensity(self, images: torch.Tensor, slots: list[Slot]) -> torch.Tensor:
        """Do what `synthbench.toolkit.training.patches.adjust_intensity` does."""
        values = torch.tensor([(s.gain, s.offset, s.gamma) for s in slots], dtype=torch.float32, device=self.device)
        gain, offset, gamma = (column[:, None, None, None] for column in values.unbind(1))
        return gain * torch.where(images > 0, images.abs() ** gamma, images) + offset


def _dihedral(planes: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Do what `synthbench.toolkit.training.patches.dihedral` does."""
    if symmetry >= 4:
        planes = planes.flip(-1)
    return torch.rot90(planes, symmetry % 4, (-2, -1))
