"""Masks of two folders that are scored against each other: read as imports read them, and asked the same questions."""

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

MASK_SUFFIXES = (".png", ".tif", ".tiff")
MANY_CLASSES = 32
"""Masks with more values than this are pictures when these lie scattered."""


@dataclass(frozen=True, eq=False)
class ReadMask:
    """A mask, and what is told of it.

    Attributes
    ----------
    labels : ndarray
        ``(height, width)``, whole numbers; what they are in the ignored region means nothing.
    look : Look or None
        None where nothing is asked.
    told : dict
        What was done to the pixels → how often.
    """

    labels: np.ndarray
    statistics: MaskStatistics | None
    told: dict[str, int]


@dataclass(frozen=True)
class MaskReader:
    """How masks are read to be scored.

    Parameters
    ----------
    semantic
        Numbers are classes; binary masks of 0 and 255 (or 65,535) become classes 0 and 1.
    ignore
        The value that isn't asked about.
    components
        Each connected piece of a label becomes an object of its own.
    trusted
        Nothing is asked.
    """

    semantic: bool = False
    ignore: int | None = None
    components: bool = False
    trusted: bool = False

    def pair(self, true_file: Path, found_file: Path) -> tuple[ReadMask, ReadMask, np.ndarray | None]:
        """Read a true and a predicted mask, and where the true one holds the value to ignore.

        Raises
        ------
        DataError
            If one can't be read, or gives itself away as no mask of this kind; or if they differ in size. The message
            names the file.
        """
        notes = ImportLog(), ImportLog()
        true, found = (self._numbers(path, told) for path, told in zip((true_file, found_file), notes, strict=True))
        if true.shape != found.shape:
            raise DataError(
                f"{found_file}: {'×'.join(map(str, found.shape))}, and {true_file} is "
                f"{'×'.join(map(str, true.shape))}; score label maps of one size"
            )
        region = None if self.ignore is None else true == self.ignore
        return (
            self._seen(true, true if region is None else np.where(region, 0, true), true_file, notes[0]),
            self._seen(found, found if region is None else np.where(region, 0, found), found_file, notes[1]),
            region,
        )

    def _numbers(self, path: Path, notes: ImportLog) -> np.ndarray:
        numbers = to_integers(decode_mask(path, notes, classes=self.semantic), str(path))
        return check_labels(numbers, path.stem)

    def _seen(self, labels: np.ndarray, known: np.ndarray, path: Path, notes: ImportLog) -> ReadMask:
        """Return a mask as it is scored; what lies in the ignored region, 0 in `known`, isn't asked about."""
        seen = None if self.trusted else mask_statistics(known, str(path))
        if self.semantic:
            labels = self._classes(labels, seen, notes)
        elif self.components:
            labels = split_components(labels, notes)
        elif seen is not None:
            check_mask(seen, SCORE_OPTIONS)
        return ReadMask(labels, seen, notes.counts)

    def _classes(self, labels: np.ndarray, seen: MaskStatistics | None, notes: ImportLog) -> np.ndarray:
        if seen is None:
            return labels
        if seen.labels > MANY_CLASSES and seen.pieces > MANY_LABELS:
            raise DataError(
                f"{seen.where}: no mask of classes: its {seen.labels} values lie scattered, as those of a picture do; "
                f"give a number to each class, or say {SCORE_OPTIONS.trust} if they are classes"
            )
        if seen.labels == 1 and seen.high in TYPE_MAXIMA:
            notes.add(f"binary masks of 0 and {seen.high} scored as classes 0 and 1")
            return np.where(labels == seen.high, labels.dtype.type(1), labels)
        return labels

    def ask(
        self, found: Sequence[MaskStatistics], true: Sequence[MaskStatistics], predicted: Path, truth: Path
    ) -> None:
        """Raise `DataError` for what the masks of the two folders show together."""
        if not self.semantic:
            for looks, folder in ((found, predicted), (true, truth)):
                check_masks(looks, folder, SCORE_OPTIONS, in_pieces=not self.components)
            return
        for looks, folder in ((found, predicted), (true, truth)):
            _one_meaning(looks, folder)
        zeros = [any(seen.zero for seen in looks) for looks in (found, true)]
        if found and true and zeros[0] != zeros[1]:
            without, other = (predicted, truth) if zeros[1] else (truth, predicted)
            raise DataError(
                f"{without}: no mask holds a 0, and those of {other} do: one counts classes from 1 on, the other from "
                f"0; renumber one of them, or say {SCORE_OPTIONS.trust} if they are right"
            )


def _one_meaning(looks: Sequence[MaskStatistics], folder: Path) -> None:
    """Raise `DataError` where 255 (or 65,535) can't be a class beside the others."""
    full = [seen for seen in looks if seen.high in TYPE_MAXIMA]
    others = [seen for seen in looks if 1 < (seen.below if seen.high in TYPE_MAXIMA else seen.high) <= 127]
    for seen in full:
        if 0 < seen.below <= seen.high // 2:
            raise DataError(
                f"{seen.where}: {seen.high} stands beside classes up to {seen.below}: a boundary or an ignored region; "
                f"use --ignore {seen.high} where TRUTH holds it, set it to 0, or say {SCORE_OPTIONS.trust} if it "
                "is a class"
            )
        if seen.labels == 1 and others:
            raise DataError(
                f"{folder}: {Path(seen.where).name} holds 0 and {seen.high}, and {Path(others[0].where).name} classes "
                f"up to {others[0].high}; use one number for each class"
            )


def pair_files(predicted: Path, truth: Path) -> dict[str, tuple[Path, Path]]:
    """Return the true and the predicted file of each image, by its name without ending.

    Raises
    ------
    DataError
        If a folder holds no label maps, two of one name, or none of a name that the other has: all that is missing is
        told at once.
    """
    found, true = _label_maps(predicted), _label_maps(truth)
    problems = [*_missing(found, true, predicted, truth), *_missing(true, found, truth, predicted)]
    if problems:
        raise DataError(join_problems(problems, predicted))
    return {name: (true[name], found[name]) for name in true}


def _label_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; give one of label maps")
    files: dict[str, Path] = {}
    twice = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in MASK_SUFFIXES or not path.is_file():
            continue
        other = files.setdefault(nfc(path.stem), path)
        if other is not path:
            twice.append(f"{path}: {other.name} has the same name; keep one of the two")
    if twice:
        raise DataError(join_problems(twice, folder))
    if not files:
        inside = next((name for name in ("labels", "masks") if (folder / name).is_dir()), "")
        hint = f"; did you mean {folder / inside}?" if inside else ""
        raise DataError(f"{folder}: no label maps ({', '.join(MASK_SUFFIXES)}) in it{hint}")
    return files


def _missing(having: Mapping[str, Path], wanting: Mapping[str, Path], has: Path, wants: Path) -> list[str]:
    """Return a line where a folder lacks names that the other has, or nothing."""
    missing = sorted(set(having) - set(wanting))
    if len(missing) < 2:
        return [f"{wants}: no label map named {name!r}, and {has} has {having[name].name}" for name in missing]
    named = join_names(repr(name) for name in missing)
    return [f"{wants}: no label maps named {named}, and {has} has them"]
