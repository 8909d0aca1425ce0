"""Are the predicted label maps of a bundle those whose scores its tables hold?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from synthbench.bundle import layout
from synthbench.bundle._table_checks import rows_by_training
from synthbench.bundle.contents import Contents, training_of
from synthbench.bundle.findings import Findings
from synthbench.bundle.label_png import decode_labels
from synthbench.bundle.reading import BundleFile
from synthbench.engine.tasks.evaluate import fingerprint
from synthbench.errors import DataError
from synthbench.types import LabelMap

__all__ = ["check_predictions", "predictions_of"]

_FEW_LABELS = 2**20


def predictions_of(file: BundleFile, contents: Contents, row: Mapping[str, Any]) -> Iterator[tuple[str, LabelMap]]:
    """Yield identifier and predicted label map of each test image of a training.

    Raises
    ------
    DataError
        If one is missing, is no label map, or hasn't the size of the image; the message names the file.
    """
    samples = contents.datasets[row["tested_on"]]
    for image in contents.test_ids(row):
        name = layout.prediction_file(row["evaluate"], image)
        entry = samples.entries[samples.position(image)]
        yield image, decode_labels(file.read(name), (entry.height, entry.width), name)


def check_predictions(file: BundleFile, contents: Contents, findings: Findings) -> None:
    """Compare each predicted label map with the hash and the number of objects in the table of images."""
    with findings.check("predictions", "predictions have the hashes and object counts of the tables"):
        images = rows_by_training(contents.results.images)
        trainings = {row["evaluate"]: row for row in contents.trainings}
        names = {
            layout.prediction_file(key, image) for key, row in trainings.items() for image in contents.test_ids(row)
        }
        for name in file.names:
            if name.startswith("predictions/") and name not in names:
                findings.add(name, "belongs to no training and test image")
        for row in trainings.values():
            if (table := images.get(training_of(row))) is not None:
                _check_training(file, contents, row, table, findings)


def _check_training(
    file: BundleFile, contents: Contents, row: Mapping[str, Any], table: pd.DataFrame, findings: Findings
) -> None:
    first = table.drop_duplicates("image").set_index("image")
    samples = contents.datasets[row["tested_on"]]
    every = contents.study.border_objects == "include"
    try:
        for image, labels in predictions_of(file, contents, row):
            if image not in first.index:
                continue
            name = layout.prediction_file(row["evaluate"], image)
            findings.expect(name, "hash of the label map", fingerprint(labels), first["prediction"][image])
            ignored = samples.entries[samples.position(image)].ignored
            if "predicted" in first and every and not ignored:
                findings.expect(name, "number of objects", _objects(labels), int(first["predicted"][image]))
    except DataError as error:
        name, _, reason = str(error).partition(": ")
        findings.add(name, reason)


def _objects(labels: LabelMap) -> int:
    if labels.max(initial=0) < _FEW_LABELS:
        return int(np.count_nonzero(np.bincount(labels.ravel())[1:]))
    return int(np.count_nonzero(np.unique(labels)))
