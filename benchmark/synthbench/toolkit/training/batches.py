"""The patch stream as torch tensors, on the device that trains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from synthbench.toolkit.training.patches import Draw, PatchStream

GPU_SHARE = 0.3
"""Share of a GPU's free memory that planes may fill; the rest is the network's."""

Planes = tuple[torch.Tensor, torch.Tensor]


class Batches:
    """The batches of a patch stream, by step: ``images, targets = batches[step]``.

    Images are ``(B, C, P, P)`` float32, targets ``(B, K, P, P)`` of the type that the stream's encoder gives. On a
    GPU, encoded samples are uploaded when they are first used and stay there while they fit; crops, flips and
    relighting are done there. On a CPU a batch is the stream's own, bit for bit.

    Parameters
    ----------
    stream
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:n"``.
    """

    def __init__(self, stream: PatchStream, device: str | torch.device) -> None:
        self.stream = stream
        self.device = torch.device(device)
        self._batch: Callable[[int], Planes] = self._from_stream
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            self._batch = DeviceCache(stream, self.device, int(GPU_SHARE * free)).batch

    def __len__(self) -> int:
        """Return the number of steps."""
        return self.stream.budget.steps

    def __getitem__(self, step: int) -> Planes:
        """Return the images and targets of a step; raise `IndexError` past the last."""
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of {len(self)}")
        return self._batch(step)

    def _from_stream(self, step: int) -> Planes:
        images, targets = self.stream.batch(step)
        return torch.from_numpy(images), torch.from_numpy(targets)


class DeviceCache:
    """Encoded samples kept on a device, and patches cut from them there.

    Parameters
    ----------
    stream
    device
    room
        Bytes that the samples may take; those that don't fit are uploaded each time they are used.
    """

    def __init__(self, stream: PatchStream, device: torch.device, room: int) -> None:
        self.stream = stream
        self.device = device
        self.room = room
        self._kept: dict[tuple[bool, int], Planes] = {}

    def batch(self, step: int) -> Planes:
        """Return a step's images and targets on the device."""
        size = self.stream.budget.batch_size
        draws = [self.stream.draw(slot) for slot in range(step * size, (step + 1) * size)]
        cuts = [self._cut(draw) for draw in draws]
        images = torch.stack([image for image, _ in cuts])
        targets = torch.stack([target for _, target in cuts])
        return (self._relight(images, draws) if self.stream.augment_intensity else images), targets

    def _cut(self, draw: Draw) -> Planes:
        image, target = self._planes(draw)
        rows, columns = self.stream.window(draw, image.shape[1], image.shape[2])
        return _dihedral(image[:, rows, columns], draw.symmetry), _dihedral(target[:, rows, columns], draw.symmetry)

    def _planes(self, draw: Draw) -> Planes:
        key = (draw.synthetic, draw.index)
        if key not in self._kept:
            image, target = self.stream.planes(draw)
            planes = self._upload(image), self._upload(target)
            size = sum(plane.nbytes for plane in planes)
            if size > self.room:
                return planes
            self.room -= size
            self._kept[key] = planes
        return self._kept[key]

    def _upload(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _relight(self, images: torch.Tensor, draws: list[Draw]) -> torch.Tensor:
        values = torch.tensor([(d.gain, d.offset, d.gamma) for d in draws], dtype=torch.float32, device=self.device)
        gain, offset, gamma = (column[:, None, None, None] for column in values.unbind(1))
        return gain * torch.where(images > 0, images.abs() ** gamma, images) + offset


def _dihedral(planes: torch.Tensor, symmetry: int) -> torch.Tensor:
    """Apply one of the eight symmetries of the square, as `synthbench.toolkit.training.patches.dihedral` does."""
    if symmetry >= 4:
        planes = planes.flip(-1)
    return torch.rot90(planes, symmetry % 4, (-2, -1))
