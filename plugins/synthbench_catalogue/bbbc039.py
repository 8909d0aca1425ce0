"""BBBC039: nuclei of U2OS cells of a chemical screen, annotated by hand."""

from __future__ import annotations

import re
from pathlib import Path

from synthbench.datasets.decoding import decode_mask
from synthbench.datasets.files import split_of
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.pixels import split_components, to_integers
from synthbench.errors import DataError
from synthbench.types import AnyArray
from synthbench_catalogue.archives import ArchivesConfig, ArchivesDataset
from synthbench_catalogue.forms import ImagesWithMasks, folders_named, images_with, visible_images

__all__ = ["Bbbc039"]

_NAME = re.compile(r".*_(?P<well>[A-P]\d\d)_s(?P<site>\d+)_.*", re.IGNORECASE)


class Bbbc039(ImagesWithMasks[ArchivesConfig], ArchivesDataset[ArchivesConfig]):
    """Official splits train, validation and test; groups ``well`` and ``site``.

    Masks hold a colour index that is used for several nuclei, so that each connected piece of a value is a nucleus.
    Two fields (well F22 site 6, well P07 site 8) are published twice; `synthbench dataset check` names such copies.
    Some fields are in the 2018 Data Science Bowl too.
    """

    Config = ArchivesConfig
    name = "bbbc039"
    site = "https://data.broadinstitute.org/bbbc/BBBC039"
    archives = (
        ("images.zip", "6f30a5d4fe38c928ded972704f085975f8dc0d65d9aa366df00e5a9d449fddd7"),
        ("masks.zip", "f9e6043d8ca56344a4886f96a700d804d6ee982f31e2b2cd3194af2a053c2710"),
        ("metadata.zip", None),
    )
    source = "https://bbbc.broadinstitute.org/BBBC039"
    licence = "CC0-1.0"
    citation = "Caicedo et al., Cytometry A (2019); Ljosa et al., Nature Methods 9, 637 (2012), image set BBBC039v1"
    splits = ("train", "validation", "test")
    groups = ("well", "site")

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        masks = {p.stem: p for folder in folders_named(root, "masks") for p in visible_images(folder)}
        images = {p.stem: p for folder in folders_named(root, "images") for p in visible_images(folder)}
        splits = _official_splits(root)

        def groups(image: Path) -> dict[str, str]:
            match = _NAME.fullmatch(image.stem)
            if match is None:
                raise DataError(f"{image}: its name doesn't have the form IXMtest_A02_s1_w1….tif")
            split = {"split": splits[image.stem]} if image.stem in splits else {}
            return {**split, "well": match["well"].upper(), "site": match["site"]}

        return images_with(images.values(), lambda i: masks.get(i.stem, i.with_suffix(".png")), groups, log)

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        mask = decode_mask(item.masks[0], log)
        first = mask[..., 0] if mask.ndim == 3 else mask
        return split_components(to_integers(first, str(item.masks[0])), log)


def _official_splits(root: Path) -> dict[str, str]:
    """Return the split of each image by the stem of its name, from the lists training.txt, validation.txt, test.txt."""
    splits: dict[str, str] = {}
    for path in sorted(root.rglob("*.txt")):
        if not path.name.startswith(".") and (split := split_of(path.stem)):
            splits |= {Path(line.strip()).stem: split for line in path.read_text().splitlines() if line.strip()}
    if not splits:
        raise DataError(f"{root}: no lists training.txt, validation.txt and test.txt (metadata.zip) found")
    return splits
