"""InstanSeg: instances from seeds, embeddings and a small pixel classifier (Goldsborough et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "instanseg",
        "synthbench_instanseg.segmenter:InstanSeg",
        summary="InstanSeg's own network, losses, pixel classifier and decoding",
        tasks=frozenset({"instances"}),
        requires=("instanseg-torch>=0.1.2", "edt>=2.3", "seaborn>=0.13"),
        install="pip install 'synthbench[instanseg]'",
    )
