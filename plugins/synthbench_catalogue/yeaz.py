"""YeaZ: yeast in phase contrast and bright field; from the user's own copy."""

from __future__ import annotations

from pathlib import Path

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_mask
from synthbench.types import AnyArray
from synthbench_catalogue.archives import OwnArchives
from synthbench_catalogue.base import LocalConfig
from synthbench_catalogue.forms import ImagesWithMasks, images_with, numbered, visible_images

__all__ = ["Yeaz"]

_IMAGE = "_im"
_MODALITIES = {"phc": "phase contrast", "bf": "bright field"}


class Yeaz(ImagesWithMasks[LocalConfig], OwnArchives[LocalConfig]):
    """No official split; group ``modality``, phase contrast or bright field, as the folders are called.

    Images of one film show the same cells: a random split has neighbouring frames in both parts. In a mask of a single
    value, each connected piece is a cell; others are label maps.
    """

    name = "yeaz"
    source = "https://drive.google.com/file/d/14MUIN26ou0L12UC9UV_AC2S3isj1qBMY (phase contrast)"
    licence = "not stated for the data"
    citation = "Dietler et al., Nature Communications (2020), doi:10.1038/s41467-020-19557-4"
    groups = ("modality",)
    obtain = (
        "YeaZ is on Google Drive; download gold-standard-PhC-plus-2.tar.gz (14MUIN26ou0L12UC9UV_AC2S3isj1qBMY) and "
        "gold-standard-BF-V-1.tar.gz (1Sot3bau0F0dsBjRxoQzdGOeUy_wMezal)"
    )

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        images = [path for path in visible_images(root) if path.stem.endswith(_IMAGE)]

        def groups(image: Path) -> dict[str, str]:
            parts = [part for folder in image.relative_to(root.parent).parts for part in folder.lower().split("-")]
            modality = next((name for part, name in _MODALITIES.items() if part in parts), None)
            return {"modality": modality} if modality else {}

        return images_with(images, _mask_of, groups, log)

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        return numbered(read_mask(item.masks[0], ImportOptions(trusted=True), log), log)


def _mask_of(image: Path) -> Path:
    return image.with_name(f"{image.stem.removesuffix(_IMAGE)}_mask{image.suffix}")
