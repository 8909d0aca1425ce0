"""Masks of two folders that are scored against each other, read and checked as imported masks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthbench.datasets.decoding import decode_mask
from synthbench.datasets.files import nfc
from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.mask_checks import MANY_LABELS, SCORE_OPTIONS, check_mask, check_masks
from synthbench.datasets.mask_statistics import TYPE_MAXIMA, MaskStatistics, mask_statistics
from synthbench.datasets.pixels import split_components, to_integers
from synthbench.errors import DataError, join_names, join_problems
from synthbench.samples import check_labels
from synthbench.types import AnyArray

__all__ = ["MASK_SUFFIXES", "MaskReader", "ReadMask", "pair_files"]

MASK_SUFFIXES = (".png", ".tif", ".tiff")
MAX_CLASS_VALUES = 32
"""Masks of classes with more values than this are photographs where the values are scattered."""


@dataclass(frozen=True, eq=False)
class ReadMask:
    """A mask as it is scored.

    Attributes
    ----------
    labels : ndarray
        ``(height, width)`` integers; values in the ignored region have no meaning.
    statistics : MaskStatistics or None
        None where masks aren't checked.
    changes : dict
        What was done to the pixels → how often.
    """

    labels: AnyArray
    statistics: MaskStatistics | None
    changes: dict[str, int]


@dataclass(frozen=True)
class MaskReader:
    """How masks are read to be scored.

    Parameters
    ----------
    semantic
        Values are classes; binary masks of 0 and 255 (or 65,535) become classes 0 and 1.
    ignore
        The value of the true masks that marks unknown labels.
    components
        Each connected component of a label becomes an object of its own.
    trusted
        Masks aren't checked for plausibility.
    """

    semantic: bool = False
    ignore: int | None = None
    components: bool = False
    trusted: bool = False

    def read_pair(self, true_file: Path, predicted_file: Path) -> tuple[ReadMask, ReadMask, AnyArray | None]:
        """Read a true and a predicted mask, and the region where the true one has the value to ignore.

        Raises
        ------
        DataError
            If a file can't be read, can't be a mask of this kind, or the two differ in size. The message names the
            file.
        """
        logs = ImportLog(), ImportLog()
        true, predicted = (
            decode_mask(path, log, classes=self.semantic)
            for path, log in zip((true_file, predicted_file), logs, strict=True)
        )
        return self._pair(true, predicted, true_file, predicted_file, logs)

    def take_pair(
        self, true: AnyArray, predicted: AnyArray, true_name: str, predicted_name: str
    ) -> tuple[ReadMask, ReadMask, AnyArray | None]:
        """Do what `read_pair` does, for two arrays; the messages of errors use the names."""
        return self._pair(true, predicted, Path(true_name), Path(predicted_name), (ImportLog(), ImportLog()))

    def _pair(
        self, true: AnyArray, predicted: AnyArray, true_file: Path, predicted_file: Path, logs: Sequence[ImportLog]
    ) -> tuple[ReadMask, ReadMask, AnyArray | None]:
        true = check_labels(to_integers(true, str(true_file)), true_file.stem)
        predicted = check_labels(to_integers(predicted, str(predicted_file)), predicted_file.stem)
        if true.shape != predicted.shape:
            raise DataError(
                f"{predicted_file}: size {'×'.join(map(str, predicted.shape))} differs from {true_file}, which is "
                f"{'×'.join(map(str, true.shape))}; the two masks of an image must have the same size"
            )
        ignored = None if self.ignore is None else true == self.ignore
        return (
            self._checked(true, ignored, true_file, logs[0]),
            self._checked(predicted, ignored, predicted_file, logs[1]),
            ignored,
        )

    def _checked(self, labels: AnyArray, ignored: AnyArray | None, path: Path, log: ImportLog) -> ReadMask:
        """Return a mask as it is scored; the ignored region isn't checked."""
        known = labels if ignored is None else np.where(ignored, 0, labels)
        statistics = None if self.trusted else mask_statistics(known, str(path))
        if self.semantic:
            labels = self._class_map(labels, statistics, log)
        elif self.components:
            labels = split_components(labels, log)
        elif statistics is not None:
            check_mask(statistics, SCORE_OPTIONS)
        return ReadMask(labels, statistics, log.counts)

    def _class_map(self, labels: AnyArray, mask: MaskStatistics | None, log: ImportLog) -> AnyArray:
        if mask is None:
            return labels
        if mask.label_count > MAX_CLASS_VALUES and mask.components_per_label > MANY_LABELS:
            raise DataError(
                f"{mask.where}: not a mask of classes: its {mask.label_count} values are scattered, as in a "
                f"photograph; use one value per class, or {SCORE_OPTIONS.trust} if these are classes"
            )
        if mask.label_count == 1 and mask.largest in TYPE_MAXIMA:
            log.count(f"binary masks of 0 and {mask.largest} scored as classes 0 and 1")
            return np.where(labels == mask.largest, labels.dtype.type(1), labels)
        return labels

    def check(
        self,
        predicted_masks: Sequence[MaskStatistics],
        true_masks: Sequence[MaskStatistics],
        predicted: Path,
        truth: Path,
    ) -> None:
        """Raise `DataError` where the masks of a folder together can't be what they are said to be."""
        folders = ((predicted_masks, predicted), (true_masks, truth))
        if not self.semantic:
            for masks, folder in folders:
                check_masks(masks, folder, SCORE_OPTIONS, check_components=not self.components)
            return
        for masks, folder in folders:
            _check_class_values(masks, folder)
        has_zero = [any(mask.has_background for mask in masks) for masks, _ in folders]
        if predicted_masks and true_masks and has_zero[0] != has_zero[1]:
            without, other = (predicted, truth) if has_zero[1] else (truth, predicted)
            raise DataError(
                f"{without}: no mask contains 0, but those of {other} do, so one numbers classes from 1, the other "
                f"from 0; renumber one of them, or use {SCORE_OPTIONS.trust} if both are right"
            )


def _check_class_values(masks: Sequence[MaskStatistics], folder: Path) -> None:
    """Raise `DataError` where 255 (or 65,535) can't be a class like the others."""
    with_maximum = [mask for mask in masks if mask.largest in TYPE_MAXIMA]
    others = [mask for mask in masks if 1 < _largest_class(mask) <= 127]
    for mask in with_maximum:
        if 0 < mask.second_largest <= mask.largest // 2:
            raise DataError(
                f"{mask.where}: {mask.largest} occurs beside classes up to {mask.second_largest}, so it seems to "
                f"mark a boundary or an ignored region; use --ignore {mask.largest} if TRUTH contains it, set it to 0, "
                f"or use {SCORE_OPTIONS.trust} if it is a class"
            )
        if mask.label_count == 1 and others:
            raise DataError(
                f"{folder}: {Path(mask.where).name} contains 0 and {mask.largest}, but {Path(others[0].where).name} "
                f"classes up to {others[0].largest}; use the same value for a class in all masks"
            )


def _largest_class(mask: MaskStatistics) -> int:
    return mask.second_largest if mask.largest in TYPE_MAXIMA else mask.largest


def pair_files(predicted: Path, truth: Path) -> dict[str, tuple[Path, Path]]:
    """Return the true and the predicted file of each image, by file name without suffix.

    Raises
    ------
    DataError
        If a folder has no label maps, two of the same name, or lacks one that the other has: all missing files are
        named at once.
    """
    predicted_files, true_files = _label_maps(predicted), _label_maps(truth)
    problems = [
        *_missing(predicted_files, true_files, predicted, truth),
        *_missing(true_files, predicted_files, truth, predicted),
    ]
    if problems:
        raise DataError(join_problems(problems, predicted))
    return {name: (true_files[name], predicted_files[name]) for name in true_files}


def _label_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; expected label maps")
    files: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in MASK_SUFFIXES or not path.is_file():
            continue
        other = files.setdefault(nfc(path.stem), path)
        if other is not path:
            problems.append(f"{path}: {other.name} has the same name without suffix; keep one of them")
    if problems:
        raise DataError(join_problems(problems, folder))
    if not files:
        subfolder = next((name for name in ("labels", "masks") if (folder / name).is_dir()), "")
        hint = f"; did you mean {folder / subfolder}?" if subfolder else ""
        raise DataError(f"{folder}: contains no label maps ({', '.join(MASK_SUFFIXES)}){hint}")
    return files


def _missing(present: Mapping[str, Path], other: Mapping[str, Path], folder: Path, lacking: Path) -> list[str]:
    """Return one problem where the folder `lacking` lacks names that `folder` has; else nothing."""
    missing = sorted(set(present) - set(other))
    if len(missing) == 1:
        return [f"{lacking}: no label map named {missing[0]!r}, but {folder} has {present[missing[0]].name}"]
    names = join_names(repr(name) for name in missing)
    return [f"{lacking}: no label maps named {names}, but {folder} has them"] if missing else []
