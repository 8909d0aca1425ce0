"""LIVECell: phase contrast pictures of eight cell lines over days of growth."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from synthbench import Context, Sample
from synthbench.datasets.download import Remote, cache_folder, fetch, sha256_of
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.readers import coco
from synthbench.datasets.unpack import unpack
from synthbench.errors import DataError
from synthbench_catalogue.base import CatalogueDataset, LocalConfig

__all__ = ["ANNOTATIONS", "LiveCell", "LiveCellConfig", "groups_from_name", "imaging_spans"]

CellType = Literal["A172", "BT474", "BV2", "Huh7", "MCF7", "SHSY5Y", "SkBr3", "SKOV3"]
ANNOTATIONS = tuple(f"livecell_coco_{split}.json" for split in ("train", "val", "test"))
IMAGES = "images.zip"
STAGES = ("early", "mid", "late")
_NAME = re.compile(r"(?P<cell_type>[^_]+)_Phase_(?P<well>[A-Z]\d+)_\d+_(?P<time>(\d+)d(\d+)h(\d+)m)_\d+")


class LiveCellConfig(LocalConfig):
    """Give as `archive` a folder with the three JSON files, and ``images.zip`` or what was unpacked from it."""

    url: str = Field(
        "https://livecell-dataset.s3.eu-central-1.amazonaws.com/LIVECell_dataset_2021",
        description="what the addresses of the four files begin with",
    )
    cell_types: tuple[CellType, ...] = Field((), description="only these cell lines; none named means all")


class LiveCell(CatalogueDataset):
    """Official splits train, validation and test, by COCO files.

    Of overlapping cells the smaller lies on top. The published files list some images twice, and some for training and
    for validation: each is taken once, and those of both are for validation alone (`synthbench.datasets.readers.coco`
    says how). Groups: ``cell_type``, ``well``, ``time`` (since the experiment's beginning) and ``stage``, early, mid
    or late: thirds of the time over which that cell line was pictured (the dataset names no stages; the thirds are
    this project's choice).
    """

    Config = LiveCellConfig
    name = "livecell"
    source = "https://github.com/sartorius-research/LIVECell"
    licence = "CC BY-NC 4.0"
    citation = "Edlund et al., Nature Methods 18, 1038 (2021)"

    def remotes(self) -> tuple[Remote, ...]:
        if self.config.archive is not None:
            return ()
        base = self.config.url.rstrip("/")
        json_files = tuple(Remote(f"{base}/annotations/LIVECell/{name}") for name in ANNOTATIONS)
        return (*json_files, Remote(f"{base}/{IMAGES}"))

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images of one split after another."""
        root = self._gathered(context)
        spans = imaging_spans(path.stem for path in root.rglob("*.tif"))
        log = ImportLog()
        wanted = self.config.cell_types
        for sample in self.with_import_notes(coco.read(root, ImportOptions(), log), log, context):
            groups = groups_from_name(sample.id, spans)
            if not wanted or groups["cell_type"] in wanted:
                yield Sample(sample.id, sample.image, sample.labels, {**sample.groups, **groups})

    def _gathered(self, context: Context) -> Path:
        """Return a folder that holds the three JSON files, and the images below it."""
        work = context.folder or cache_folder(self.name)
        given = self._given()
        files = {remote.filename: fetch(remote, work, context) for remote in self.remotes()}
        if given is not None:
            files = {name: given / name for name in (*ANNOTATIONS, IMAGES)}
            missing = [name for name in ANNOTATIONS if not files[name].is_file()]
            if missing:
                raise DataError(
                    f"{given}: has no {', '.join(missing)}; give a folder with {', '.join(ANNOTATIONS)} and {IMAGES}"
                )
            if not files[IMAGES].is_file():
                return given
        root = work / f"unpacked-{sha256_of(files[IMAGES])[:16]}"
        unpack(files[IMAGES], root, context, lambda name: name.lower().endswith(".tif"))
        for name in ANNOTATIONS:
            _share(files[name], root / name)
        return root


def groups_from_name(stem: str, spans: dict[str, tuple[int, int]]) -> dict[str, str]:
    """Return what an image's name tells, e.g. ``A172_Phase_A7_1_00d00h00m_1``.

    Parameters
    ----------
    stem
    spans
        Cell line → first and last minute, as `imaging_spans` gives them.

    Raises
    ------
    DataError
        If the name isn't of that form.
    """
    found = _NAME.fullmatch(stem)
    if found is None:
        raise DataError(f"livecell: the image name {stem!r} is not of the form A172_Phase_A7_1_00d00h00m_1")
    first, last = spans[found["cell_type"]]
    part = (_minutes(found) - first) / max(last - first, 1)
    return {
        "cell_type": found["cell_type"],
        "well": found["well"],
        "time": found["time"],
        "stage": STAGES[min(int(3 * part), 2)],
    }


def imaging_spans(stems: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return by cell line the first and the last minute at which it was pictured."""
    spans: dict[str, tuple[int, int]] = {}
    for found in filter(None, map(_NAME.fullmatch, stems)):
        minute = _minutes(found)
        first, last = spans.get(found["cell_type"], (minute, minute))
        spans[found["cell_type"]] = min(first, minute), max(last, minute)
    return spans


def _minutes(found: re.Match[str]) -> int:
    days, hours, minutes = (int(found[k]) for k in (4, 5, 6))
    return (24 * days + hours) * 60 + minutes


def _share(source: Path, target: Path) -> None:
    """Put a large file into a second folder, without copying it where the file system can do that."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
