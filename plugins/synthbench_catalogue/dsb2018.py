"""StarDist's subset of the 2018 Data Science Bowl: fluorescent nuclei, 447 training and 50 test images."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import Context, Sample
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.readers import folders
from synthbench_catalogue.base import ArchiveConfig, DownloadableDataset, find_root

__all__ = ["Dsb2018"]


class Dsb2018(DownloadableDataset[ArchiveConfig]):
    """Official splits train and test. Some images are tiles of the same slide, so use the official splits."""

    name = "dsb2018"
    url = "https://github.com/stardist/stardist/releases/download/0.1.0/dsb2018.zip"
    sha256 = "e44921950edce378063aa4457e625581ba35b4c2dbd9a07c19d48900129f386f"
    source = "https://github.com/stardist/stardist/releases/tag/0.1.0 (images of BBBC038v1)"
    licence = "CC0-1.0"
    citation = "Caicedo et al., Nature Methods 16, 1247 (2019); Schmidt et al., MICCAI 2018"
    splits = ("train", "test")

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield test and training images; group ``split``."""
        root = find_root(self.unpacked(context), "train/images", "test/images")
        log = ImportLog()
        yield from self.with_import_notes(folders.read(root, ImportOptions(trusted=True), log), log, context)

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith((".tif", ".tiff", ".png"))
