"""The NeurIPS 2022 cell segmentation challenge: many microscopes, grey and colour, with unlabelled images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.samples import UNLABELLED
from synthbench_catalogue.archives import ArchivesConfig, ArchivesDataset
from synthbench_catalogue.forms import ImagesWithMasks, folders_named, images_with, visible_images

__all__ = ["NeurIps", "NeurIpsConfig"]

_SPLITS = {"training-labeled": "train", "tuning": "validation", "testing": "test"}
_UNLABELLED = "train-unlabeled-part1"


class NeurIpsConfig(ArchivesConfig):
    """`archive` is a folder with the archives, or with what was unpacked from them."""

    unlabelled: bool = Field(
        False, description="also read the images without labels (train-unlabeled-part1.zip), without the whole slides"
    )


class NeurIps(ImagesWithMasks[NeurIpsConfig], ArchivesDataset[NeurIpsConfig]):
    """Official splits: training, tuning (validation) and public test. The files state no groups.

    Images come from many sources, which may be in other public datasets too.
    """

    Config = NeurIpsConfig
    name = "neurips2022-cellseg"
    site = "https://zenodo.org/records/10719375/files"
    archives = (
        ("Training-labeled.zip", "b2383929eb8e99b2716fa0d4e2f6e03983e626a57cf00fe85175869c54aa3592"),
        ("Tuning.zip", "849423d36bb8fcc2d91a5b189a3b6d93c3d4071c9701eaaa44ba393a510459c4"),
        ("Testing.zip", "3379730221f43830d30fddf131750e967c9c9bdf04f98811e852a050eb659ccc"),
        (f"{_UNLABELLED}.zip", "390b38b398b05e9e5306a024a3bd48ab22e49592cfab3c1a119eab3636b38e0d"),
    )
    source = "https://zenodo.org/records/10719375"
    licence = "see https://zenodo.org/records/10719375"
    citation = "Ma et al., Nature Methods (2024), doi:10.1038/s41592-024-02233-6"
    splits = ("train", "validation", "test")

    def needed(self) -> Mapping[str, str | None]:
        return {name: sha for name, sha in self.archives if self.config.unlabelled or not name.startswith(_UNLABELLED)}

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        def mask_of(image: Path) -> Path:
            ends = [image.parents[1] / "labels" / f"{image.stem}_label{end}" for end in (".tiff", ".tif", ".png")]
            return next((path for path in ends if path.is_file()), ends[0])

        def groups(image: Path) -> dict[str, str]:
            return {"split": str(_split_of(image.relative_to(root)))}

        labelled = [
            folder
            for folder in folders_named(root, "images")
            if _split_of(folder.relative_to(root)) and folder.with_name("labels").is_dir()
        ]
        found = images_with((path for folder in labelled for path in visible_images(folder)), mask_of, groups, log)
        if self.config.unlabelled:
            places = folders_named(root, _UNLABELLED, "release-part1", "unlabelled", "unlabeled")
            paths = sorted({path for place in places for path in visible_images(place)})
            found += [FoundImage(f"{UNLABELLED}-{path.stem}", path, (), {"split": UNLABELLED}) for path in paths]
        return found


def _split_of(folder: Path) -> str | None:
    return next((_SPLITS[part.lower()] for part in folder.parts if part.lower() in _SPLITS), None)
