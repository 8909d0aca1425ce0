"""Usiigaci: phase contrast images of T98G glioblastoma cells, annotated by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from synthbench import Context, Sample
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import make_sample, read_image, read_mask
from synthbench.errors import DataError
from synthbench_catalogue.base import ArchiveConfig, DownloadableDataset, find_root

__all__ = ["COMMIT", "Usiigaci"]

COMMIT = "9501d80c747cf82870dd596818fcf5c28c94d733"
_SPLITS = {"train": "train", "val": "test"}


class Usiigaci(DownloadableDataset[ArchiveConfig]):
    """45 training and 5 held-out images, 16 bit; with so few test images, prefer k-fold splits.

    The authors call the held-out images validation; here they are the split ``test``.
    """

    name = "usiigaci"
    url = f"https://github.com/oist/Usiigaci/archive/{COMMIT}.zip"
    source = "https://github.com/oist/Usiigaci"
    licence = "MIT"
    citation = "Tsai et al., SoftwareX 9, 230 (2019)"
    splits = ("train", "test")

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images by number, training images first; group ``split``."""
        root = find_root(self.unpacked(context), "Mask R-CNN/train") / "Mask R-CNN"
        log = ImportLog()
        yield from self.with_import_notes(self._read(root, log), log, context)

    @staticmethod
    def _read(root: Path, log: ImportLog) -> Iterator[Sample]:
        folders = {split: sorted(root.glob(f"{split}/set*"), key=_number) for split in _SPLITS}
        log.total = sum(map(len, folders.values()))
        for split, set_folders in folders.items():
            for folder in set_folders:
                paths = folder / "raw.tif", folder / "instances_ids.png"
                with log.collecting_errors():
                    for path in paths:
                        if not path.is_file():
                            raise DataError(f"{folder}: {path.name} not found; is this the right archive?")
                    image, labels = read_image(paths[0], log), read_mask(paths[1], ImportOptions(trusted=True), log)
                    yield make_sample(folder.name, image, labels, {"split": _SPLITS[split]}, *map(str, paths))
        log.raise_problems(root)

    @staticmethod
    def wanted(name: str) -> bool:
        return re.search(r"Mask R-CNN/(train|val)/set\d+/(raw\.tif|instances_ids\.png)$", name) is not None


def _number(folder: Path) -> tuple[int, str]:
    digits = re.sub(r"\D", "", folder.name)
    return int(digits or 0), folder.name
