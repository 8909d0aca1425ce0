"""BBBC007: Drosophila Kc167 cells, DNA and actin stained, with outlines drawn by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from synthbench.datasets.decoding import decode_mask
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.pixels import to_integers
from synthbench.errors import DataError
from synthbench.types import AnyArray
from synthbench_catalogue.archives import ArchivesConfig, ArchivesDataset
from synthbench_catalogue.forms import ImagesWithMasks, read_stains, visible_images

__all__ = ["Bbbc007", "fill_outlines"]

_STAINS = (("d", "f"), ("_D_1UL", "_F_2UL"), ("d0", "d1"))
"""Ends of the names of an image of DNA and of its image of actin; the folders differ."""


class Bbbc007(ImagesWithMasks[ArchivesConfig], ArchivesDataset[ArchivesConfig]):
    """16 fields of four acquisitions, without an official split; group ``acquisition``, their folder.

    Outlines are filled. Cells at the border have open outlines: they are background in the labels, as in the published
    truth, where they can't be told from it.
    """

    Config = ArchivesConfig
    name = "bbbc007"
    site = "https://data.broadinstitute.org/bbbc/BBBC007"
    archives = (
        ("BBBC007_v1_images.zip", "b7009e2fce0a3152a5c9adda916eaa699d09696f4bd02a7d05d12d041e30c6d1"),
        ("BBBC007_v1_outlines.zip", "6a5246f9a9d743d22eafdb409fae638a8461af97e9ff9c4a92f25eba236224d3"),
    )
    source = "https://bbbc.broadinstitute.org/BBBC007"
    licence = "CC0-1.0"
    citation = "Jones et al., CVBIA 2005; Ljosa et al., Nature Methods 9, 637 (2012), image set BBBC007v1"
    groups = ("acquisition",)
    channels = ("DNA", "actin")

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        paths = visible_images(root)
        outlines = {(p.parent.name, p.stem): p for p in paths if "outlines" in _place(p, root)}
        found = []
        for path in paths:
            if "outlines" in _place(path, root) or _actin_of(path) is None:
                continue
            drawn = outlines.get((path.parent.name, path.stem))
            if drawn is None:
                log.add_problem(f"{path}: has no outlines {path.parent.name}/{path.name}; is the archive complete?")
            else:
                found.append(FoundImage(path.stem, path, (drawn,), {"acquisition": path.parent.name}))
        return found

    def read_image(self, item: FoundImage, log: ImportLog) -> AnyArray:
        actin = _actin_of(item.image)
        assert actin is not None
        return read_stains([item.image, actin], log)

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        drawn = decode_mask(item.masks[0], log)
        if drawn.ndim == 3:
            drawn = drawn[..., :3].max(axis=2)
        line = to_integers(drawn, str(item.masks[0])) > 0
        if line.mean() > 0.5:
            raise DataError(f"{item.masks[0]}: more than half of it is a line; is this the right archive?")
        labels = fill_outlines(line)
        log.count("objects made of closed outlines", int(labels.max()))
        return labels


def fill_outlines(line: AnyArray) -> AnyArray:
    """Return a label map of the regions that a line encloses, uint32; the line belongs to the region beside it.

    Parameters
    ----------
    line
        ``(height, width)`` bool: True on the line. Regions that reach the border of the image are background.
    """
    from skimage.measure import label
    from skimage.segmentation import expand_labels

    regions = label(~line, connectivity=1)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    inside = label(np.where(np.isin(regions, border), 0, regions), connectivity=1)
    labels: AnyArray = np.where(line, expand_labels(inside, 1.5), inside).astype(np.uint32)
    return labels


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix().lower()


def _actin_of(image: Path) -> Path | None:
    """Return the image of actin that belongs to an image of DNA; None if this isn't one, or has none."""
    for dna, actin in _STAINS:
        other = image.with_name(re.sub(f"{dna}$", actin, image.stem) + image.suffix)
        if image.stem.endswith(dna) and other.is_file():
            return other
    return None
