"""TissueNet: tissue and cell culture with a nuclear and a membrane channel, from the user's own copy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from synthbench_catalogue.base import LocalConfig
from synthbench_catalogue.forms import NpzSplits

__all__ = ["TissueNet", "TissueNetConfig"]


class TissueNetConfig(LocalConfig):
    """`archive` is the zip file, the folder of npz files, or one npz file."""

    mask: Literal["cell", "nucleus"] = Field("cell", description="label map to use: whole cells or nuclei")


class TissueNet(NpzSplits[TissueNetConfig]):
    """Official splits by the names of the npz files; groups ``tissue`` and ``platform`` if they contain them.

    Images have two channels, nuclear and membrane, as in the files.
    """

    Config = TissueNetConfig
    name = "tissuenet"
    source = "https://datasets.deepcell.org/data"
    licence = "modified Apache licence: academic, non-commercial use (see datasets.deepcell.org)"
    citation = "Greenwald et al., Nature Biotechnology 40, 555 (2022)"
    splits = ("train", "validation", "test")
    groups = ("tissue", "platform")
    channels = ("nuclear", "membrane")
    obtain = "TissueNet can't be downloaded without an account; download it at datasets.deepcell.org/data"

    def mask(self) -> int:
        return ("cell", "nucleus").index(self.config.mask)
