"""PanNuke: nuclei in H&E sections of 19 tissues, 256×256 pixels, from npy files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from synthbench import Context, Sample
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.overlaps import ObjectMask, paint_objects
from synthbench.datasets.pixels import make_sample
from synthbench.errors import DataError
from synthbench.types import AnyArray
from synthbench_catalogue.archives import ArchivesConfig, ArchivesDataset

__all__ = ["PanNuke", "PanNukeConfig", "number_nuclei"]

_FOLD = re.compile(r"fold[ _-]?([123])", re.IGNORECASE)


class PanNukeConfig(ArchivesConfig):
    """`archive` is a folder with the three archives, or with what was unpacked from them."""

    folds: Literal["1-2-3", "2-1-3", "3-2-1"] = Field(
        "1-2-3", description="which folds are for training, validation and test: the three official divisions"
    )


class PanNuke(ArchivesDataset[PanNukeConfig]):
    """Official folds as splits; groups ``fold`` and ``tissue``. Annotated semi-automatically.

    Nuclei of all five classes become objects of one label map; the sixth mask is the background.
    """

    Config = PanNukeConfig
    name = "pannuke"
    site = "https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke"
    archives = (
        ("fold_1.zip", "6e19ad380300e8ce9480f9ab6a14cc91fa4b6a511609b40e3d70bdf9c881ed0b"),
        ("fold_2.zip", "5bc540cc509f64b5f5a274d6e5a245527dbd3e6d3155d43555115c5d54709b07"),
        ("fold_3.zip", "c14d372981c42f611ebc80afad01702b89cad8c1b3089daa31931cf5a4b1a39d"),
    )
    source = "https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke"
    licence = "CC BY-NC-SA 4.0"
    citation = "Gamper et al., ECDP (2019); Gamper et al., arXiv:2003.10778 (2020)"
    splits = ("train", "validation", "test")
    groups = ("fold", "tissue")

    def samples(self, context: Context) -> Iterator[Sample]:
        """Yield the images of one fold after another; ids begin with ``fold1-00000``."""
        root, log = self.unpacked(context), ImportLog()
        folds = {name: _by_fold(root, f"{name}.npy") for name in ("images", "masks", "types")}
        if not folds["images"] or folds["images"].keys() != folds["masks"].keys():
            raise DataError(f"{root}: no images.npy and masks.npy of the folds found; is this the right archive?")
        arrays = {fold: [_load(folds[name][fold], 4) for name in ("images", "masks")] for fold in folds["images"]}
        log.total = sum(len(images) for images, _ in arrays.values())
        yield from self.with_import_notes(self._read(root, folds, arrays, log), log, context)

    def _read(
        self, root: Path, folds: dict[str, dict[str, Path]], arrays: dict[str, list[AnyArray]], log: ImportLog
    ) -> Iterator[Sample]:
        split_of = dict(zip(self.config.folds.split("-"), ("train", "validation", "test"), strict=True))
        for fold, (images, masks) in sorted(arrays.items()):
            at = [str(folds[name][fold]) for name in ("images", "masks")]
            if images.shape[:3] != masks.shape[:3] or masks.shape[3] != 6:
                raise DataError(f"{at[1]}: shape {masks.shape} doesn't belong to images of {images.shape}")
            types = _tissues(folds["types"].get(fold), len(images), log)
            for index in range(len(images)):
                groups = {"split": split_of[fold], "fold": fold, **({"tissue": types[index]} if types else {})}
                with log.collecting_errors():
                    image = _bytes(images[index], f"{at[0]}[{index}]")
                    labels = number_nuclei(masks[index], log)
                    yield make_sample(f"fold{fold}-{index:05d}", image, labels, groups, *at)
        log.raise_problems(root)

    @staticmethod
    def wanted(name: str) -> bool:
        return name.lower().endswith(".npy")


def number_nuclei(masks: AnyArray, log: ImportLog) -> AnyArray:
    """Return the label map of a mask ``(height, width, 6)``: ids of nuclei in one channel per class, and background.

    Where nuclei overlap, the smaller one is on top.
    """
    stamps: list[ObjectMask] = []
    for channel in np.moveaxis(masks[..., :5], -1, 0):
        for value in np.unique(channel[channel > 0]):
            stamps.append(ObjectMask.of(channel == value, len(stamps) + 1))
    return paint_objects(stamps, (masks.shape[0], masks.shape[1]), log)


def _by_fold(root: Path, name: str) -> dict[str, Path]:
    found = {}
    for path in sorted(root.rglob(name)):
        if numbers := _FOLD.findall(path.relative_to(root).parent.as_posix()):
            found[numbers[-1]] = path
    return found


def _load(path: Path, dimensions: int) -> AnyArray:
    """Open an array without reading it; one of Python objects is refused."""
    try:
        array: AnyArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: can't be read as an array: {error}") from None
    if array.ndim != dimensions:
        raise DataError(f"{path}: has shape {array.shape}; expected {dimensions} axes")
    return array


def _tissues(path: Path | None, count: int, log: ImportLog) -> list[str]:
    """Return the tissue of each image, or nothing if it isn't stored as plain text."""
    try:
        types = _load(path, 1) if path else np.zeros(0, "U1")
    except DataError:
        types = np.zeros(0, "U1")
    if types.dtype.kind in "SU" and len(types) == count:
        return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in types.tolist()]
    log.count("folds without a readable list of tissues (types.npy); no group tissue")
    return []


def _bytes(image: AnyArray, where: str) -> AnyArray:
    """Return an image of whole numbers from 0 to 255, of any type, as uint8."""
    small: AnyArray = image.astype(np.uint8)
    if image.shape[-1] != 3 or not np.array_equal(small, image):
        raise DataError(f"{where}: not an RGB image of whole numbers from 0 to 255")
    return small
