"""From images to detections, and from detections to label maps.

A detection is a box, a score, and a mask of 28² probabilities within the box. Masks are pasted one by one, so that an
image with a thousand objects takes no more memory than one with ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from synthbench import Instances
from synthbench.toolkit.training.loop import autocast
from synthbench.types import FloatArray, Planes
from synthbench_maskrcnn.sizes import TILE, Geometry
from synthbench_maskrcnn.targets import enlarge

__all__ = ["GRID", "START", "Detections", "assemble", "cores", "detect", "paste"]

GRID: Mapping[str, Sequence[float]] = {
    "score": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
    "mask": (0.3, 0.4, 0.5, 0.6),
    "visible": (0.25, 0.5, 0.75),
}
"""Values of the thresholds of `assemble` that are tried on the validation samples."""

START: Mapping[str, float] = {"score": 0.5, "mask": 0.5, "visible": 0.5}

MARGIN = 2
"""By how many pixels the core of a tile reaches into its neighbours', so that no object falls between the two."""


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, in any order.

    Attributes
    ----------
    boxes : ndarray
        ``(n, 4)`` float32: x and y of the first corner, then of the second; pixel k has its centre at k.
    scores : ndarray
        ``(n,)`` float32, 0 … 1.
    masks : ndarray
        ``(n, M, M)`` float32, probabilities in the box.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    masks: NDArray[np.float32]


@torch.inference_mode()
def detect(network: nn.Module, planes: Planes, geometry: Geometry, device: str | torch.device) -> Detections:
    """Return the detections in an image of any size, in tiles where it is larger than one.

    Each tile keeps the objects whose box has its centre in the tile's core, which ends in the middle of the overlap
    with the next tile.

    Parameters
    ----------
    network
        In evaluation mode.
    planes
        The normalised image, ``(C, H, W)``.
    geometry
    device
    """
    found = []
    for rows, columns, core in tiles(planes.shape[1:], geometry.overlap):
        tile = torch.from_numpy(np.ascontiguousarray(planes[:, rows, columns]))[None].to(device)
        large = enlarge(tile, geometry.scale)
        factors = [small / big for small, big in zip(tile.shape[:1:-1], large.shape[:1:-1], strict=True)]
        with autocast(device):
            answer = network([large[0]])[0]
        boxes = answer["boxes"].float().cpu().numpy()
        boxes = (boxes + 0.5) * np.tile(factors, 2) - 0.5 + np.tile([columns.start, rows.start], 2)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        kept = ((middle >= core[0]) & (middle <= core[1])).all(axis=1)
        masks = answer["masks"][:, 0].float().cpu().numpy()
        found.append((boxes[kept], answer["scores"].float().cpu().numpy()[kept], masks[kept]))
    return Detections(*(np.concatenate(parts).astype(np.float32) for parts in zip(*found, strict=True)))


def tiles(shape: Sequence[int], overlap: int) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """Yield the rows and columns of each tile, and its core ``((x, y), (x, y))``."""
    for rows, top, bottom in cores(shape[0], overlap):
        for columns, left, right in cores(shape[1], overlap):
            yield rows, columns, np.array([(left, top), (right, bottom)])


def cores(side: int, overlap: int) -> list[tuple[slice, float, float]]:
    """Return the tiles along a side, with the coordinates in which each keeps objects.

    Tiles are at most `TILE` long, evenly spaced, and overlap by `overlap` pixels or more.
    """
    count = 1 if side <= TILE else -(-(side - overlap) // (TILE - overlap))
    starts = [round(i * (side - TILE) / max(1, count - 1)) for i in range(count)]
    spans = [slice(start, min(side, start + TILE)) for start in starts] if count > 1 else [slice(0, side)]
    middles = [(before.stop + after.start - 1) / 2 for before, after in pairwise(spans)]
    lows, highs = [-np.inf, *(x - MARGIN for x in middles)], [*(x + MARGIN for x in middles), np.inf]
    return list(zip(spans, lows, highs, strict=True))


def assemble(
    detections: Detections, shape: Sequence[int], *, score: float = 0.5, mask: float = 0.5, visible: float = 0.5
) -> Instances:
    """Return the label map of detections.

    The detections are drawn in the order of their scores, the highest first, and a pixel belongs to the first that
    claims it. A detection of whose pixels less than `visible` are still free is dropped.

    Parameters
    ----------
    detections
    shape
        Height and width of the image.
    score
        Smallest score of a detection that is drawn.
    mask
        Smallest probability of an object's pixel.
    visible
        Smallest fraction of an object's pixels that are free, 0 … 1.
    """
    labels = np.zeros(tuple(shape), np.int32)
    scores = []
    for index in np.argsort(-detections.scores, kind="stable"):
        if detections.scores[index] < score:
            break
        window, probabilities = paste(detections.masks[index], detections.boxes[index], shape)
        inside = probabilities >= mask
        free = inside & (labels[window] == 0)
        if not free.any() or free.sum() < visible * inside.sum():
            continue
        scores.append(float(detections.scores[index]))
        labels[window][free] = len(scores)
    return Instances(labels, np.array(scores))


def paste(mask: FloatArray, box: FloatArray, shape: Sequence[int]) -> tuple[tuple[slice, slice], FloatArray]:
    """Return the rows and columns of the pixels in a box, and a mask's probabilities there, interpolated linearly.

    Parameters
    ----------
    mask
        ``(M, M)``, of the whole box.
    box
        ``(4,)``, see `Detections`.
    shape
        Height and width of the image.
    """
    left, top, right, bottom = (float(edge) for edge in box)
    rows, down = _interpolation(top, bottom, int(shape[0]), mask.shape[0])
    columns, across = _interpolation(left, right, int(shape[1]), mask.shape[1])
    return (rows, columns), down @ mask @ across.T


def _interpolation(first: float, last: float, side: int, cells: int) -> tuple[slice, FloatArray]:
    """Return the pixels between two coordinates, and the weight of each of the mask's cells for each of them."""
    start = int(np.clip(np.ceil(first), 0, side))
    pixels = np.arange(start, max(start, int(np.clip(np.floor(last) + 1, 0, side))))
    place = np.clip((pixels - first) / max(last - first, 1e-6) * cells - 0.5, 0, cells - 1)
    weights: FloatArray = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells)))
    return slice(start, start + len(pixels)), weights
