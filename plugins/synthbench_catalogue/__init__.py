"""The catalogue: published datasets of annotated micrographs, downloaded or read from the user's own copy."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import DatasetSpec, hookimpl

__all__ = ["synthbench_datasets"]

_INSTANCES = frozenset({"instances"})


@hookimpl
def synthbench_datasets() -> Iterator[DatasetSpec]:
    for name, target, summary in (
        ("dsb2018", "dsb2018:Dsb2018", "fluorescent nuclei, StarDist's subset of the 2018 Data Science Bowl"),
        ("livecell", "livecell:LiveCell", "phase contrast, eight cell lines, 5,239 images, 1.6 million cells"),
        ("usiigaci", "usiigaci:Usiigaci", "phase contrast, T98G cells, 50 images"),
        ("ctc-u373", "tracking:U373", "phase contrast, U373 cells, Cell Tracking Challenge"),
        ("ctc-psc", "tracking:Psc", "phase contrast, pancreatic stem cells, Cell Tracking Challenge"),
        ("tissuenet", "tissuenet:TissueNet", "tissue, nuclear and membrane channel; from your own copy"),
        ("cellpose", "cellpose:Cellpose", "cells of many kinds; from your own copy"),
    ):
        yield DatasetSpec(name, f"synthbench_catalogue.{target}", summary, _INSTANCES)
