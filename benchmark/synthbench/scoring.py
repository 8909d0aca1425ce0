"""Scores of two folders of label maps, predicted and true, without any training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.errors import DataError
from synthbench.metrics.matching import IOU_THRESHOLDS, ImageCounts, count, per_image, pooled, pooled_dice
from synthbench.metrics.semantic import cldice, confusion, scores
from synthbench.samples import check_labels, read_array

SUFFIXES = (".png", ".tif", ".tiff")
MAX_CLASSES = 256
Report = Callable[[int, int], None]
"""Called with (images done, images in all)."""


def silent(done: int, total: int) -> None:
    """A `Report` that says nothing."""


def score_folders(
    predicted: str | Path, truth: str | Path, *, semantic: bool = False, report: Report = silent
) -> dict[str, Any]:
    """Score every label map of a folder against the one of the same name in another.

    Parameters
    ----------
    predicted, truth
        Folders of png or tif label maps, one per image; names are compared without their endings.
    semantic
        Labels are classes rather than instances.
    report
        Progress.

    Returns
    -------
    dict
        What `summary`, or `semantic_summary`, returns: plain numbers and lists, ready for JSON.

    Raises
    ------
    DataError
        If a folder can't be read, the two don't match by name or by shape, or a file is no label map; names the file.
    """
    if semantic:
        return semantic_summary(confusions(predicted, truth, report))
    return summary(match_folders(predicted, truth, report))


def match_folders(predicted: str | Path, truth: str | Path, report: Report = silent) -> dict[str, ImageCounts]:
    """Match the instances of two folders; return the counts of each image by name."""
    return {name: count(true, found) for name, true, found in _pairs(predicted, truth, report)}


def summary(counts: Mapping[str, ImageCounts]) -> dict[str, Any]:
    """Sum up the matches of many images.

    Returns
    -------
    dict
        ``images`` how many; ``iou`` the thresholds; ``counts`` with ``tp``, ``fp``, ``fn`` summed over the images;
        ``pooled`` and ``per_image``, each with ``precision``, ``recall``, ``f1``, ``jaccard_ap``; ``dice`` of the
        foreground over the pixels of all images. Every list has one value per threshold.
    """
    images = list(counts.values())
    return {
        "images": len(images),
        "iou": list(IOU_THRESHOLDS),
        "counts": {name: np.sum([getattr(c, name) for c in images], axis=0).tolist() for name in ("tp", "fp", "fn")},
        "pooled": {name: values.tolist() for name, values in pooled(images).items()},
        "per_image": {name: values.tolist() for name, values in per_image(images).items()},
        "dice": pooled_dice(images),
    }


def confusions(
    predicted: str | Path, truth: str | Path, report: Report = silent
) -> dict[str, tuple[np.ndarray, float]]:
    """Return the confusion matrix and the clDice of the foreground of each image by name.

    The matrices have as many classes as occur in either folder.
    """
    kept: dict[str, tuple[np.ndarray, float]] = {}
    for name, true, found in _pairs(predicted, truth, report):
        classes = int(max(true.max(), found.max())) + 1
        if classes > MAX_CLASSES:
            raise DataError(f"{name}: class {classes - 1}; these look like instances, score them without --semantic")
        kept[name] = confusion(true, found, classes), cldice(true, found)
    most = max(len(matrix) for matrix, _ in kept.values())
    return {name: (np.pad(matrix, (0, most - len(matrix))), line) for name, (matrix, line) in kept.items()}


def semantic_summary(images: Mapping[str, tuple[np.ndarray, float]]) -> dict[str, Any]:
    """Sum up the confusion matrices of many images.

    Returns
    -------
    dict
        ``images`` and ``classes``, how many; ``pooled`` with ``iou`` and ``dice`` by class, and ``miou``,
        ``miou_star``, ``accuracy``; ``per_image`` with the means over images of ``miou``, ``miou_star``, ``accuracy``
        and, where there are two classes, ``cldice`` (images without foreground in truth and prediction left out).
    """
    matrices = [matrix for matrix, _ in images.values()]
    together = scores(np.sum(matrices, axis=0))
    each = [scores(matrix) for matrix in matrices]
    means = {
        "miou": float(np.mean([s["miou"] for s in each])),
        "miou_star": float(np.mean([s["miou_star"] for s in each])),
        "accuracy": float(np.mean([s["accuracy"] for s in each])),
    }
    if len(matrices[0]) == 2:
        lines = [line for matrix, line in images.values() if matrix.sum() > matrix[0, 0]]
        means["cldice"] = float(np.mean(lines)) if lines else 0.0
    return {
        "images": len(matrices),
        "classes": len(matrices[0]),
        "pooled": {
            "iou": together["iou"].tolist(),
            "dice": together["dice"].tolist(),
            "miou": together["miou"],
            "miou_star": together["miou_star"],
            "accuracy": together["accuracy"],
        },
        "per_image": means,
    }


def _pairs(predicted: str | Path, truth: str | Path, report: Report) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, true and predicted label map, by name."""
    found_files, true_files = _label_maps(Path(predicted)), _label_maps(Path(truth))
    _same_names(found_files, true_files, Path(predicted), Path(truth))
    _same_names(true_files, found_files, Path(truth), Path(predicted))
    for done, name in enumerate(sorted(true_files)):
        report(done, len(true_files))
        true, found = (_read(files[name]) for files in (true_files, found_files))
        if true.shape != found.shape:
            raise DataError(
                f"{found_files[name]}: {'×'.join(map(str, found.shape))}, and {true_files[name]} is "
                f"{'×'.join(map(str, true.shape))}; score label maps of one size"
            )
        yield name, true, found
    report(len(true_files), len(true_files))


def _read(path: Path) -> np.ndarray:
    try:
        return check_labels(read_array(path), path.stem)
    except DataError as error:
        text = str(error)
        raise DataError(text if str(path) in text else f"{path}: {text.split(': ', 1)[-1]}") from None


def _label_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}; give one of label maps")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in files:
            raise DataError(f"{path}: {files[path.stem].name} has the same name; keep one of the two")
        files[path.stem] = path
    if not files:
        inside = next((name for name in ("labels", "masks") if (folder / name).is_dir()), "")
        hint = f"; did you mean {folder / inside}?" if inside else ""
        raise DataError(f"{folder}: no label maps ({', '.join(SUFFIXES)}) in it{hint}")
    return files


def _same_names(having: Mapping[str, Path], wanting: Mapping[str, Path], has: Path, wants: Path) -> None:
    missing = sorted(set(having) - set(wanting))
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(f"{wants}: no label map named {missing[0]!r}{more}, and {has} has {having[missing[0]].name}")
