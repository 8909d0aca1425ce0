"""Cellpose 3: objects as basins of a flow field (Stringer, Wang, Michaelos, Pachitariu 2021)."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "cellpose",
        "synthbench_cellpose.segmenter:Cellpose",
        summary="Cellpose 3: flows to the objects' centres by its own network and dynamics",
        tasks=frozenset({"instances"}),
        requires=("cellpose>=3.1,<4",),
        install="pip install 'synthbench[cellpose]'",
    )
