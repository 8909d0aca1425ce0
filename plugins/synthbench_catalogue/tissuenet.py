"""TissueNet: tissue and cell culture with a nuclear and a membrane channel, from the user's own copy."""

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
    """`archive` is the zip file, the folder of npz files, or one npz file."""

    mask: Literal["cell", "nucleus"] = Field("cell", description="label map to use: whole cells or nuclei")


class TissueNet(CatalogueDataset[TissueNetConfig]):
    """Official splits by the names of the npz files; groups ``tissue`` and ``platform`` if they contain them.

    Images have two channels, nuclear and membrane, as in the files.
    """

    Config = TissueNetConfig
    name = "tissuenet"
    source = "https://datasets.deepcell.org/data"
    licence = "modified Apache licence: academic, non-commercial use (see datasets.deepcell.org)"
    citation = "Greenwald et al., Nature Biotechnology 40, 555 (2022)"
    channels = ("nuclear", "membrane")
    obtain = "TissueNet can't be downloaded without an account; download it at datasets.deepcell.org/data"

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images of one npz file after another."""
        local_copy, log = self._local_copy(), ImportLog()
        is_npz = local_copy is not None and local_copy.suffix.lower() == ".npz"
        root = local_copy if local_copy is not None and is_npz else self.unpacked(context)
        if not any(self.wanted(path.name) for path in (root, *root.rglob("*"))):
            raise DataError(f"{root}: no npz files found; {self.obtain}")

        def read(log: ImportLog) -> Iterator[Sample]:
            return npz.read(root, ImportOptions(trusted=True), log, mask=("cell", "nucleus").index(self.config.mask))

        log.measure_with(read, str(root))
        yield from self.with_import_notes(read(log), log, context)

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith(".npz")
