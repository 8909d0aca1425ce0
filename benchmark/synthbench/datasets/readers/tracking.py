"""Cell Tracking Challenge folders: ``01/t000.tif`` with ``01_GT/SEG/man_seg000.tif`` or ``01_ST/SEG/…``.

The gold truth (GT) is used if any sequence has it, otherwise the silver truth (ST, computer-generated); sequences
without it are omitted. With ``truth="each"``, every sequence is read, with gold truth where it has that. Frames without
a segmentation are omitted. Groups: ``sequence`` and ``time`` (number of the frame). Frames of one sequence show the
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
    """Describe the sequences if a numbered folder of frames has a GT or ST folder beside it."""
    truth = _best_truth(path)
    if truth is None:
        return None
    frame_counts = {folder.name: len(image_files(_masks(folder, truth))) for folder in _sequences(path, truth)}
    listed = ", ".join(f"{name} ({count} frames)" for name, count in frame_counts.items())
    others = ", ".join(folder.name for folder in _sequences(path, "silver") if folder.name not in frame_counts)
    return f"Cell Tracking Challenge sequences {listed}, {truth} truth" + (
        f"; {others} with silver truth" if others else ""
    )


def read(path: Path, options: ImportOptions, log: ImportLog, *, truth: TruthChoice | None = None) -> Iterator[Sample]:
    """Yield the annotated frames, sequence by sequence.

    Parameters
    ----------
    truth
        Which segmentations to use. ``"each"``: gold in the sequences that have it, silver in the others; the group
        ``truth`` records which. By default as in `options`; if that is None too, gold if there is any, else silver.

    Raises
    ------
    DataError
        If no sequence has the truth, segmentations have no frame, or a file is three-dimensional.
    """
    wanted = truth or options.truth or _best_truth(path)
    sequences = _truth_by_sequence(path, wanted) if wanted else {}
    if wanted is None or not sequences:
        missing = wanted if wanted in _FOLDER else None
        raise DataError(
            f"{path}: no sequence has {missing or 'any'} truth (NN_{_FOLDER[missing or 'gold']}/SEG/man_seg*.tif)"
        )
    omitted = [folder.name for kind in _ORDER for folder in _sequences(path, kind) if folder not in sequences]
    log.count(
        f"sequences without {wanted} truth, omitted ({join_names(omitted)}); --truth each reads them", len(omitted)
    )
    items = []
    for sequence, kind in sequences.items():
        frames = _items(path, sequence, kind, {"truth": kind} if wanted == "each" else {}, log)
        log.count(f"segmentations of the {kind} truth", len(frames))
        items += frames
    named = assign_ids(items)
    yield from read_pairs(path, named, options, log)


def _best_truth(path: Path) -> Truth | None:
    return next((truth for truth in _ORDER if _sequences(path, truth)), None)


def _truth_by_sequence(path: Path, wanted: TruthChoice) -> dict[Path, Truth]:
    """Return the sequences to read, ordered by name, with the truth to use for each."""
    kinds = _ORDER if wanted == "each" else (wanted,)
    truths: dict[Path, Truth] = {}
    for kind in kinds:
        for sequence in _sequences(path, kind):
            truths.setdefault(sequence, kind)
    return dict(sorted(truths.items()))


def _sequences(path: Path, truth: Truth) -> list[Path]:
    if not path.is_dir():
        return []
    numbered = [folder for folder in walk_folders(path, DEPTH) if folder != path and _SEQUENCE.fullmatch(folder.name)]
    return [folder for folder in numbered if _masks(folder, truth).is_dir() and image_files(_masks(folder, truth))]


def _masks(sequence: Path, truth: Truth) -> Path:
    return sequence.with_name(f"{sequence.name}_{_FOLDER[truth]}") / "SEG"


def _items(root: Path, sequence: Path, truth: Truth, extra_groups: dict[str, str], log: ImportLog) -> list[FoundImage]:
    frames = {match[1]: frame for frame in image_files(sequence) if (match := _FRAME.fullmatch(frame.stem))}
    used = set()
    items = []
    for mask in image_files(_masks(sequence, truth)):
        match = _SEGMENTATION.fullmatch(mask.stem)
        if match is None:
            log.add_problem(f"{mask}: expected the name man_seg<frame>.tif; rename or remove the file")
            continue
        if match[2]:
            log.add_problem(f"{mask}: a slice of a volume; only two-dimensional sequences can be imported")
            continue
        if match[1] not in frames:
            log.add_problem(f"{mask}: frame {sequence / ('t' + match[1])}.tif not found; add it, or remove the mask")
            continue
        used.add(match[1])
        groups = {
            **groups_from_path(root, sequence.parent),
            "sequence": sequence.name,
            "time": str(int(match[1])),
            **extra_groups,
        }
        items.append(FoundImage(f"{sequence.name}-t{match[1]}", frames[match[1]], (mask,), groups))
    log.count("frames without a segmentation, omitted", len(frames) - len(used))
    return items
