"""Label maps as a COCO file, whose masks are run-length encoded: decoded, they are the label maps to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from synthbench.samples import Task
from synthbench.types import FloatArray, LabelMap

__all__ = ["CocoFile"]


class CocoFile:
    """The content of a COCO file of instance segmentation, put together image by image.

    Parameters
    ----------
    task
        Task `instances`: an annotation per object, all of the category ``object``. Task `semantic`: an annotation per
        image and class, without the background, class 0.
    classes
        Names of the classes of a semantic task.
    about
        Becomes the file's ``info``.
    """

    def __init__(self, task: Task, classes: Sequence[str] = (), about: dict[str, Any] | None = None) -> None:
        names = list(classes)[1:] if task == "semantic" else ["object"]
        self._about = dict(about or {})
        self._categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
        self._task = task
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, file_name: str, labels: LabelMap, scores: FloatArray | None = None) -> None:
        """Add an image.

        Parameters
        ----------
        file_name
            Of the image, relative to the folder of images.
        labels
            ``(height, width)``; an object may be in several pieces.
        scores
            ``(n,)``, the confidence of instance k + 1 at k: the key ``score`` of its annotation.
        """
        number = len(self._images) + 1
        height, width = labels.shape
        self._images.append({"id": number, "file_name": file_name, "height": height, "width": width})
        for label, window in enumerate(ndimage.find_objects(labels.astype(np.int32, copy=False)), 1):
            if window is None:
                continue
            rows, columns = window
            inside = labels[window] == label
            annotation = {
                "id": len(self._annotations) + 1,
                "image_id": number,
                "category_id": label if self._task == "semantic" else 1,
                "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
                "area": int(np.count_nonzero(inside)),
                "iscrowd": 0,
                "segmentation": _encoded(labels.shape, rows, columns, inside),
            }
            if scores is not None:
                annotation["score"] = round(float(scores[label - 1]), 6)
            self._annotations.append(annotation)

    @property
    def content(self) -> dict[str, Any]:
        """The file's content, as JSON."""
        return {
            "info": self._about,
            "images": self._images,
            "categories": self._categories,
            "annotations": self._annotations,
        }


def _encoded(shape: tuple[int, ...], rows: slice, columns: slice, inside: Any) -> dict[str, Any]:
    """Return a mask, given within its box, as COCO's compressed run lengths; they go down the columns."""
    from pycocotools import mask

    height, width = shape
    whole_columns = np.zeros((height, columns.stop - columns.start), np.uint8, order="F")
    whole_columns[rows] = inside
    flat = whole_columns.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat, prepend=0, append=0)) + columns.start * height
    runs = np.diff(changes, prepend=0, append=height * width)
    found = mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": found["counts"].decode("ascii")}
