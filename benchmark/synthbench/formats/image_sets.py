"""Annotated images written one by one, in the folders and under the names that other programs expect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.errors import ConfigError, suggest
from synthbench.formats.coco import CocoFile
from synthbench.samples import Sample, Task, suffix_for, write_array
from synthbench.types import AnyArray, LabelMap

__all__ = ["FORMS", "ImageSetWriter", "as_label_image", "check_form"]

FORMS: Mapping[str, str] = {
    "folders": "images/ and masks/, with the same names",
    "cellpose": "NAME.png and NAME_masks.tif beside it, as Cellpose has them",
    "coco": "images/ and annotations.json, with run-length encoded masks",
}
"""Forms of a set of annotated images, and what they are."""


def check_form(form: str, forms: Mapping[str, str] = FORMS) -> None:
    """Raise `ConfigError` if a form isn't one of those known."""
    if form not in forms:
        known = ", ".join(forms)
        raise ConfigError(f"--form {form}: unknown{suggest(form, forms) or f'; there are: {known}'}")


def as_label_image(labels: LabelMap) -> AnyArray:
    """Return a label map as uint16, which every program reads, or as uint32 where there are more labels."""
    return labels.astype(np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32)


class ImageSetWriter:
    """Writes samples into a folder in one of `FORMS`; `close` finishes it.

    Images are PNG where PNG holds them without loss, else TIFF; label maps are of 16 bits, or of 32 where there are
    more labels.

    Parameters
    ----------
    folder
        Exists, and is empty.
    form
    task, classes
        Those of the samples.
    """

    def __init__(self, folder: Path, form: str, task: Task, classes: Sequence[str] = ()) -> None:
        check_form(form)
        self._folder, self._form = folder, form
        self._coco = CocoFile(task, classes) if form == "coco" else None
        self.without_ignored = 0
        """Samples whose ignore region the form can't hold."""
        for name in {"folders": ("images", "masks"), "coco": ("images",)}.get(form, ()):
            (folder / name).mkdir()

    def add(self, sample: Sample) -> None:
        """Write a sample.

        Raises
        ------
        DataError
            If it can't be written.
        """
        labels, name = as_label_image(sample.labels), f"{sample.id}{suffix_for(sample.image)}"
        images = self._folder if self._form == "cellpose" else self._folder / "images"
        write_array(images / name, sample.image)
        if self._form == "folders":
            write_array(self._folder / "masks" / f"{sample.id}{suffix_for(labels)}", labels)
        elif self._form == "cellpose":
            write_array(self._folder / f"{sample.id}_masks.tif", labels)
        else:
            assert self._coco is not None
            self._coco.add(name, sample.labels)
        if sample.ignore is not None:
            self._ignored(sample.id, sample.ignore)

    def _ignored(self, name: str, ignore: AnyArray) -> None:
        if self._form != "folders":
            self.without_ignored += 1
            return
        (self._folder / "ignore").mkdir(exist_ok=True)
        write_array(self._folder / "ignore" / f"{name}.png", ignore.astype(np.uint8) * np.uint8(255))

    def close(self, about: Mapping[str, Any]) -> None:
        """Write what is known of the whole set: the annotations of COCO, and ``about.json``."""
        if self._coco is not None:
            _write_json(self._folder / "annotations.json", self._coco.content)
        _write_json(self._folder / "about.json", about, indent=1)


def _write_json(path: Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=indent)
    path.write_text(text + "\n", encoding="utf-8")
