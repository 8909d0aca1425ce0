"""DynamicNuclearNet segmentation: fluorescent nuclei of five cell lines; from the user's own copy."""

from __future__ import annotations

from synthbench_catalogue.base import LocalConfig
from synthbench_catalogue.forms import NpzSplits

__all__ = ["DynamicNuclearNet"]


class DynamicNuclearNet(NpzSplits[LocalConfig]):
    """Official splits train, validation and test, by the names of the npz files.

    The cell lines are in a table that would have to be unpickled, which isn't done: there is no group. Version 1.1
    contains the training movies of Fluo-N2DL-HeLa of the Cell Tracking Challenge.
    """

    name = "dynamicnuclearnet"
    source = "https://datasets.deepcell.org/data"
    licence = "modified Apache licence: academic, non-commercial use (see datasets.deepcell.org)"
    citation = "Schwartz et al., bioRxiv 803205 (2023)"
    splits = ("train", "validation", "test")
    channels = ("nuclear",)
    obtain = (
        "DynamicNuclearNet can't be downloaded without an account; download it at datasets.deepcell.org/data "
        "(segmentation)"
    )
