"""The catalogue: published datasets of annotated micrographs, downloaded or read from the user's own copy."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import DatasetSpec, hookimpl

__all__ = ["synthbench_datasets"]

_INSTANCES = frozenset({"instances"})
_CTC = "Cell Tracking Challenge"
_OWN = "from your own copy"

_DATASETS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "dsb2018",
        "dsb2018:Dsb2018",
        "fluorescent nuclei, StarDist's subset of the 2018 Data Science Bowl",
        ("dsb2018", "bbbc038", "bbbc039"),  # some of its fields are in BBBC039
    ),
    (
        "livecell",
        "livecell:LiveCell",
        "phase contrast, eight cell lines, 5,239 images, 1.6 million cells",
        ("livecell",),
    ),
    ("usiigaci", "usiigaci:Usiigaci", "phase contrast, T98G cells, 50 images", ("usiigaci",)),
    ("ctc-u373", "tracking:U373", f"phase contrast, U373 cells, {_CTC}", ("phc-c2dh-u373",)),
    ("ctc-psc", "tracking:Psc", f"phase contrast, pancreatic stem cells, {_CTC}", ("phc-c2dl-psc",)),
    ("ctc-sim", "tracking:SimPlus", f"fluorescence, simulated nuclei, {_CTC}", ("fluo-n2dh-sim",)),
    ("ctc-hela-dic", "tracking:HelaDic", f"DIC, HeLa cells, {_CTC}", ("dic-c2dh-hela",)),
    ("tissuenet", "tissuenet:TissueNet", f"tissue, nuclear and membrane channel; {_OWN}", ("tissuenet",)),
    ("cellpose", "cellpose:Cellpose", f"cells of many kinds; {_OWN}", ("cellpose", "bbbc007", "bbbc020")),
    ("bbbc006", "bbbc006:Bbbc006", "U2OS cells, nuclei and actin, labels computed by CellProfiler", ("bbbc006",)),
    ("bbbc007", "bbbc007:Bbbc007", "Drosophila Kc167 cells, DNA and actin, 16 fields", ("bbbc007", "cellpose")),
    ("bbbc020", "bbbc020:Bbbc020", "macrophages, cell surface and nuclei, 20 fields", ("bbbc020", "cellpose")),
    ("bbbc039", "bbbc039:Bbbc039", "fluorescent nuclei, U2OS cells, 200 fields", ("bbbc039", "bbbc038", "dsb2018")),
    ("deepsea", "deepsea:DeepSea", f"phase contrast, stem, bronchial and muscle cells; {_OWN}", ("deepsea",)),
    ("nuinsseg", "nuinsseg:NuInsSeg", "H&E, nuclei of 31 human and mouse organs", ("nuinsseg",)),
    ("pannuke", "pannuke:PanNuke", "H&E, nuclei of 19 tissues, 7,901 images of 256×256", ("pannuke",)),
    ("monuseg", "monuseg:MoNuSeg", f"H&E, nuclei of several organs; {_OWN}", ("monuseg",)),
    (
        "neurips2022-cellseg",
        "neurips:NeurIps",
        "cells of many kinds and microscopes, NeurIPS 2022 challenge",
        ("neurips2022-cellseg",),
    ),
    ("omnipose-bact-phase", "omnipose:BactPhase", "phase contrast, bacteria of Omnipose", ("omnipose",)),
    ("omnipose-bact-fluor", "omnipose:BactFluor", "fluorescence, bacteria of Omnipose", ("omnipose",)),
    (
        "dynamicnuclearnet",
        "dynamicnuclearnet:DynamicNuclearNet",
        f"fluorescent nuclei, five cell lines; {_OWN}",
        ("dynamicnuclearnet", "fluo-n2dl-hela"),  # version 1.1 has its training movies
    ),
    ("evican", "evican:Evican", "phase contrast and bright field, 30 lines, partially annotated", ("evican",)),
    ("yeaz", "yeaz:Yeaz", f"phase contrast and bright field, yeast; {_OWN}", ("yeaz",)),
)
"""Name, class, summary, and the published datasets that the images come from or share images with."""


@hookimpl
def synthbench_datasets() -> Iterator[DatasetSpec]:
    for name, target, summary, origins in _DATASETS:
        yield DatasetSpec(name, f"synthbench_catalogue.{target}", summary, _INSTANCES, derived_from=origins)
