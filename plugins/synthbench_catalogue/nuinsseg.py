"""NuInsSeg: nuclei in H&E sections of 31 human and mouse organs."""

from __future__ import annotations

from pathlib import Path

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench_catalogue.base import ArchiveConfig, DownloadableDataset
from synthbench_catalogue.forms import ImagesWithMasks, folders_named, images_with, visible_images

__all__ = ["NuInsSeg"]

IMAGES, MASKS = "tissue images", "label masks modify"


class NuInsSeg(ImagesWithMasks[ArchiveConfig], DownloadableDataset[ArchiveConfig]):
    """No official split; the authors divide the images into five at random. Groups ``species`` and ``organ``.

    The masks are those of the folder ``label masks modify``: in ``label masks``, overlaps have a label of their own.
    """

    name = "nuinsseg"
    url = "https://zenodo.org/records/10518968/files/NuInsSeg.zip"
    source = "https://zenodo.org/records/10518968"
    licence = "CC BY 4.0"
    citation = "Mahbod et al., Scientific Data (2024), doi:10.1038/s41597-024-03117-2"
    groups = ("species", "organ")

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        images = [path for folder in folders_named(root, IMAGES) for path in visible_images(folder)]
        return images_with(images, _mask_of, _groups, log)

    @staticmethod
    def wanted(name: str) -> bool:
        return f"/{IMAGES}/" in f"/{name}" or f"/{MASKS}/" in f"/{name}"


def _mask_of(image: Path) -> Path:
    return image.parents[1] / MASKS / f"{image.stem}.tif"


def _groups(image: Path) -> dict[str, str]:
    """Return the groups that the folder of an organ states, such as ``human bladder``."""
    folder = image.parents[1].name
    species, _, organ = folder.partition(" ")
    return {"species": species, "organ": organ} if species in ("human", "mouse") else {"organ": folder}
