"""Predictions written one by one: label maps, overlays, and what other programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthbench.formats.coco import CocoFile
from synthbench.formats.geojson import feature_collection
from synthbench.formats.image_sets import as_label_image, check_form
from synthbench.samples import Task, write_array
from synthbench.samples.pictures import draw_labels, stretch_contrast, under_annotation
from synthbench.types import FloatArray, Image, LabelMap

__all__ = ["PREDICTION_FORMS", "PredictionWriter", "check_prediction_forms"]

PREDICTION_FORMS: Mapping[str, str] = {
    "labels": "labels/NAME.tif, a label map",
    "coco": "annotations.json, COCO with run-length encoded masks and scores",
    "geojson": "geojson/NAME.geojson, polygons for QuPath",
    "overlay": "overlays/NAME.png, outlines over the image",
}
"""Forms of predictions; label maps are always written."""
LARGEST_OVERLAY = 4096
"""Longest side of an overlay in pixels; of larger images every second, third … pixel is shown."""


def check_prediction_forms(forms: Sequence[str]) -> None:
    """Raise `ConfigError` if a form isn't one of those known."""
    for form in forms:
        check_form(form, PREDICTION_FORMS)


class PredictionWriter:
    """Writes predictions into a folder; `close` finishes it.

    Parameters
    ----------
    folder
        Exists, and is empty.
    forms
        Some of `PREDICTION_FORMS`.
    task, classes
        Those that the segmenter was trained on.
    """

    def __init__(self, folder: Path, forms: Sequence[str], task: Task, classes: Sequence[str] = ()) -> None:
        check_prediction_forms(forms)
        self._folder, self._task, self._classes = folder, task, tuple(classes)
        self._forms = {"labels", *forms}
        self._coco = CocoFile(task, classes) if "coco" in self._forms else None
        for form, name in (("labels", "labels"), ("geojson", "geojson"), ("overlay", "overlays")):
            if form in self._forms:
                (folder / name).mkdir()

    def add(self, name: str, file_name: str, image: Image, labels: LabelMap, scores: FloatArray | None = None) -> None:
        """Write the prediction for an image.

        Parameters
        ----------
        name
            Of the files, without suffix.
        file_name
            Of the image.
        image, labels, scores

        Raises
        ------
        DataError
            If something can't be written.
        """
        write_array(self._folder / "labels" / f"{name}.tif", as_label_image(labels))
        if self._coco is not None:
            self._coco.add(file_name, labels, scores)
        if "geojson" in self._forms:
            content = feature_collection(labels, scores, self._task, self._classes)
            (self._folder / "geojson" / f"{name}.geojson").write_text(json.dumps(content) + "\n", encoding="utf-8")
        if "overlay" in self._forms:
            step = -(-max(labels.shape) // LARGEST_OVERLAY)
            shown, small = image[::step, ::step], labels[::step, ::step]
            ground = under_annotation(stretch_contrast(shown), shown)
            write_array(self._folder / "overlays" / f"{name}.png", draw_labels(ground, small, None, self._task))

    def close(self, about: Mapping[str, Any]) -> None:
        """Write what is known of the whole set: the annotations of COCO, and ``about.json``."""
        if self._coco is not None:
            text = json.dumps(self._coco.content, ensure_ascii=False, allow_nan=False)
            (self._folder / "annotations.json").write_text(text + "\n", encoding="utf-8")
        text = json.dumps(about, ensure_ascii=False, allow_nan=False, indent=1)
        (self._folder / "about.json").write_text(text + "\n", encoding="utf-8")
