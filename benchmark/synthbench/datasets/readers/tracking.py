"""Cell Tracking Challenge folders: ``01/t000.tif`` with ``01_GT/SEG/man_seg000.tif`` or ``01_ST/SEG/…``.

The gold truth (GT) is used where any sequence has it, else the silver truth (ST, made by computer); sequences that have
the other alone are left out, unless each is to have the better of its own. Frames without a segmentation are left out.
Groups: ``sequence`` and ``time`` (the frame's number). Frames of one sequence show the
same cells: split by the group ``sequence``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from synthbench.datasets.files import assign_ids, groups_from_path, image_files, walk_folders
from synthbench.datasets.found_image import FoundImage
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_pairs
from synthbench.errors import DataError, join_names
from synthbench.samples import Sample

__all__ = ["TruthChoice", "read", "sniff"]

Truth = Literal["gold", "silver"]
TruthChoice = Literal["gold", "silver", "each"]
DEPTH = 2
_SEQUENCE = re.compile(r"\d{2,}")
_FRAME = re.compile(r"t(\d+)")
_SEGMENTATION = re.compile(r"man_seg_?(\d+)(_\d+)?")
_FOLDER = {"gold": "GT", "silver": "ST"}
_ORDER: tuple[Truth, ...] = ("gold", "silver")


def sniff(path: Path) -> str | None:
    """Say what is there when a numbered folder of frames has a GT or ST folder beside it."""
    truth = _best_truth(path)
    if truth is None:
        return None
    found = {folder.name: len(image_files(_masks(folder, truth))) for folder in _sequences(path, truth)}
    listing = ", ".join(f"{name} ({count} frames)" for name, count in found.items())
    others = ", ".join(folder.name for folder in _sequences(path, "silver") if folder.name not in found)
    return f"Cell Tracking Challenge sequences {listing}, {truth} truth" + (
        f"; {others} with silver truth" if others else ""
    )


def read(path: Path, options: ImportOptions, log: ImportLog, *, truth: TruthChoice | None = None) -> Iterator[Sample]:
    """Yield the annotated frames, sequence by sequence.

    Parameters
    ----------
    truth
        Which segmentations to use; ``each``: gold in the sequences that have it, silver in the others, as noted by the
        group ``truth``. By default what the options says, else gold where there is any, else silver.

    Raises
    ------
    DataError
        If the truth asked for isn't there, segmentations have no frame, or a file is three-dimensional.
    """
    wanted = truth or options.truth or _best_truth(path)
    sequences = _wanted(path, wanted) if wanted else {}
    if wanted is None or not sequences:
        kind = wanted if wanted in _FOLDER else None
        raise DataError(
            f"{path}: no sequence has {kind or 'any'} truth (NN_{_FOLDER[kind or 'gold']}/SEG/man_seg*.tif)"
        )
    left = [folder.name for one in _ORDER for folder in _sequences(path, one) if folder not in sequences]
    log.count(f"sequences without {wanted} truth, left out ({join_names(left)}); --truth each takes them", len(left))
    items = []
    for sequence, own in sequences.items():
        found = _items(path, sequence, own, {"truth": own} if wanted == "each" else {}, log)
        log.count(f"segmentations of the {own} truth", len(found))
        items += found
    named = assign_ids(items)
    yield from read_pairs(path, named, options, log)


def _best_truth(path: Path) -> Truth | None:
    return next((truth for truth in _ORDER if _sequences(path, truth)), None)


def _wanted(path: Path, wanted: TruthChoice) -> dict[Path, Truth]:
    """Return the sequences to read, in the order of their names, and the truth to use of each."""
    kinds = _ORDER if wanted == "each" else (wanted,)
    found: dict[Path, Truth] = {}
    for kind in kinds:
        for sequence in _sequences(path, kind):
            found.setdefault(sequence, kind)
    return dict(sorted(found.items()))


def _sequences(path: Path, truth: Truth) -> list[Path]:
    if not path.is_dir():
        return []
    found = [folder for folder in walk_folders(path, DEPTH) if folder != path and _SEQUENCE.fullmatch(folder.name)]
    return [folder for folder in found if _masks(folder, truth).is_dir() and image_files(_masks(folder, truth))]


def _masks(sequence: Path, truth: Truth) -> Path:
    return sequence.with_name(f"{sequence.name}_{_FOLDER[truth]}") / "SEG"


def _items(root: Path, sequence: Path, truth: Truth, more: dict[str, str], log: ImportLog) -> list[FoundImage]:
    frames = {match[1]: p for p in image_files(sequence) if (match := _FRAME.fullmatch(p.stem))}
    used = set()
    items = []
    for mask in image_files(_masks(sequence, truth)):
        match = _SEGMENTATION.fullmatch(mask.stem)
        if match is None:
            log.add_problem(f"{mask}: is not named man_seg<frame>.tif; rename it, or take it away")
            continue
        if match[2]:
            log.add_problem(f"{mask}: one slice of a volume; only two-dimensional sequences can be imported")
            continue
        if match[1] not in frames:
            log.add_problem(f"{mask}: has no frame {sequence / ('t' + match[1])}.tif; add it, or take the mask away")
            continue
        used.add(match[1])
        groups = {
            **groups_from_path(root, sequence.parent),
            "sequence": sequence.name,
            "time": str(int(match[1])),
            **more,
        }
        items.append(FoundImage(f"{sequence.name}-t{match[1]}", frames[match[1]], (mask,), groups))
    log.count("frames without a segmentation, left out", len(frames) - len(used))
    return items
