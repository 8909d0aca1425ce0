"""Scores computed again from the predictions of a bundle and the true labels of its test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthbench.bundle import layout
from synthbench.bundle._prediction_checks import predictions_of
from synthbench.bundle._table_checks import IMAGES, RUNS, label_of, rows_by_training
from synthbench.bundle.contents import Contents, training_of
from synthbench.bundle.findings import Findings
from synthbench.bundle.reading import BundleFile
from synthbench.datasets import library
from synthbench.engine.tasks.evaluate import score_instances, score_semantic
from synthbench.errors import DataError
from synthbench.plugin.api import Instances
from synthbench.results import image_rows
from synthbench.samples import Entry, Sample, SampleSet

__all__ = ["check_scores", "open_data"]

_TOLERANCE = 1e-9
_COCO = ("coco_ap", "coco_ap50", "coco_ap75")
_COUNTS = (
    *("tp", "fp", "fn", "true", "predicted", "pq_tp"),
    *("aji_shared", "aji_union", "aji_plus_shared", "aji_plus_union", "iou", "class"),
)


def open_data(contents: Contents, data: Sequence[str]) -> dict[str, SampleSet]:
    """Open datasets, and return them by their titles in the bundle.

    Parameters
    ----------
    contents
    data
        Names of datasets of the library, or paths.

    Raises
    ------
    DataError
        If one can't be opened, or its test images aren't those of a dataset of the bundle.
    """
    opened: dict[str, SampleSet] = {}
    for name in data:
        title = _title(contents, name)
        samples = _open(contents, name, title)
        _check_same(contents, title, samples, name)
        opened[title] = samples
    return opened


def _title(contents: Contents, name: str) -> str:
    """Return the dataset of the bundle that a name or path stands for: of the same name, or the only one."""
    title = Path(name).expanduser().resolve().name
    if title in contents.datasets:
        return title
    if len(contents.datasets) == 1:
        return next(iter(contents.datasets))
    known = ", ".join(contents.datasets)
    raise DataError(f"--data {name}: the bundle has no dataset of this name; give folders or names as in: {known}")


def _open(contents: Contents, name: str, title: str) -> SampleSet:
    choice = contents.choice(title)
    ready = name in library.Library().names() or (Path(name).expanduser() / "samples.json").is_file()
    how: dict[str, Any] = {} if ready else {"task": choice.task, "classes": choice.classes, "ignore": choice.ignore}
    return library.open_dataset(name, **how)[0]


def _check_same(contents: Contents, title: str, samples: SampleSet, name: str) -> None:
    """Raise `DataError` unless the images are the bundle's, with labels and groups; test images must be there."""
    known = contents.datasets[title]
    digests = {entry.id: entry.digest for entry in samples.entries}
    if (samples.task, samples.classes) != (known.task, known.classes):
        raise DataError(
            f"--data {name}: its task is {samples.task}, expected {known.task} as in {title!r} of the bundle"
        )
    for split in contents.splits[title]:
        for image in split.test:
            expected = known.entries[known.position(image)].digest
            found = digests.get(image)
            if found != expected:
                now = f"digest {found[:12]}" if found else "no such image"
                raise DataError(
                    f"--data {name}: test image {image!r} isn't that of {title!r} in the bundle ({now}, expected "
                    f"{expected[:12]}); give the images and masks that the run was made with"
                )
    for entry in known.entries:
        found, expected = digests.get(entry.id, entry.digest), entry.digest
        if found != expected:
            raise DataError(
                f"--data {name}: image {entry.id!r} isn't that of {title!r} in the bundle (digest {found[:12]}, "
                f"expected {expected[:12]}); give the images and masks that the run was made with"
            )


def check_scores(file: BundleFile, contents: Contents, opened: Mapping[str, SampleSet], findings: Findings) -> None:
    """Score the predictions on datasets that are there, and compare with the tables."""
    tested: dict[tuple[str, ...], list[Sample]] = {}
    scored: set[bool] = set()
    with findings.check(IMAGES, f"test labels of {', '.join(opened)}, and all scores on them computed again"):
        images, runs = rows_by_training(contents.results.images), rows_by_training(contents.results.runs)
        rows = [row for row in contents.trainings if row["tested_on"] in opened]
        for row in rows:
            ids = contents.test_ids(row)
            place = (row["tested_on"], *ids)
            if place not in tested:
                tested[place] = list(opened[row["tested_on"]].subset(ids))
                _compare_entries(contents.datasets[row["tested_on"]], opened[row["tested_on"]].subset(ids), findings)
            key = training_of(row)
            if key in images and key in runs:
                answers = [Instances(labels) for _, labels in predictions_of(file, contents, row)]
                scores = _scores(contents, opened[row["tested_on"]], tested[place], answers)
                _compare(images[key], pd.DataFrame(image_rows(scores)), label_of(row), findings)
                scored.add(_compare_coco(runs[key].iloc[0], scores, label_of(row), findings))
    findings.scored.extend(opened)
    if False in scored:
        findings.not_verified.append("COCO AP of segmenters with a confidence per object: runs don't keep confidences")


def _compare_entries(known: SampleSet, tested: SampleSet, findings: Findings) -> None:
    """Compare what the bundle says of test images, such as their numbers of objects, with the images."""
    for entry in tested.entries:
        stated, measured = asdict(known.entries[known.position(entry.id)]), asdict(Entry.of(tested[entry.id]))
        for name, value in measured.items():
            findings.expect(layout.SOURCES, f"{name} of {entry.id!r} in {known.name!r}", stated[name], value)


def _scores(
    contents: Contents, samples: SampleSet, tested: Sequence[Sample], answers: Sequence[Instances]
) -> dict[str, Any]:
    if samples.task == "semantic":
        return score_semantic(tested, answers, len(samples.classes) or 2)
    return score_instances(tested, answers, contents.study.border_objects)


def _compare(table: pd.DataFrame, expected: pd.DataFrame, label: str, findings: Findings) -> None:
    """Compare rows of images; counts must be equal, other numbers may differ by rounding."""
    key = ["image", "iou" if "iou" in expected else "class"]
    found, right = (
        each.assign(**{key[1]: each[key[1]].round(6)}).set_index(key).sort_index() for each in (table, expected)
    )
    if not found.index.equals(right.index):
        findings.add(IMAGES, f"{label}: has {len(found)} rows, expected {len(right)} of the test images")
        return
    for column in right.columns.intersection(found.columns):
        for place in np.flatnonzero(~_equal(found[column], right[column], exact=column in _COUNTS)):
            where = f"{label}: {column} of image {right.index[place][0]!r} at {key[1]} {right.index[place][1]:g}"
            findings.add(IMAGES, f"{where} is {found[column].iloc[place]}, expected {right[column].iloc[place]}")
            break


def _equal(found: pd.Series, right: pd.Series, *, exact: bool) -> Any:
    if not (pd.api.types.is_numeric_dtype(found) and pd.api.types.is_numeric_dtype(right)):
        same_text = found.astype(object).to_numpy() == right.astype(object).to_numpy()
        return same_text | (found.isna().to_numpy() & right.isna().to_numpy())
    a, b = found.to_numpy(float), right.to_numpy(float)
    return (a == b) if exact else np.isclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)


def _compare_coco(run: pd.Series, scores: Mapping[str, Any], label: str, findings: Findings) -> bool:
    """Compare COCO AP where the segmenter has no confidences; return whether it could be compared."""
    if scores["task"] == "semantic":
        return True
    if not bool(run["unscored"]):
        return False
    for name in _COCO:
        findings.expect(RUNS, f"{label}: {name}", float(run[name]), float(scores[name]))
    return True
