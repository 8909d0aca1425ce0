"""The U-Net segmenter: instances by distance and watershed, or classes of pixels."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "unet",
        "synthbench_unet.segmenter:UNet",
        summary="U-Net: instances by distance and watershed, or the class of each pixel",
        tasks=frozenset({"instances", "semantic"}),
    )
