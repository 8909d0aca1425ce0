"""Mask R-CNN as TorchScript: torchvision's own classes with the trained weights, which find any number of objects."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from synthbench import ExportedModel
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.types import Image
from synthbench_maskrcnn.segmenter import MaskRCNN
from synthbench_maskrcnn.targets import enlarge

FILE = "network.pt"
PARTS = ("boxes", "scores", "masks")

USAGE = """TorchScript of torchvision's Mask R-CNN: any image size, any number of objects.

```python
import torch
import torchvision  # operators of the network

network = torch.jit.load("{file}")
_, (found,) = network([image])  # boxes (n, 4), scores (n,), masks (n, 1, 28, 28)
```

**Input** A list of images `({channels}, height, width)`, float32. The percentiles 1 and 99.8 of each channel become 0
and 1, without clipping; a grey image is repeated to three planes. Then it is enlarged by {scale:g} (bilinear, without
`align_corners`).

**Output** For each image, boxes (x and y of two corners, in pixels of the enlarged image), scores, and the probability
of each cell of a grid of 28 × 28 in the box.

**Objects** A mask is interpolated linearly to the pixels of its box; those of at least {mask:g} are the object's.
Objects are drawn in the order of their scores, the highest first, down to {score:g}; a pixel belongs to the first that
claims it, and an object with less than {visible:g} of its pixels left is dropped. synthbench detects in tiles of at
most 512 pixels.
"""


class KeepSize(GeneralizedRCNNTransform):
    """Torchvision's transform without resizing, with the types that TorchScript needs."""

    def resize(
        self, image: torch.Tensor, target: dict[str, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor] | None]:
        return image, target

    def postprocess(
        self,
        result: list[dict[str, torch.Tensor]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, torch.Tensor]]:
        return result


def export(segmenter: MaskRCNN, folder: Path) -> ExportedModel:
    """Write the network; see `synthbench.plugin.exports`."""
    with _without_warnings():
        torch.jit.script(plain(segmenter.network)).save(str(folder / FILE))
    usage = USAGE.format(
        file=FILE, channels=max(3, segmenter.channels), scale=segmenter.geometry.scale, **segmenter.thresholds
    )

    def compare(image: Image) -> tuple[float, float]:
        with _without_warnings():
            opened = torch.jit.load(str(folder / FILE), map_location="cpu")
        difference = largest = 0.0
        for shown in (image, image[: image.shape[0] // 2]):
            planes = torch.from_numpy(to_channels(normalise(shown), segmenter.channels))
            large = enlarge(planes[None], segmenter.geometry.scale)[0]
            with torch.inference_mode(), _without_warnings():
                (expected,) = segmenter.network.eval()([large])
                _, (found,) = opened([large])
            for name in PARTS:
                own, other = found[name].numpy(), expected[name].numpy()
                same = own.shape == other.shape
                difference = max(difference, float(np.abs(own - other).max(initial=0)) if same else np.inf)
                largest = max(largest, float(np.abs(other).max(initial=0)))
        return difference, largest

    return ExportedModel("TorchScript", usage, compare)


def plain(network: GeneralizedRCNN) -> nn.Module:
    """Return the network on the CPU, its parts of torchvision's own classes, which TorchScript can compile."""
    made: Any = copy.deepcopy(network).cpu().eval()
    made.rpn.__class__ = RegionProposalNetwork
    made.roi_heads.__class__ = RoIHeads
    made.transform.__class__ = KeepSize
    whole: nn.Module = made
    return whole


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence what torch says of TorchScript, which it deprecates, and torchvision of the pair that is returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
