"""DeepSea: phase contrast images of stem cells, bronchial and muscle cells; from the user's own copy."""

from __future__ import annotations

from pathlib import Path

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_mask
from synthbench.types import AnyArray
from synthbench_catalogue.archives import OwnArchives
from synthbench_catalogue.base import LocalConfig
from synthbench_catalogue.forms import ImagesWithMasks, folders_named, images_with, numbered, visible_images

__all__ = ["DeepSea"]


class DeepSea(ImagesWithMasks[LocalConfig], OwnArchives[LocalConfig]):
    """Official splits train and test, by folders ``{train,test}/{images,masks}``.

    In a mask of a single value, each connected piece is a cell; others are label maps.
    """

    name = "deepsea"
    source = "https://deepseas.org/datasets/"
    licence = "not stated for the data"
    citation = "Zargari et al., Cell Reports Methods (2023), doi:10.1016/j.crmeth.2023.100500"
    splits = ("train", "test")
    obtain = "DeepSea is on Google Drive; download it at deepseas.org/datasets (segmentation_dataset)"

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        found = []
        for split in ("train", "test"):
            for folder in folders_named(root, split):
                images = [path for place in folders_named(folder, "images") for path in visible_images(place)]
                found += images_with(images, _mask_of, _split_of, log)
        return found

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        return numbered(read_mask(item.masks[0], ImportOptions(trusted=True), log), log)


def _split_of(image: Path) -> dict[str, str]:
    return {"split": image.parents[1].name.lower()}


def _mask_of(image: Path) -> Path:
    return image.parents[1] / "masks" / image.name
