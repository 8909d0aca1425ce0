"""EVICAN: 30 cell lines in phase contrast and bright field, partially annotated."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from synthbench import Context
from synthbench.datasets.download import Remote, cache_folder, fetch
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.overlaps import ObjectMask, paint_objects
from synthbench.datasets.readers.coco_files import load_json
from synthbench.datasets.readers.coco_masks import encode
from synthbench.errors import DataError
from synthbench.types import AnyArray
from synthbench_catalogue.archives import ArchivesConfig, OwnArchives
from synthbench_catalogue.forms import ImagesWithMasks, visible_images

__all__ = ["Evican", "EvicanConfig"]

_IMAGES = {"EVICAN_train.zip": 102910, "EVICAN_val.zip": 102911, "EVICAN_eval.zip": 102912}
_PARTS = {"train": 102915, "val": 102916, "eval_easy": 102918, "eval_medium": 102919, "eval_difficult": 102917}
_PART = re.compile(r"(?<![a-z])(train|val|easy|medium|difficult)(?![a-z])", re.IGNORECASE)
_SPLITS = {"train": "train", "val": "validation", "easy": "test", "medium": "test", "difficult": "test"}


class EvicanConfig(ArchivesConfig):
    """`archive` is a folder with the JSON files of EVICAN2 and the images, in archives or unpacked."""

    mask: Literal["cell", "nucleus"] = Field("cell", description="objects: whole cells or nuclei")


class Evican(ImagesWithMasks[EvicanConfig], OwnArchives[EvicanConfig]):
    """Official splits train, validation and test; test images have the group ``difficulty``.

    Annotations are those of EVICAN2. Not every cell is annotated, so that false positives can't be counted. Images
    without an object of the chosen kind are omitted; where objects overlap, the smaller one is on top.
    """

    Config = EvicanConfig
    name = "evican"
    site = "https://edmond.mpg.de/api/access/datafile"
    source = "https://doi.org/10.17617/3.AJBV1S"
    licence = "see https://doi.org/10.17617/3.AJBV1S"
    citation = "Schwendy et al., Bioinformatics (2020), doi:10.1093/bioinformatics/btaa225"
    obtain = "download the images and the EVICAN2 files at doi.org/10.17617/3.AJBV1S"
    splits = ("train", "validation", "test")
    groups = ("difficulty",)

    def __init__(self, config: EvicanConfig | None = None) -> None:
        super().__init__(config)
        self._objects: dict[tuple[Path, Path], list[dict[str, Any]]] = {}

    def remotes(self) -> tuple[Remote, ...]:
        if self._local_copy() is not None:
            return ()
        files = {**_IMAGES, **{f"instances_{part}_EVICAN2.json": number for part, number in _PARTS.items()}}
        base = (self.config.url or self.site).rstrip("/")
        return tuple(Remote(f"{base}/{number}", None, name) for name, number in files.items())

    def unpacked(self, context: Context) -> Path:
        if self._local_copy() is not None:
            return super().unpacked(context)
        work = context.folder or cache_folder(self.name)
        paths = [fetch(remote, work, context) for remote in self.remotes()]
        root = self.unpack_all([path for path in paths if path.suffix == ".zip"], context)
        for path in paths:
            if path.suffix == ".json":
                (root / path.name).write_bytes(path.read_bytes())
        return root

    def found(self, root: Path, log: ImportLog) -> list[FoundImage]:
        images = {path.name: path for path in visible_images(root)}
        local_copy = self._local_copy()
        found = []
        for part, path in _parts(local_copy if local_copy and local_copy.is_dir() else root).items():
            content = load_json(path)
            rows = _rows_of(content, self.config.mask)
            difficulty = {"difficulty": part} if _SPLITS[part] == "test" else {}
            for listed in content["images"]:
                image = images.get(Path(str(listed.get("file_name"))).name)
                if listed.get("id") not in rows:
                    log.count(f"images without a {self.config.mask}, omitted")
                elif image is None:
                    log.add_problem(f"{path}: image {listed.get('file_name')} not found in {root}")
                else:
                    found.append(FoundImage(image.stem, image, (path,), {"split": _SPLITS[part], **difficulty}))
                    self._objects[path, image] = rows[listed["id"]]
        if not found and not log.problems:
            raise DataError(f"{root}: no JSON files of EVICAN2 found; {self.obtain}")
        return found

    def read_labels(self, item: FoundImage, shape: tuple[int, int], log: ImportLog) -> AnyArray:
        from pycocotools.mask import decode

        stamps = []
        for number, row in enumerate(self._objects[item.masks[0], item.image], start=1):
            runs = encode(row.get("segmentation"), *shape, f"{item.masks[0]}: {item.image.name}: {row.get('id')}", log)
            if runs is not None:
                stamps.append(ObjectMask.of(decode(runs) > 0, number))
        return paint_objects(stamps, shape, log)


def _parts(folder: Path) -> dict[str, Path]:
    """Return the JSON file of EVICAN2 of each part: train, val, easy, medium, difficult."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        match = _PART.search(path.name)
        if match and "evican2" in path.name.lower() and not path.name.startswith("."):
            found[match[0].lower()] = path
    return dict(sorted(found.items(), key=lambda item: list(_SPLITS).index(item[0])))


def _rows_of(content: dict[str, Any], kind: str) -> dict[Any, list[dict[str, Any]]]:
    """Return the annotations of a category by the id of their image."""
    ids = {row.get("id") for row in content["categories"] if str(row.get("name")).lower() == kind}
    rows = defaultdict(list)
    for row in content["annotations"]:
        if row.get("category_id") in ids:
            rows[row.get("image_id")].append(row)
    return dict(rows)
