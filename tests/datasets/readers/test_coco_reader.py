"""COCO JSON: polygons and both run-length forms, against pycocotools; overlaps; damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_masks

from synthbench.datasets.readers import coco
from synthbench.errors import ConfigError, DataError

HEIGHT, WIDTH = 24, 32


def _disc(y: float, x: float, radius: float) -> np.ndarray:
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 <= radius**2


def _uncompressed(mask: np.ndarray) -> dict[str, Any]:
    flat = mask.ravel(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, len(flat)]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": ([0] if flat[0] else []) + runs}


def _compressed(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode()}


def _annotation(segmentation: Any, image_id: int = 1, category: int = 1, **more: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category, "segmentation": segmentation, "iscrowd": 0, **more}


def _write(path: Path, annotations: list[dict[str, Any]], images: tuple[str, ...] = ("a.png",)) -> Path:
    content = {
        "images": [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(images, 1)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "debris"}, {"id": 3, "name": "never used"}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_three_forms_of_a_mask_decode_as_pycocotools_does(put, bring, grey, tmp_path):
    put("images/a.png", grey)
    polygon = [[3.0, 2.0, 9.5, 2.0, 9.5, 8.0, 3.0, 7.0], [1.0, 10.0, 4.0, 10.0, 4.0, 13.0]]
    plain, packed = _disc(8, 20, 5), _disc(18, 10, 4)
    _write(tmp_path / "labels.json", [_annotation(s) for s in (polygon, _uncompressed(plain), _compressed(packed))])
    (sample,), found = bring()
    assert found.found == "COCO annotations in labels.json"
    truth = coco_masks.decode(coco_masks.merge(coco_masks.frPyObjects(polygon, HEIGHT, WIDTH)))
    np.testing.assert_array_equal(sample.labels == 1, truth == 1)
    np.testing.assert_array_equal(sample.labels == 2, plain)
    np.testing.assert_array_equal(sample.labels == 3, packed)
    assert sample.id == "a"
    assert dict(sample.groups) == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=40))
def test_any_mask_survives_the_compressed_form(runs):
    bits = np.repeat(np.arange(len(runs)) % 2 == 1, runs)[: HEIGHT * WIDTH]
    mask = np.pad(bits, (0, HEIGHT * WIDTH - len(bits))).reshape(HEIGHT, WIDTH, order="F")
    packed = _compressed(mask)
    assert coco._runs(packed["counts"], "here") == _uncompressed(mask)["counts"]


def test_the_smaller_object_lies_on_top_and_what_it_hides_is_counted(put, bring, grey, tmp_path):
    put("a.png", grey)
    small, large, same = _disc(10, 10, 2), _disc(10, 10, 6), _disc(10, 10, 2)
    _write(tmp_path / "labels.json", [_annotation(_uncompressed(m)) for m in (small, large, same)])
    (sample,), found = bring()
    np.testing.assert_array_equal(sample.labels == 3, same)
    np.testing.assert_array_equal(sample.labels == 2, large & ~small)
    lines = found.notes.lines()
    assert f"overlapping pixels given to the smaller object: {2 * int(small.sum())}" in lines
    assert "objects wholly hidden by smaller ones, dropped: 1" in lines


def test_crowds_boxes_and_lines_are_left_out_and_counted(put, bring, grey, tmp_path):
    put("a.png", grey)
    kept = _disc(8, 8, 3)
    rows = [
        _annotation(_uncompressed(kept)),
        _annotation(_uncompressed(_disc(16, 16, 6)), iscrowd=1),
        _annotation([]),
        _annotation([[1.0, 1.0, 5.0, 5.0]]),
        _annotation(_uncompressed(np.zeros((HEIGHT, WIDTH), bool))),
        _annotation(_uncompressed(kept), image_id=99),
    ]
    _write(tmp_path / "labels.json", rows)
    (sample,), found = bring()
    np.testing.assert_array_equal(sample.labels > 0, kept)
    assert found.notes.counts == {
        "crowd regions, left out": 1,
        "annotations without a mask, left out": 2,
        "polygons of fewer than three points, dropped": 1,
        "annotations without a pixel, dropped": 1,
        "annotations of images that aren't listed, left out": 1,
        "objects": 1,
    }


def test_json_files_named_for_splits_give_official_splits(put, bring, grey, tmp_path):
    for split in ("train", "val"):
        put(f"images/{split}/0.png", grey)
        _write(
            tmp_path / "annotations" / f"cells_{split}.json", [_annotation(_uncompressed(_disc(8, 8, 3)))], ("0.png",)
        )
    samples, found = bring()
    assert {s.id: dict(s.groups) for s in samples} == {"0": {"split": "train"}, "validation-0": {"split": "validation"}}
    assert found.notes.total == 2
    alone, _ = bring(tmp_path / "annotations" / "cells_val.json")
    assert [s.id for s in alone] == ["0"]


def test_categories_become_classes_when_the_task_is_semantic(put, bring, grey, tmp_path):
    put("a.png", grey)
    cell, debris = _disc(8, 8, 5), _disc(8, 8, 2)
    _write(tmp_path / "x.json", [_annotation(_uncompressed(cell)), _annotation(_uncompressed(debris), category=2)])
    (sample,), found = bring(task="semantic")
    assert found.recipe.classes == ("background", "cell", "debris")
    np.testing.assert_array_equal(sample.labels, cell.astype(int) + debris)
    with pytest.raises(ConfigError, match=r"category 'debris' is no class; the classes are: background, cell"):
        bring(task="semantic", classes=("background", "cell"))


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        ({"size": [HEIGHT, WIDTH + 1], "counts": [HEIGHT * WIDTH]}, r"for \[24, 33\] .* the image is \[24, 32\]"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 10]}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": "0oooooooooo0"}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": "é"}, "hold 'é'; the file is damaged"),
        ([["x", "y", "x", "y", "x", "y"]], "a polygon can't be read"),
    ],
)
def test_a_damaged_mask_is_refused_before_c_code_follows_it(put, bring, grey, tmp_path, segmentation, says):
    put("a.png", grey)
    _write(tmp_path / "labels.json", [_annotation(segmentation)])
    with pytest.raises(DataError, match=rf"labels\.json: image a\.png: .*{says}"):
        bring()


def test_a_missing_image_is_named(put, bring, grey, tmp_path):
    put("other.png", grey)
    _write(tmp_path / "labels.json", [], ("a.png",))
    with pytest.raises(DataError, match=r"labels\.json: the image a\.png is not below"):
        bring()


def test_a_file_name_can_not_lead_out_of_the_folder(put, bring, grey, tmp_path):
    put("outside.png", grey)
    put("set/other.png", grey)
    _write(tmp_path / "set" / "labels.json", [], ("../outside.png",))
    with pytest.raises(DataError, match=r"the image \.\./outside\.png is not below"):
        bring(tmp_path / "set")


def test_one_image_in_two_files_is_refused(put, bring, grey, tmp_path):
    put("a.png", grey)
    for name in ("one.json", "two.json"):
        _write(tmp_path / name, [_annotation(_uncompressed(_disc(8, 8, 3)))])
    with pytest.raises(DataError, match=r"a\.png: is listed in one\.json and in two\.json"):
        bring()


def test_crowds_alone_are_no_annotation(put, bring, grey, tmp_path):
    put("a.png", grey)
    _write(tmp_path / "labels.json", [_annotation(_uncompressed(_disc(8, 8, 3)), iscrowd=1)])
    with pytest.raises(DataError, match="no annotation has a mask of a single object"):
        bring()


@pytest.mark.parametrize("text", ['{"images": [], "annotations": [', '{"images": 3, "annotations": []}'])
def test_a_damaged_json_file_is_one_clear_line(put, bring, grey, tmp_path, text):
    put("a.png", grey)
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"labels\.json: (can't be read|is no COCO file)"):
        bring()
