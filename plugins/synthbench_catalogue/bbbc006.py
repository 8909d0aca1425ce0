"""BBBC006: U2OS cells, nuclei and actin stained, in focus, with labels of the nuclei computed by CellProfiler."""

from __future__ import annotations

import re
from pathlib import Path

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.types import AnyArray
from synthbench_catalogue.archives import ArchivesConfig, ArchivesDataset
from synthbench_catalogue.forms import ImagesWithMasks, read_stains, visible_images

__all__ = ["Bbbc006"]

_FIELD = re.compile(r"(?P<field>.*_(?P<well>[a-p]\d\d)_s(?P<site>\d+))(?P<stain>_w[12].*)?", re.IGNORECASE)


class Bbbc006(ImagesWithMasks[ArchivesConfig], ArchivesDataset[ArchivesConfig]):
    """Fields of 384 wells, two sites each, at the focus plane (z 16); no official split: split by the group ``well``.

    The labels weren't drawn: they are CellProfiler's, from the plane in focus. A score against them compares a
    segmenter with CellProfiler.
    """

    Config = ArchivesConfig
    name = "bbbc006"
    site = "https://data.broadinstitute.org/bbbc/BBBC006"
    archives = (
        ("BBBC006_v1_images_z_16.zip", None),
        ("BBBC006_v1_labels.zip", "2d3ec4e5a3ec0bb94820c9bcd6f102821862f526df2552ff9065a75b1c5e33ac"),
    )
    source = "https://bbbc.broadinstitute.org/BBBC006"
    licence = "CC0-1.0"
    citation = "Ljosa et al., Nature Methods 9, 637 (2012), image set BBBC006v1"
    groups = ("well", "site")
    channels = ("nuclei (Hoechst)", "actin (phalloidin)")

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        fields: dict[str, dict[str, Path]] = {}
        groups: dict[str, dict[str, str]] = {}
        for path in visible_images(root):
            if match := _FIELD.fullmatch(path.stem):
                kind = match["stain"][:3].lower() if match["stain"] else "labels"
                fields.setdefault(match["field"], {})[kind] = path
                groups[match["field"]] = {"well": match["well"].lower(), "site": match["site"]}
        found = []
        for field, files in sorted(fields.items()):
            if missing := {"_w1", "_w2", "labels"} - set(files):
                log.add_problem(f"{root}: field {field} has no file for {', '.join(sorted(missing))}")
            else:
                found.append(FoundImage(field, files["_w1"], (files["labels"],), groups[field]))
        return found

    def read_image(self, item: FoundImage, log: ImportLog) -> AnyArray:
        actin = next(item.image.parent.glob(f"{item.stem}_[wW]2*"))
        return read_stains([item.image, actin], log)
