"""Cell Tracking Challenge folders: ``01/t000.tif`` with ``01_GT/SEG/man_seg000.tif`` or ``01_ST/SEG/…``.

The gold truth (GT) is used where any sequence has it, else the silver truth (ST, made by computer). Frames without a
segmentation are left out. Groups: ``sequence`` and ``time`` (the frame's number). Frames of one sequence show the
same cells: split by the group ``sequence``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from synthbench.datasets.pixels import read_image, read_mask, sample_of
from synthbench.datasets.recipe import Notes, Recipe
from synthbench.datasets.walk import Item, folders, groups_of, pictures, with_ids
from synthbench.errors import DataError
from synthbench.samples import Sample

Truth = Literal["gold", "silver"]
DEPTH = 2
_SEQUENCE = re.compile(r"\d{2,}")
_FRAME = re.compile(r"t(\d+)")
_SEGMENTATION = re.compile(r"man_seg_?(\d+)(_\d+)?")
_FOLDER = {"gold": "GT", "silver": "ST"}


def sniff(path: Path) -> str | None:
    """Say what is there when a numbered folder of frames has a GT or ST folder beside it."""
    truth = _best_truth(path)
    if truth is None:
        return None
    found = {folder.name: len(pictures(_masks(folder, truth))) for folder in _sequences(path, truth)}
    told = ", ".join(f"{name} ({count} frames)" for name, count in found.items())
    return f"Cell Tracking Challenge sequences {told}, {truth} truth"


def read(path: Path, recipe: Recipe, notes: Notes, *, truth: Truth | None = None) -> Iterator[Sample]:
    """Yield the annotated frames, sequence by sequence.

    Parameters
    ----------
    truth
        Which segmentations to use; by default gold where there is any, else silver.

    Raises
    ------
    DataError
        If the truth asked for isn't there, a segmentation has no frame, or a file is three-dimensional.
    """
    truth = truth or _best_truth(path)
    sequences = _sequences(path, truth) if truth else []
    if truth is None or not sequences:
        raise DataError(
            f"{path}: no sequence has {truth or 'any'} truth (NN_{_FOLDER[truth or 'gold']}/SEG/man_seg*.tif)"
        )
    items = with_ids([item for sequence in sequences for item in _items(path, sequence, truth, notes)])
    notes.expect(items)
    notes.add(f"segmentations of the {truth} truth", len(items))
    for name, item in items:
        with notes.trying():
            image = read_image(item.image, notes)
            labels = read_mask(item.masks[0], recipe, notes)
            yield sample_of(name, image, labels, item.groups, str(item.image), str(item.masks[0]))
    notes.refuse(path)


def _best_truth(path: Path) -> Truth | None:
    order: tuple[Truth, Truth] = ("gold", "silver")
    return next((truth for truth in order if _sequences(path, truth)), None)


def _sequences(path: Path, truth: Truth) -> list[Path]:
    if not path.is_dir():
        return []
    found = [folder for folder in folders(path, DEPTH) if folder != path and _SEQUENCE.fullmatch(folder.name)]
    return [folder for folder in found if _masks(folder, truth).is_dir() and pictures(_masks(folder, truth))]


def _masks(sequence: Path, truth: Truth) -> Path:
    return sequence.with_name(f"{sequence.name}_{_FOLDER[truth]}") / "SEG"


def _items(root: Path, sequence: Path, truth: Truth, notes: Notes) -> list[Item]:
    frames = {match[1]: p for p in pictures(sequence) if (match := _FRAME.fullmatch(p.stem))}
    used = set()
    items = []
    for mask in pictures(_masks(sequence, truth)):
        match = _SEGMENTATION.fullmatch(mask.stem)
        if match is None:
            notes.problem(f"{mask}: is not named man_seg<frame>.tif; rename it, or take it away")
            continue
        if match[2]:
            notes.problem(f"{mask}: one slice of a volume; only two-dimensional sequences can be imported")
            continue
        if match[1] not in frames:
            notes.problem(f"{mask}: has no frame {sequence / ('t' + match[1])}.tif; add it, or take the mask away")
            continue
        used.add(match[1])
        groups = {**groups_of(root, sequence.parent), "sequence": sequence.name, "time": str(int(match[1]))}
        items.append(Item(f"{sequence.name}-t{match[1]}", frames[match[1]], (mask,), groups))
    notes.add("frames without a segmentation, left out", len(frames) - len(used))
    return items
