"""Label maps as GeoJSON for QuPath: a feature per object, whose polygon runs along the edges of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthbench.formats.polygons import objects_of, polygons
from synthbench.samples import Task
from synthbench.types import FloatArray, LabelMap

__all__ = ["feature_collection"]


def feature_collection(
    labels: LabelMap, scores: FloatArray | None = None, task: Task = "instances", classes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a label map as QuPath's FeatureCollection, as JSON.

    Parameters
    ----------
    labels
        ``(height, width)``.
    scores
        ``(n,)``, the confidence of instance k + 1 at k: a measurement of the object.
    task
        Task `instances`: each object is a detection, with its label as name. Task `semantic`: each class but the
        background, 0, is an annotation of this class.
    classes
        Names of the classes of a semantic task.
    """
    features = []
    for label, (rows, columns), mask in objects_of(labels):
        pieces = polygons(mask, columns.start, rows.start)
        several = len(pieces) > 1
        kind = "detection" if task == "instances" else "annotation"
        properties: dict[str, Any] = {"objectType": kind, "name": str(label)}
        if task == "semantic":
            properties["name"] = classes[label] if label < len(classes) else str(label)
            properties["classification"] = {"name": properties["name"]}
        if scores is not None:
            properties["measurements"] = {"score": round(float(scores[label - 1]), 6)}
        features.append(
            {
                "type": "Feature",
                "geometry": {
                    "type": "MultiPolygon" if several else "Polygon",
                    "coordinates": pieces if several else pieces[0],
                },
                "properties": properties,
            }
        )
    return {"type": "FeatureCollection", "features": features}
