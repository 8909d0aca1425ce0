"""LIVECell: phase contrast images of eight cell lines over days of growth."""

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
    """`archive` is a folder with the three JSON files and ``images.zip``, or the files unpacked from it."""

    url: str = Field(
        "https://livecell-dataset.s3.eu-central-1.amazonaws.com/LIVECell_dataset_2021",
        description="base URL of the four files",
    )
    cell_types: tuple[CellType, ...] = Field((), description="cell lines to read; empty for all")


class LiveCell(CatalogueDataset[LiveCellConfig]):
    """Official splits train, validation and test, by COCO files.

    Where cells overlap, the smaller one is on top. The published files list some images twice, and some both for
    training and for validation: each is read once, and those of both splits are used only for validation (see
    `synthbench.datasets.readers.coco`). Groups: ``cell_type``, ``well``, ``time`` (since the start of the experiment)
    and ``stage``: early, mid or late, thirds of the time over which that cell line was imaged. The dataset itself
    defines no stages.
    """

    Config = LiveCellConfig
    name = "livecell"
    source = "https://github.com/sartorius-research/LIVECell"
    licence = "CC BY-NC 4.0"
    citation = "Edlund et al., Nature Methods 18, 1038 (2021)"
    splits = ("train", "validation", "test")
    groups = ("cell_type", "well", "time", "stage")

    def remotes(self) -> tuple[Remote, ...]:
        if self.config.archive is not None:
            return ()
        base = self.config.url.rstrip("/")
        json_files = tuple(Remote(f"{base}/annotations/LIVECell/{name}") for name in ANNOTATIONS)
        return (*json_files, Remote(f"{base}/{IMAGES}"))

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images of one split after another."""
        root = self._annotated_folder(context)
        spans = imaging_spans(path.stem for path in root.rglob("*.tif"))
        log = ImportLog()
        wanted = self.config.cell_types
        for sample in self.with_import_notes(coco.read(root, ImportOptions(), log), log, context):
            groups = groups_from_name(sample.id, spans)
            if not wanted or groups["cell_type"] in wanted:
                yield Sample(sample.id, sample.image, sample.labels, {**sample.groups, **groups})

    def _annotated_folder(self, context: Context) -> Path:
        """Return a folder with the three JSON files, and the images below it."""
        work = context.folder or cache_folder(self.name)
        local_copy = self._local_copy()
        files = {remote.filename: fetch(remote, work, context) for remote in self.remotes()}
        if local_copy is not None:
            files = {name: local_copy / name for name in (*ANNOTATIONS, IMAGES)}
            missing = [name for name in ANNOTATIONS if not files[name].is_file()]
            if missing:
                raise DataError(
                    f"{local_copy}: {', '.join(missing)} not found; the folder must contain "
                    f"{', '.join(ANNOTATIONS)} and {IMAGES}"
                )
            if not files[IMAGES].is_file():
                return local_copy
        root = work / f"unpacked-{sha256_of(files[IMAGES])[:16]}"
        unpack(files[IMAGES], root, context, lambda name: name.lower().endswith(".tif"))
        for name in ANNOTATIONS:
            _link_or_copy(files[name], root / name)
        return root


def groups_from_name(stem: str, spans: dict[str, tuple[int, int]]) -> dict[str, str]:
    """Return the groups of an image from its name, such as ``A172_Phase_A7_1_00d00h00m_1``.

    Parameters
    ----------
    stem
    spans
        Cell line → first and last minute, from `imaging_spans`.

    Raises
    ------
    DataError
        If the name has another form.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise DataError(f"livecell: image name {stem!r} doesn't have the form A172_Phase_A7_1_00d00h00m_1")
    first, last = spans[match["cell_type"]]
    fraction = (_minutes(match) - first) / max(last - first, 1)
    return {
        "cell_type": match["cell_type"],
        "well": match["well"],
        "time": match["time"],
        "stage": STAGES[min(int(3 * fraction), 2)],
    }


def imaging_spans(stems: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the first and last minute at which each cell line was imaged."""
    spans: dict[str, tuple[int, int]] = {}
    for match in filter(None, map(_NAME.fullmatch, stems)):
        minute = _minutes(match)
        first, last = spans.get(match["cell_type"], (minute, minute))
        spans[match["cell_type"]] = min(first, minute), max(last, minute)
    return spans


def _minutes(match: re.Match[str]) -> int:
    days, hours, minutes = (int(match[group]) for group in (4, 5, 6))
    return (24 * days + hours) * 60 + minutes


def _link_or_copy(source: Path, target: Path) -> None:
    """Put a large file into a second folder: as a hard link if the file system supports it, else as a copy."""
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
