"""DeepSea: a small residual U-Net with one head for cells and one for the edges where they touch."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "deepsea",
        "synthbench_deepsea.segmenter:DeepSea",
        summary="DeepSea: a small residual U-Net that predicts cells and the edges where they touch",
        tasks=frozenset({"instances"}),
    )
