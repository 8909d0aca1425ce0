"""Cellpose's training data: cells of many kinds, from the user's own copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synthbench import Context, Sample
from synthbench.datasets.download import cache_folder, sha256_of
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.readers import suffix
from synthbench.datasets.unpack import unpack
from synthbench.errors import DataError
from synthbench_catalogue.base import CatalogueDataset, LocalConfig, find_root

__all__ = ["Cellpose"]

SPLITS = ("train", "test")


class Cellpose(CatalogueDataset[LocalConfig]):
    """Official splits train and test, from folders of these names with ``000_img.png`` and ``000_masks.png``.

    Give the folder that holds both, an archive of it, or a folder with ``train.zip`` and ``test.zip``. Images are
    unchanged: RGB, cells green, nuclei red where they were stained.
    """

    name = "cellpose"
    source = "https://www.cellpose.org/dataset"
    licence = "non-commercial use; see the terms at cellpose.org/dataset"
    citation = "Stringer et al., Nature Methods 18, 100 (2021)"
    splits = ("train", "test")
    obtain = "Cellpose's data can't be downloaded without accepting its terms; download it at cellpose.org/dataset"

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield training images, then test images; ids start at ``train-000`` and ``test-000``."""
        folders = self._splits(context)
        log = ImportLog()
        for split, folder in folders.items():
            for sample in self.with_import_notes(suffix.read(folder, ImportOptions(trusted=True), log), log, context):
                yield Sample(f"{split}-{sample.id}", sample.image, sample.labels, {"split": split})

    def _splits(self, context: Context) -> dict[str, Path]:
        root = self.unpacked(context)
        archives = {split: root / f"{split}.zip" for split in SPLITS}
        if not all(path.is_file() for path in archives.values()):
            root = find_root(root, *SPLITS)
            return {split: root / split for split in SPLITS}
        work = context.folder or cache_folder(self.name)
        folders = {}
        for split, path in archives.items():
            unpacked = unpack(path, work / f"unpacked-{sha256_of(path)[:16]}", context, self.wanted)
            folders[split] = _image_folder(unpacked)
        return folders

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith((".png", ".zip"))


def _image_folder(folder: Path) -> Path:
    """Return the folder of the images: this one, or its only subfolder."""
    children = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith((".", "__"))]
    if any(folder.glob("*_masks.png")):
        return folder
    if len(children) == 1:
        return children[0]
    raise DataError(f"{folder}: no file NNN_masks.png; is this the right archive?")
