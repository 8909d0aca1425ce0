"""TissueNet: tissue and cell culture, a nuclear and a membrane channel, from the user's own copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from synthbench import Context, Sample
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.readers import npz
from synthbench.errors import DataError
from synthbench_catalogue.base import CatalogueDataset, LocalConfig

__all__ = ["TissueNet", "TissueNetConfig"]


class TissueNetConfig(LocalConfig):
    """Give as `archive` the zip file, the folder of npz files, or one npz file."""

    mask: Literal["cell", "nucleus"] = Field("cell", description="which of the two label maps of an image to use")


class TissueNet(CatalogueDataset):
    """Official splits by the names of the npz files; groups ``tissue`` and ``platform`` where they hold them.

    The two channels become RGB: nuclei green, membrane blue, red empty.
    """

    Config = TissueNetConfig
    name = "tissuenet"
    source = "https://datasets.deepcell.org/data"
    licence = "modified Apache licence: academic, non-commercial use (see datasets.deepcell.org)"
    citation = "Greenwald et al., Nature Biotechnology 40, 555 (2022)"
    obtain = "TissueNet can't be fetched without an account; download it at datasets.deepcell.org/data"

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images of one npz file after another."""
        given, log = self._given(), ImportLog()
        root = given if given and given.suffix.lower() == ".npz" else self.unpacked(context)
        if not any(self.wanted(path.name) for path in (root, *root.rglob("*"))):
            raise DataError(f"{root}: there is no npz file in it; {self.obtain}")

        def read(log: ImportLog) -> Iterator[Sample]:
            return npz.read(root, ImportOptions(trusted=True), log, mask=("cell", "nucleus").index(self.config.mask))

        log.measure_with(read, str(root))
        yield from self.with_import_notes(read(log), log, context)

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith(".npz")
