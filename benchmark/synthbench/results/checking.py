"""Are a run's tables what the run wrote? Counts that contradict each other, and files that were changed, are refused.

What a table says of one image is said several times: ``tp + fn`` is ``true``, whatever the threshold; a higher
threshold never matches more; the same image holds as many objects for every training. And `seal` keeps the SHA-256 of
each file beside them, so that an edit that contradicts nothing is found too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from synthbench.errors import DataError
from synthbench.metrics.rates import rate
from synthbench.store import file_digest

__all__ = ["SEAL", "Place", "check_images", "check_same_trainings", "check_seal", "check_shares", "check_sums", "seal"]

SEAL = "seal.json"
_RUN = ("dataset", "tested_on", "fold", "fraction", "arm", "generator", "segmenter", "generator_seed", "seed")
_SUMS = {"pq_iou_sum": ("pq_tp", 0.5), "aji_shared": ("aji_union", 0.0), "aji_plus_shared": ("aji_plus_union", 0.0)}
_SHARES = ("dice", "cldice", "coco_ap", "coco_ap50", "coco_ap75", "pq", "aji", "aji_plus")
_ONCE = ("true", "predicted", "dice", "prediction", "pq_tp", *_SUMS, "aji_union", "aji_plus_union")
_TOLERANCE = 1e-6

Place = Callable[[int], str]
"""Says where a row stands, from its number: ``"images.csv, line 7"``."""


def seal(folder: Path, names: Iterable[str]) -> None:
    """Write the SHA-256 of each file of a folder beside them."""
    beside = folder / f"{SEAL}.part"
    beside.write_text(
        json.dumps({name: file_digest(folder / name) for name in names}, indent=1) + "\n", encoding="utf-8"
    )
    beside.replace(folder / SEAL)


def check_seal(folder: Path, names: Iterable[str], hint: str) -> None:
    """Raise `DataError` if a file isn't the one that was sealed.

    Parameters
    ----------
    folder
        Where the files and the seal are.
    names
        Of the files.
    hint
        What to do about it.
    """
    path = folder / SEAL
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        sealed = {name: known[name] for name in names}
    except FileNotFoundError:
        raise DataError(f"{path}: is missing, so nobody can tell whether the tables were changed; {hint}") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path}: can't be read; {hint}") from None
    for name, digest in sealed.items():
        if file_digest(folder / name) != digest:
            raise DataError(f"{folder / name}: was changed since the run wrote it; {hint}")


def check_sums(table: pd.DataFrame, place: Place, hint: str) -> None:
    """Raise `DataError` if counts of one row contradict each other: ``tp + fn`` is ``true``, ``tp + fp`` the predicted.

    Rows of classes have neither ``true`` nor ``predicted``, and pass.
    """
    for rest, name in (("fn", "true"), ("fp", "predicted")):
        if name in table:
            whole = pd.to_numeric(table[name], errors="coerce")
            wrong = whole.notna() & (table["tp"] + table[rest] != whole)
            _refuse(
                table,
                wrong,
                place,
                hint,
                f"tp {{tp:g}} and {rest} {{{rest}:g}} don't add up to {name} {{{name}:g}}",
            )


def check_images(table: pd.DataFrame, place: Place, hint: str) -> None:
    """Raise `DataError` if a table of scored images contradicts itself.

    Parameters
    ----------
    table
        Of the form of `synthbench.results.Results.images` or `label_consistency`, whose counts are numbers.
    place
        Says where a row stands.
    hint
        What to do about it.
    """
    if table.empty:
        return
    check_sums(table, place, hint)
    check_shares(table, place, hint)
    for part, (whole, least) in _SUMS.items():
        if part in table:
            wrong = (table[part] > table[whole] + _TOLERANCE) | (table[part] < least * table[whole] - _TOLERANCE)
            _refuse(
                table,
                wrong,
                place,
                hint,
                f"{part} {{{part}:g}} can't go with {whole} {{{whole}:g}}",
            )
    run = [name for name in _RUN if name in table]
    parts = [name for name in ("iou", "class") if name in table]
    _refuse(
        table,
        table.duplicated([*run, "image", *parts]),
        place,
        hint,
        "image {image!r} occurs twice",
    )
    image = table.groupby([*run, "image"], sort=False, dropna=False).ngroup()
    if "iou" in table:
        _check_thresholds(table, image, place, hint)
    if "class" in table:
        _check_classes(table, image, place, hint)
    _check_truth(table, place, hint)


def check_shares(table: pd.DataFrame, place: Place, hint: str) -> None:
    """Raise `DataError` if a score isn't within 0 … 1."""
    for name in table.columns.intersection(list(_SHARES)):
        values = pd.to_numeric(table[name], errors="coerce")
        wrong = (values < -_TOLERANCE) | (values > 1 + _TOLERANCE)
        _refuse(table, wrong, place, hint, f"{name} is {{{name}:g}}, which is no score of 0 … 1")


def check_same_trainings(images: pd.DataFrame, runs: pd.DataFrame, folder: Path, hint: str) -> None:
    """Raise `DataError` unless the trainings that have scored images are those that `runs` calls done.

    Parameters
    ----------
    images, runs
        Tables of `synthbench.results.Results`.
    folder
        Where ``images.csv`` and ``runs.csv`` are, for the message.
    hint
        What to do about it.
    """
    names = [name for name in _RUN if name in runs and (name in images or images.empty)]
    done = runs.loc[runs["status"] == "ok", names]
    scored = images[names] if len(images) else done[:0]
    both = _keys(done), _keys(scored)
    if both[0] == both[1]:
        return
    lost = len(both[0] - both[1])
    problem = (
        f"{lost} trainings that are done according to runs.csv have no scored image"
        if lost
        else "there are images of trainings that aren't done according to runs.csv"
    )
    raise DataError(f"{folder}: images.csv and runs.csv contradict each other: {problem}; {hint}")


def _keys(table: pd.DataFrame) -> set[tuple[str, ...]]:
    numbers = table.columns.intersection(["fold", "fraction", "generator_seed", "seed"])
    same = table.drop_duplicates().astype(dict.fromkeys(numbers, float)).astype(str)
    return set(same.itertuples(index=False, name=None))


def _check_thresholds(table: pd.DataFrame, image: pd.Series, place: Place, hint: str) -> None:
    """Look at what the rows of one image and training say of each other: a mean over thresholds needs all of them."""
    of_thresholds = table["iou"].notna()
    count = of_thresholds.groupby(image).transform("sum")
    every = table["iou"].nunique()
    _refuse(
        table, of_thresholds & (count < every), place, hint, f"image {{image!r}} lacks some of {every} IoU thresholds"
    )
    order = np.lexsort((pd.to_numeric(table["iou"]), image))
    rows = table.iloc[order]
    after = pd.Series(np.diff(image.iloc[order], prepend=-1) == 0, index=rows.index) & rows["iou"].notna()
    for name in rows.columns.intersection(list(_ONCE)):
        other = rows[name].ne(rows[name].shift()) & ~(rows[name].isna() & rows[name].shift().isna())
        _refuse(
            rows,
            after & other,
            place,
            hint,
            f"{name} of image {{image!r}} isn't that of its other thresholds",
        )
    for name in rows.columns.intersection(["tp", "iou_sum"]):
        rises = rows[name] > rows[name].shift() + _TOLERANCE
        _refuse(
            rows,
            after & rises,
            place,
            hint,
            f"{name} of image {{image!r}} rises with the IoU threshold",
        )
    if "iou_sum" in rows:
        wrong = (rows["iou_sum"] > rows["tp"] + _TOLERANCE) | (rows["iou_sum"] < rows["iou"] * rows["tp"] - _TOLERANCE)
        _refuse(
            rows,
            wrong,
            place,
            hint,
            "iou_sum {iou_sum:g} can't be of {tp:g} pairs at IoU {iou:g}",
        )


def _check_classes(table: pd.DataFrame, image: pd.Series, place: Place, hint: str) -> None:
    of_classes = table["class"].notna()
    predicted, true = ((table["tp"] + table[rest]).groupby(image).transform("sum") for rest in ("fp", "fn"))
    _refuse(table, of_classes & (predicted != true), place, hint, "true and predicted pixels differ in number")
    dice = rate("f1", table["tp"], table["fp"], table["fn"])
    wrong = of_classes & ((table["dice"] - dice).abs() > _TOLERANCE)
    _refuse(table, wrong, place, hint, "dice {dice:g} isn't that of its pixels")


def _check_truth(table: pd.DataFrame, place: Place, hint: str) -> None:
    """Every training is scored against the same truth."""
    drawn = ("fold", "fraction", "generator", "generator_seed") if "arm" not in table else ()
    tested = "tested_on" if "tested_on" in table else "dataset"
    names = [name for name in (tested, *drawn, "image", "class") if name in table]
    truth = table["tp"] + table["fn"]
    first = truth.groupby([table[name] for name in names], sort=False, dropna=False).transform("first")
    _refuse(table, truth != first, place, hint, "image {image!r} has another truth in other trainings")
    if "difficulty" in table:
        first = (
            table["difficulty"].groupby([table[name] for name in names], sort=False, dropna=False).transform("first")
        )
        other = (table["difficulty"] != first) & table["difficulty"].notna()
        _refuse(table, other, place, hint, "image {image!r} has another difficulty in other trainings")


def _refuse(table: pd.DataFrame, wrong: pd.Series, place: Place, hint: str, words: str) -> None:
    """Raise `DataError` about the first row that is wrong; `words` is a format of its columns."""
    found = np.flatnonzero(wrong.to_numpy(bool))
    if len(found):
        row = table.iloc[found[0]]
        problem = words.format_map({str(name): value for name, value in row.items()})
        raise DataError(f"{place(int(table.index[found[0]]))}: {problem}; {hint}")
