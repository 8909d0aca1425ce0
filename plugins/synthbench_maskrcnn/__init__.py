"""Mask R-CNN, built from torchvision's parts."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "mask-rcnn",
        "synthbench_maskrcnn.segmenter:MaskRCNN",
        summary="Mask R-CNN of torchvision: a box, a score and a mask for each object",
        tasks=frozenset({"instances"}),
    )
