"""MEDIAR: Cellpose's flows predicted by a SegFormer encoder and a MA-Net decoder (Lee et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import SegmenterSpec, hookimpl


@hookimpl
def synthbench_segmenters() -> Iterator[SegmenterSpec]:
    yield SegmenterSpec(
        "mediar",
        "synthbench_mediar.segmenter:Mediar",
        summary="MEDIAR-Former (SegFormer and MA-Net) with Cellpose's flows: first of NeurIPS 2022's challenge",
        tasks=frozenset({"instances"}),
        requires=("segmentation-models-pytorch>=0.5", "cellpose>=3.1,<4"),
        install="pip install 'synthbench[mediar]'",
    )
