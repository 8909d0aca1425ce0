"""BBBC020: mouse macrophages, nuclei and cell surface stained, with a mask file for each object."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.types import AnyArray
from synthbench_catalogue.archives import ArchivesConfig, ArchivesDataset
from synthbench_catalogue.forms import ImagesWithMasks, read_objects, read_stains, visible_images

__all__ = ["Bbbc020", "Bbbc020Config"]

_FILE = re.compile(
    r"(?P<field>jw-(?P<treatment>.+?) ?(?P<replicate>\d+)?)_(?P<stain>c[15])(?P<object>_\d+)?", re.IGNORECASE
)
_STAIN = {"cell": "c1", "nucleus": "c5"}


class Bbbc020Config(ArchivesConfig):
    """`archive` is a folder with the three published archives, or with what was unpacked from them."""

    mask: Literal["cell", "nucleus"] = Field("cell", description="objects: whole cells or nuclei")
    crop: int = Field(0, ge=0, le=500, description="pixels cut off all sides, where many cells weren't annotated")


class Bbbc020(ImagesWithMasks[Bbbc020Config], ArchivesDataset[Bbbc020Config]):
    """20 annotated fields of 25, without an official split; groups ``treatment`` (time) and ``replicate``.

    The 30 minutes series has no annotation, and is omitted. Few objects at the border of the images were annotated;
    `crop` 150 leaves that region out. Where objects overlap, the smaller one is on top.
    """

    Config = Bbbc020Config
    name = "bbbc020"
    site = "https://data.broadinstitute.org/bbbc/BBBC020"
    archives = (
        ("BBBC020_v1_images.zip", "edf4a87be957ec2b7ab268bef92c2efae8e098dc0855a4fa9df80895ff7062e4"),
        ("BBBC020_v1_outlines_cells.zip", "6f65b05eb5d5c52829004760a01a93c07863676547605516b6e5fce47f8516d5"),
        ("BBBC020_v1_outlines_nuclei.zip", "b212f10013ae2a0260976cff2134204ecba226853922aea2ab5289051a47ceb7"),
    )
    source = "https://bbbc.broadinstitute.org/BBBC020"
    licence = "CC BY 3.0 (as its users state it)"
    citation = "Wenzel et al. (2011); Ljosa et al., Nature Methods 9, 637 (2012), image set BBBC020v1"
    groups = ("treatment", "replicate")
    channels = ("cell surface", "nuclei (DAPI)")

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        images: dict[str, dict[str, Path]] = {}
        objects: dict[str, list[tuple[int, Path]]] = {}
        groups: dict[str, dict[str, str]] = {}
        for path in visible_images(root):
            match = _FILE.fullmatch(path.stem)
            if match is None:
                continue
            field, stain = match["field"], match["stain"].lower()
            if match["object"] is None:
                images.setdefault(field, {})[stain] = path
                groups[field] = {"treatment": match["treatment"], "replicate": match["replicate"] or "1"}
            elif stain == _STAIN[self.config.mask]:
                objects.setdefault(field, []).append((int(match["object"][1:]), path))
        found = []
        for field, stains in sorted(images.items()):
            if missing := {"c1", "c5"} - set(stains):
                log.add_problem(f"{root}: {field} has no image {', '.join(sorted(missing))}; is the archive complete?")
            elif field in objects:
                masks = tuple(path for _, path in sorted(objects[field]))
                found.append(FoundImage(field, stains["c1"], masks, groups[field]))
        log.count("fields without annotation, omitted", len(images) - len(found))
        return found

    def read_image(self, item: FoundImage, log: ImportLog) -> AnyArray:
        nuclei = item.image.with_name(re.sub("_c1$", "_c5", item.image.stem) + item.image.suffix)
        return self._cropped(read_stains([item.image, nuclei], log))

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        whole = (shape[0] + 2 * self.config.crop, shape[1] + 2 * self.config.crop)
        return self._cropped(read_objects(item.masks, whole, log))

    def _cropped(self, array: AnyArray) -> AnyArray:
        n = self.config.crop
        return array[n : array.shape[0] - n, n : array.shape[1] - n]
