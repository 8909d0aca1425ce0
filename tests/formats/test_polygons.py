"""Outlines cover exactly the pixels of an object, and are valid polygons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synthbench.formats.geojson import feature_collection
from synthbench.formats.polygons import polygons

shapely = pytest.importorskip("shapely")


def rasterised(rings, shape: tuple[int, int]) -> np.ndarray:
    """Which pixels have their centres in a polygon, by shapely, which must find it valid."""
    polygon = shapely.Polygon(rings[0], rings[1:])
    assert polygon.is_valid
    y, x = np.mgrid[: shape[0], : shape[1]]
    return shapely.contains_xy(polygon, x.ravel() + 0.5, y.ravel() + 0.5).reshape(shape)


@settings(max_examples=60)
@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_any_mask_is_got_back_from_its_polygons(mask: np.ndarray) -> None:
    found = sum((rasterised(piece, mask.shape).astype(int) for piece in polygons(mask)), np.zeros(mask.shape, int))
    assert np.array_equal(found, mask.astype(int))


def test_straight_sides_have_no_corners_in_between() -> None:
    mask = np.ones((3, 5), bool)
    assert [set(ring) for ring in polygons(mask, 10, 20)[0]] == [{(10, 20), (15, 20), (15, 23), (10, 23)}]


def test_geojson_is_the_label_map_with_holes_pieces_and_scores() -> None:
    labels = np.zeros((40, 50), np.uint16)
    labels[2:20, 3:22] = 1
    labels[6:10, 7:12] = 0
    labels[25:30, 5:9] = labels[32:36, 20:30] = 2
    labels[30:40, 40:50] = 3
    content = feature_collection(labels, np.array([0.5, 0.25, 1.0]))
    assert content["type"] == "FeatureCollection"
    found = np.zeros(labels.shape, int)
    for feature in content["features"]:
        assert feature["type"] == "Feature"
        assert feature["properties"]["objectType"] == "detection"
        geometry = feature["geometry"]
        pieces = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        for rings in pieces:
            assert all(ring[0] == ring[-1] for ring in rings)
            found[rasterised(rings, labels.shape)] += int(feature["properties"]["name"])
    assert np.array_equal(found, labels)
    kinds = [feature["geometry"]["type"] for feature in content["features"]]
    assert kinds == ["Polygon", "MultiPolygon", "Polygon"]
    assert [f["properties"]["measurements"]["score"] for f in content["features"]] == [0.5, 0.25, 1.0]


def test_classes_are_annotations_with_their_names() -> None:
    classes = np.zeros((6, 6), np.uint8)
    classes[1:3, 1:3], classes[4:, 4:] = 1, 2
    features = feature_collection(classes, None, "semantic", ("ground", "cell", "rim"))["features"]
    assert [(f["properties"]["objectType"], f["properties"]["classification"]["name"]) for f in features] == [
        ("annotation", "cell"),
        ("annotation", "rim"),
    ]
