"""Cellpose-SAM: flows by a vision transformer (Pachitariu, Rariden, Stringer, bioRxiv 2025)."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "cellpose-sam",
        "synthbench_cellpose_sam.segmenter:CellposeSAM",
        summary="Cellpose 4: flows by the vision transformer of Segment Anything; starts from weights only",
        tasks=frozenset({"instances"}),
        environment=("cellpose>=4",),
    )
