"""Omnipose's bacteria: phase contrast and fluorescence."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench_catalogue.base import ArchiveConfig, DownloadableDataset
from synthbench_catalogue.forms import ImagesWithMasks, folders_named, images_with, visible_images

__all__ = ["BactFluor", "BactPhase"]

_PRODUCTS = ("_masks", "_flows")


class _Omnipose(ImagesWithMasks[ArchiveConfig], DownloadableDataset[ArchiveConfig]):
    """Official splits train and test; group ``folder``, the subfolder in which the image was published.

    The server packs the archive at each download, so that it has no fixed hash.
    """

    url = "https://files.osf.io/v1/resources/xmury/providers/osfstorage/62f56c035775130690f25481/?zip="
    source = "https://osf.io/xmury"
    licence = "not stated; see https://osf.io/xmury"
    citation = "Cutler et al., Nature Methods (2022), doi:10.1038/s41592-022-01639-4"
    splits = ("train", "test")
    groups = ("folder",)
    folder: ClassVar[str]
    """Folder of the set in the archive, which has others too."""

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        found = []
        for place in folders_named(root, self.folder) or [root]:
            for split in self.splits:
                for part in folders_named(place, f"{split}_sorted"):
                    images = [path for path in visible_images(part) if not path.stem.endswith(_PRODUCTS)]
                    found += images_with(images, _mask_of, _groups, log)
        return found

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith((".tif", ".tiff", ".png")) and "_sorted/" in name


class BactPhase(_Omnipose):
    """Bacteria in phase contrast. Official splits train and test; group ``folder``."""

    name = "omnipose-bact-phase"
    folder = "bact_phase"


class BactFluor(_Omnipose):
    """Bacteria in fluorescence. Official splits train and test; group ``folder``."""

    name = "omnipose-bact-fluor"
    folder = "bact_fluor"


def _mask_of(image: Path) -> Path:
    return image.with_name(f"{image.stem}_masks{image.suffix}")


def _groups(image: Path) -> dict[str, str]:
    part = next(folder for folder in image.parents if folder.name.endswith("_sorted"))
    inside = image.parent.relative_to(part).as_posix()
    return {"split": part.name.removesuffix("_sorted").lower(), **({"folder": inside} if inside != "." else {})}
