"""StarDist: star-convex polygons, one per object (Schmidt, Weigert, Broaddus, Myers, MICCAI 2018)."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "stardist",
        "synthbench_stardist.segmenter:StarDist",
        summary="star-convex polygons by StarDist's own network, losses and non-maximum suppression",
        tasks=frozenset({"instances"}),
        requires=("stardist", "tensorflow"),
        install="pip install 'synthbench[stardist]'",
    )
