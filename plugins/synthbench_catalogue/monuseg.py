"""MoNuSeg: nuclei in H&E sections of several organs, outlined by polygons; from the user's own copy."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.overlaps import ObjectMask, paint_objects
from synthbench.errors import DataError
from synthbench.types import AnyArray
from synthbench_catalogue.archives import OwnArchives
from synthbench_catalogue.base import LocalConfig
from synthbench_catalogue.forms import ImagesWithMasks, visible_images

__all__ = ["MoNuSeg", "read_polygons"]


class MoNuSeg(ImagesWithMasks[LocalConfig], OwnArchives[LocalConfig]):
    """Official splits train and test; group ``patient``, the TCGA code of the patient in the file name.

    Each region of the XML file is a nucleus; where they overlap, the smaller one is on top. The files don't state the
    organ.
    """

    name = "monuseg"
    source = "https://monuseg.grand-challenge.org/Data/"
    licence = "CC BY-NC-SA 4.0 (other sources: CC BY-NC 4.0)"
    citation = "Kumar et al., IEEE TMI (2017), doi:10.1109/TMI.2017.2677499; Kumar et al., IEEE TMI (2020)"
    obtain = "MoNuSeg is on Google Drive; download it at monuseg.grand-challenge.org/Data"
    splits = ("train", "test")
    groups = ("patient",)
    hashes = frozenset(
        {
            "25d3d3185bb2970b397cafa72eb664c9b4d24294aee382e7e3df9885affce742",
            "13e522387ae8b1bcc0530e13ff9c7b4d91ec74959ef6f6e57747368d7ee6f88a",
        }
    )

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        polygons = {path.stem: path for path in sorted(root.rglob("*.xml")) if not path.name.startswith(".")}
        found = []
        for image in visible_images(root):
            if image.stem not in polygons:
                log.add_problem(f"{image}: has no polygons {image.stem}.xml; is the archive complete?")
                continue
            split = "test" if "test" in image.relative_to(root).parent.as_posix().lower() else "train"
            patient = "-".join(image.stem.split("-")[:3])
            groups = {"split": split, "patient": patient}
            found.append(FoundImage(image.stem, image, (polygons[image.stem],), groups))
        return found

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        return paint_objects(read_polygons(item.masks[0], shape), shape, log)

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith((".tif", ".tiff", ".png", ".xml"))


def read_polygons(path: Path, shape: tuple[int, int]) -> list[ObjectMask]:
    """Return the nuclei of an XML file: the pixels whose centre is in a region's polygon.

    Raises
    ------
    DataError
        If it isn't such a file, or declares entities, which could make it huge.
    """
    from skimage.draw import polygon

    content = path.read_bytes()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise DataError(f"{path}: declares a document type or entities; not read")
    nuclei: list[ObjectMask] = []
    try:
        for region in ElementTree.fromstring(content).iter("Region"):
            points = [(float(v.attrib["Y"]), float(v.attrib["X"])) for v in region.iter("Vertex")]
            corners = np.array(points).reshape(-1, 2)
            rows, columns = polygon(corners[:, 0], corners[:, 1], shape)
            if len(rows):
                mask = np.zeros((np.ptp(rows) + 1, np.ptp(columns) + 1), bool)
                mask[rows - rows.min(), columns - columns.min()] = True
                nuclei.append(ObjectMask(int(rows.min()), int(columns.min()), mask, len(nuclei) + 1))
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not an XML file of regions with vertices X and Y: {error!r}") from None
    return nuclei
