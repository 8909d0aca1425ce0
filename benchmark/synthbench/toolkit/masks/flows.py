"""Instances as Cellpose's flows to the objects' centres: targets, their symmetries, and the loss.

The flows come from the library cellpose, 3.1 or 4, which is imported when it is first used; a plugin that uses this
module names it in the `requires` of its spec. Source: Stringer et al., Nature Methods 18 (2021).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from synthbench.plugin.api import Instances
from synthbench.samples import IGNORED, Sample
from synthbench.toolkit.intensity.images import HIGH_PERCENTILE, normalise

__all__ = [
    "DEFAULT_THRESHOLDS",
    "FLOW_SCALE",
    "FlowDecoder",
    "SYMMETRIES",
    "THRESHOLD_GRID",
    "dynamics",
    "encode",
    "loss",
    "number_instances",
    "read_thresholds",
    "resize",
    "targets",
    "transform_flows",
]

FLOW_SCALE = 5.0
"""The network predicts five times the flow (Cellpose's convention)."""

THRESHOLD_GRID: Mapping[str, tuple[float, ...]] = {
    "cellprob_threshold": (0.0, -1.0, 1.0, -2.0, 2.0, -3.0),
    "flow_threshold": (0.4, 0.6, 0.8, 1.2, 0.0),
}
"""Thresholds that are tried on validation images; a flow threshold of 0 keeps every object."""

DEFAULT_THRESHOLDS = {"cellprob_threshold": 0.0, "flow_threshold": 0.4}
"""Cellpose's own, kept where nothing beats them."""

MIN_SIZE = 15
"""Smallest object in pixels, the library's."""

_TURN = np.array([[0, -1], [1, 0]])
_MIRROR = np.array([[1, 0], [0, -1]])
SYMMETRIES = np.stack(
    [np.linalg.matrix_power(_TURN, s % 4) @ (_MIRROR if s >= 4 else np.eye(2, dtype=int)) for s in range(8)]
).astype(np.float32)
"""``(8, 2, 2)``: what each symmetry of `synthbench.toolkit.training.patches.dihedral` does to a vector (y, x)."""


@cache
def dynamics() -> ModuleType:
    """Return ``cellpose.dynamics``; its "no masks found" is an answer here, not a warning."""
    logging.getLogger("cellpose").setLevel(logging.ERROR)
    torch.sparse.check_sparse_tensor_invariants.disable()  # said aloud, lest torch warn that it is the default
    from cellpose import dynamics

    module: ModuleType = dynamics
    return module


def _is_version_3() -> bool:
    """Whether the library is Cellpose 3, which computes on a CPU by other functions than on a GPU."""
    return hasattr(dynamics(), "masks_to_flows_cpu")


def _kernels() -> ModuleType:
    """Return the compiled loops; numba is a dependency of Cellpose 3, not of Cellpose 4."""
    from synthbench.toolkit.masks import flow_kernels

    return flow_kernels


def _renumbered(labels: NDArray[Any]) -> NDArray[Any]:
    numbered: NDArray[Any] = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(labels.dtype)
    return numbered


def encode(sample: Sample, high: float = HIGH_PERCENTILE) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a sample as the patch stream cuts it: normalised image, and `targets` of its label map.

    Where the label is unknown, the plane of the inside holds −1, and `loss` leaves the pixel out.

    Parameters
    ----------
    sample
    high
        Percentile of the image that becomes 1.
    """
    planes = targets(sample.labels)
    if sample.ignore is not None:
        planes[0][sample.ignore] = IGNORED
    return normalise(sample.image, high=high), planes


def targets(labels: NDArray[Any]) -> NDArray[Any]:
    """Return what the network shall say of an image.

    The flow comes from Cellpose's simulated diffusion over the whole object, once per image; crops of it are crops
    of the truth, as in Cellpose's own training.

    Parameters
    ----------
    labels
        ``(height, width)``, 0 is background.

    Returns
    -------
    ndarray
        ``(3, height, width)`` float32: 1 inside objects and 0 outside; the flow's y and x, of length 1 in objects
        (0 at some centres and in the background).
    """
    inside = (labels > 0).astype(np.float32)
    if not inside.any():
        return np.zeros((3, *labels.shape), np.float32)
    ids, numbered = np.unique(labels, return_inverse=True)
    numbered = numbered.reshape(labels.shape).astype(np.int32) + np.int32(ids[0] > 0)
    if _is_version_3():
        flow = _kernels().flows_of(numbered)
    else:
        flow = dynamics().masks_to_flows_gpu(numbered, device=torch.device("cpu"))[0]
    return np.concatenate([inside[None], flow.astype(np.float32)])


def transform_flows(planes: torch.Tensor, symmetries: list[int]) -> torch.Tensor:
    """Return targets whose flows point the right way, after the stream flipped and turned them as pictures.

    Parameters
    ----------
    planes
        ``(B, 3, P, P)``, as `targets` gives them, each moved by its symmetry.
    symmetries
        B numbers, 0 … 7.
    """
    matrices = torch.from_numpy(SYMMETRIES)[symmetries].to(planes)
    flow = torch.einsum("bij,bjyx->biyx", matrices, planes[:, 1:])
    return torch.cat([planes[:, :1], flow], dim=1)


def resize(images: torch.Tensor, planes: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and targets ``(B, ·, side, side)``: inside by the nearest pixel, the rest by interpolation."""
    if images.shape[-1] == side:
        return images, planes
    size = (side, side)
    inside = F.interpolate(planes[:, :1], size, mode="nearest-exact")
    flow = F.interpolate(planes[:, 1:], size, mode="bilinear", align_corners=False)
    smooth = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
    return smooth, torch.cat([inside, flow], dim=1)


def loss(output: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """Return Cellpose's loss: half the mean squared error of the scaled flow, plus cross-entropy of the inside.

    Parameters
    ----------
    output
        ``(B, 3, P, P)``, the network's output: flow y, flow x, logit of the inside.
    planes
        ``(B, 3, P, P)``, as `targets` gives them; pixels whose first plane is below 0 have no part in the means. A
        batch of nothing else has a loss of 0.
    """
    flow = F.mse_loss(output[:, :2], FLOW_SCALE * planes[:, 1:], reduction="none").mean(dim=1)
    inside = F.binary_cross_entropy_with_logits(output[:, 2], planes[:, 0].clamp(min=0), reduction="none")
    known = (planes[:, 0] >= 0).float()
    return ((0.5 * flow + inside) * known).sum() / known.sum().clamp(min=1)


class FlowDecoder:
    """What the library's dynamics make of a network's output, for any thresholds.

    Pixels follow the flow once for each threshold of cellprob, and the flow error of each object that they form is
    computed once; a threshold of the flow error only leaves objects out. So trying many thresholds costs little more
    than trying those of cellprob. The result is the library's (``resize_and_compute_masks``), bit for bit.

    Parameters
    ----------
    flow, logits
        ``(2, height, width)`` and ``(height, width)`` float32, the network's output.
    rounds
        Steps that each pixel follows the flow.
    device
    """

    def __init__(self, flow: NDArray[Any], logits: NDArray[Any], *, rounds: float, device: torch.device) -> None:
        self.flow = flow
        self.logits = logits
        self.rounds = rounds
        self.device = device
        self._candidates: dict[float, NDArray[Any]] = {}
        self._errors: dict[float, NDArray[Any]] = {}

    def masks(self, thresholds: Mapping[str, float]) -> NDArray[Any]:
        """Return the label map ``(height, width)`` for values of the names in `THRESHOLD_GRID`."""
        level, limit = thresholds["cellprob_threshold"], thresholds["flow_threshold"]
        if level not in self._candidates:
            self._candidates[level] = self._find(level)
        labels = self._candidates[level].copy()
        if limit > 0 and labels.any():
            if level not in self._errors:
                self._errors[level] = self._flow_errors(labels)
            labels[np.isin(labels, 1 + np.flatnonzero(self._errors[level] > limit))] = 0
            if not _is_version_3():
                labels = _renumbered(labels)
        from cellpose.utils import fill_holes_and_remove_small_masks

        filled: NDArray[Any] = fill_holes_and_remove_small_masks(labels, min_size=MIN_SIZE)
        return filled

    def _find(self, level: float) -> NDArray[Any]:
        """Return all objects that the pixels above a threshold form."""
        library, inside = dynamics(), self.logits > level
        if not (_is_version_3() and self.device.type == "cpu" and inside.any()):
            labels: NDArray[Any] = library.compute_masks(
                self.flow,
                self.logits,
                niter=self.rounds,
                cellprob_threshold=level,
                flow_threshold=0,
                device=self.device,
            )
            return labels
        places = np.nonzero(inside)
        ends = _kernels().follow(self.flow * inside / 5.0, *places, int(self.rounds))
        labels = library.get_masks_torch(torch.from_numpy(ends).int(), places, inside.shape)
        return labels if labels.max() >= 2**16 else labels.astype("uint16", copy=False)

    def _flow_errors(self, labels: NDArray[Any]) -> NDArray[Any]:
        if _is_version_3() and self.device.type == "cpu":
            known: NDArray[Any] = _kernels().flow_errors(labels, self.flow)
            return known
        from cellpose import dynamics as of_version_4
        from cellpose import metrics as of_version_3

        library = of_version_3 if _is_version_3() else of_version_4
        errors: NDArray[Any] = library.flow_error(labels, self.flow, self.device)[0]
        return errors


def number_instances(labels: NDArray[Any], logits: NDArray[Any]) -> Instances:
    """Number the objects of a decoded label map 1 … n, and score each by the mean probability of its pixels.

    Parameters
    ----------
    labels
        ``(height, width)`` integers, 0 is background.
    logits
        ``(height, width)``, logit of the inside at each pixel.
    """
    present, numbered = np.unique(labels, return_inverse=True)
    numbered = numbered.reshape(labels.shape).astype(np.int32) + int(present[0] > 0)
    areas = np.bincount(numbered.ravel())
    sums = np.bincount(numbered.ravel(), weights=1 / (1 + np.exp(-logits.ravel().astype(np.float64))))
    return Instances(numbered, sums[1:] / areas[1:])


def read_thresholds(values: Mapping[str, Any]) -> dict[str, float]:
    """Return thresholds that were saved, by name; raises `KeyError`, `TypeError` or `ValueError` if they aren't."""
    return {name: float(values[name]) for name in DEFAULT_THRESHOLDS}
