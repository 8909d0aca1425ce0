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

from synthbench.datasets.readers import coco_masks as masks
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
    assert found.description == "COCO annotations in labels.json"
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
    assert masks.decode_runs(packed["counts"], "here") == _uncompressed(mask)["counts"]


def test_the_smaller_object_lies_on_top_and_what_it_hides_is_counted(put, bring, grey, tmp_path):
    put("a.png", grey)
    small, large, same = _disc(10, 10, 2), _disc(10, 10, 6), _disc(10, 10, 2)
    _write(tmp_path / "labels.json", [_annotation(_uncompressed(m)) for m in (small, large, same)])
    (sample,), found = bring()
    np.testing.assert_array_equal(sample.labels == 3, same)
    np.testing.assert_array_equal(sample.labels == 2, large & ~small)
    lines = found.log.lines()
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
    assert found.log.counts == {
        "crowd regions, omitted": 1,
        "annotations without a mask, omitted": 2,
        "polygons of fewer than three points, omitted": 1,
        "annotations without a pixel, dropped": 1,
        "annotations of images that aren't listed, omitted": 1,
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
    assert found.log.total == 2
    alone, _ = bring(tmp_path / "annotations" / "cells_val.json")
    assert [s.id for s in alone] == ["0"]


def test_classes_of_several_files_are_in_the_order_of_their_ids(put, bring, grey, tmp_path):
    for name, ids in (("test", (1, 3)), ("train", (2,))):
        put(f"{name}.png", grey)
        categories = [{"id": one, "name": f"c{one}"} for one in ids]
        rows = [_annotation(_uncompressed(_disc(8, 8, 5)), category=one) for one in ids]
        path = _write(tmp_path / f"{name}.json", rows, (f"{name}.png",))
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "categories": categories}))
    _, found = bring(task="semantic")
    assert found.options.classes == ("background", "c1", "c2", "c3")


def test_categories_become_classes_when_the_task_is_semantic(put, bring, grey, tmp_path):
    put("a.png", grey)
    cell, debris = _disc(8, 8, 5), _disc(8, 8, 2)
    _write(tmp_path / "x.json", [_annotation(_uncompressed(cell)), _annotation(_uncompressed(debris), category=2)])
    (sample,), found = bring(task="semantic")
    assert found.options.classes == ("background", "cell", "debris")
    np.testing.assert_array_equal(sample.labels, cell.astype(int) + debris)
    with pytest.raises(ConfigError, match=r"category 'debris' .*: background, cell"):
        bring(task="semantic", classes=("background", "cell"))


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        ({"size": [HEIGHT, WIDTH + 1], "counts": [HEIGHT * WIDTH]}, r"size \[24, 33\].*image is \[24, 32\]"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 10]}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": "0oooooooooo0"}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": "é"}, "'é'; the file is damaged"),
        ([["x", "y", "x", "y", "x", "y"]], "a polygon contains 'x'"),
    ],
)
def test_a_damaged_mask_is_refused_before_c_code_follows_it(put, bring, grey, tmp_path, segmentation, says):
    put("a.png", grey)
    _write(tmp_path / "labels.json", [_annotation(segmentation)])
    with pytest.raises(DataError, match=rf"labels\.json: image a\.png: .*{says}"):
        bring()


SQUARE = [[4, 4, 12, 4, 12, 12, 4, 12]]


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        ([[[4, 4], [12, 4], [12, 12], [4, 12]]], "a nested list"),
        ([[[4, 4], [12, 4], [12, 12]]], "a nested list"),
        ([[[[4, 4, 12, 4, 12, 12]]]], "a nested list"),
        ([4, 4, 12, 4, 12, 12, 4, 12], "a flat list; expected a list of polygons"),
        ([[4, 4, 12, 4, 12, 12], 5], "a polygon is 5"),
        ([[{"x": 4, "y": 4}, {"x": 4, "y": 9}]], "a nested list"),
        ([[4, 4, 12, 4, 12, 12, 4]], "7 numbers; expected pairs"),
        ([[None, 4, 12, 4, 12, 12]], "contains null"),
        ([["4", 4, 12, 4, 12, 12]], "contains '4'"),
        ([[True, 4, 12, 4, 12, 12]], "contains true"),
        (
            [[4, 4, float("nan"), 4, 12, 12]],
            "x = nan, .*from 0 to 32; expected finite",
        ),
        ([[4, 4, 12, float("nan"), 12, 12]], "y = nan, .*from 0 to 24"),
        ([[4, 4, float("inf"), 4, 12, 12]], "x = inf"),
        ([[4, float("-inf"), 12, 4, 12, 12]], "y = -inf"),
        ([[4, 4, 1e9, 4, 12, 12]], r"x = 1000000000\.0"),
        ([[4, 4, 10**400, 4, 12, 12]], "x = 1000"),
        ([[4, -25, 12, 4, 12, 12]], "y = -25"),
        ("52;:1", "the mask is '52;:1'; expected polygons"),
        (7, "the mask is 7"),
        ({"size": None, "counts": [5]}, "size null"),
        ({"size": [HEIGHT, WIDTH], "counts": ["768"]}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": [True, HEIGHT * WIDTH - 1]}, "don't fill the image"),
        ({"size": [HEIGHT, WIDTH], "counts": "o" * 200_000}, "don't fill the image"),
    ],
)
def test_a_mask_that_can_not_be_meant_is_refused_with_the_reason(put, bring, grey, tmp_path, segmentation, says):
    put("a.png", grey)
    _write(tmp_path / "labels.json", [_annotation(SQUARE), _annotation(segmentation, id=17)])
    with pytest.raises(DataError, match=rf"labels\.json: image a\.png: annotation 17: .*{says}") as raised:
        bring()
    assert len(str(raised.value)) < 400


def test_a_polygon_that_would_take_gigabytes_is_refused_before_it_is_decoded(put, bring, grey, tmp_path):
    put("a.png", grey)
    _write(tmp_path / "labels.json", [_annotation([[0, 0, 32, 24] * 100_000])])
    with pytest.raises(DataError, match=r"annotation number 1: a polygon of 200,000 points"):
        bring()
    fine = [[float(v) for t in np.linspace(0, 6.28, 100_000) for v in (16 + 8 * np.cos(t), 12 + 8 * np.sin(t))]]
    _write(tmp_path / "labels.json", [_annotation(fine)])
    (sample,), _ = bring()
    assert abs(int(sample.labels.sum()) - 201) < 12


def test_a_polygon_may_reach_a_little_over_the_edge(put, bring, grey, tmp_path):
    put("a.png", grey)
    _write(tmp_path / "labels.json", [_annotation([[-6, -6, 10, -6, 10, 10, -6, 10]])])
    (sample,), found = bring()
    assert int(sample.labels[:10, :10].sum()) == int(sample.labels.sum()) == 100
    assert "polygons that extend beyond the image, clipped: 1" in found.log.lines()


def test_an_image_listed_twice_is_one_image_with_the_objects_of_both(put, bring, grey, tmp_path):
    put("a.png", grey)
    put("b.png", grey)
    kept, moved, alone, more = _disc(8, 8, 4), _disc(8, 9, 4), _disc(18, 6, 3), _disc(16, 24, 5)
    rows = [_annotation(_uncompressed(m), image_id=1) for m in (kept, alone)]
    rows += [_annotation(_uncompressed(m), image_id=3) for m in (moved, more)]
    _write(tmp_path / "labels.json", [*rows, _annotation(SQUARE, image_id=2)], ("a.png", "b.png", "a.png"))
    samples, found = bring()
    assert [s.id for s in samples] == ["a", "b"]
    for value, mask in ((1, kept), (2, alone), (3, more)):
        np.testing.assert_array_equal(samples[0].labels == value, mask)
    assert {
        "images listed twice in labels.json, merged": 1,
        "objects in both listings of an image, the first kept": 1,
        "objects in only one of two listings of an image, kept": 2,
    }.items() <= found.log.counts.items()


def test_an_image_listed_twice_alike_is_as_if_listed_once(put, bring, grey, tmp_path):
    put("a.png", grey)
    objects = [_disc(8, 8, 4), _disc(9, 14, 3), _disc(18, 20, 5)]
    _write(tmp_path / "labels.json", [_annotation(_uncompressed(m)) for m in objects])
    (once,), _ = bring()
    again = [_annotation(_uncompressed(m), image_id=i) for i in (1, 2) for m in objects]
    _write(tmp_path / "labels.json", again, ("a.png", "a.png"))
    (twice,), found = bring()
    assert twice.digest == once.digest
    assert "objects in only one of two listings of an image, kept" not in found.log.counts


@pytest.mark.parametrize(
    ("first", "second", "keeps"), [("train", "val", "val"), ("train", "test", "test"), ("test", "val", "test")]
)
def test_an_image_of_two_splits_is_in_one_that_is_not_trained_on(put, bring, grey, tmp_path, first, second, keeps):
    for name in ("a", "b", "both"):
        put(f"images/{name}.png", grey)
    truth = {first: _disc(8, 8, 3), second: _disc(16, 16, 4)}
    for split, own in ((first, "a.png"), (second, "b.png")):
        rows = [_annotation(_uncompressed(truth[split]), image_id=i) for i in (1, 2)]
        _write(tmp_path / f"cells_{split}.json", rows, (own, "both.png"))
    samples, found = bring()
    assert sorted(s.id for s in samples) == ["a", "b", "both"]
    both = next(s for s in samples if s.id == "both")
    word = {"train": "train", "val": "validation", "test": "test"}
    assert both.groups["split"] == word[keeps]
    np.testing.assert_array_equal(both.labels > 0, truth[keeps])
    loses = first if keeps == second else second
    what = f"images listed in {word[keeps]} and in {word[loses]}, kept only in {word[keeps]}"
    assert found.log.counts[what] == 1
    assert found.log.total == 3


def test_a_picture_of_another_size_than_the_file_says_is_refused_all_at_once(put, bring, grey, tmp_path):
    for name in "abc":
        put(f"{name}.png", grey if name != "c" else grey.T.copy())
    put("b.png", grey[::2, ::2].copy())
    _write(tmp_path / "x.json", [_annotation(SQUARE, image_id=i) for i in (1, 2, 3)], ("a.png", "b.png", "c.png"))
    with pytest.raises(DataError) as raised:
        bring()
    said = str(raised.value)
    assert "2 problems: (1) x.json: image b.png: the JSON file states 24×32" in said
    assert "the image is 32×24; it is rotated" in said


@pytest.mark.parametrize(
    "size", [{}, {"height": None, "width": None}, {"height": 0, "width": 0}, {"height": 24.0, "width": 32}]
)
def test_a_size_that_is_not_stated_is_not_compared(put, bring, grey, tmp_path, size):
    put("a.png", grey)
    content = {"images": [{"id": 1, "file_name": "a.png", **size}], "annotations": [_annotation(SQUARE)]}
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8")
    (sample,), _ = bring()
    assert int(sample.labels.sum()) == 64


@pytest.mark.parametrize("ids", [(1, "1"), ("1", 1), (7.0, 7), ("cell-a", "cell-a"), ("é", "é")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_ids_may_be_texts_a_byte_order_mark_may_lead_and_categories_may_lack(
    put, bring, grey, tmp_path, ids, encoding, task
):
    put("a.png", grey)
    content = {
        "images": [{"id": ids[0], "file_name": "a.png"}],
        "annotations": [_annotation(SQUARE, image_id=ids[1], category="nucleus")],
    }
    (tmp_path / "labels.JSON").write_text(json.dumps(content, ensure_ascii=False), encoding=encoding)
    (sample,), found = bring(task=task)
    assert int(sample.labels.sum()) == 64
    assert found.options.classes == (("background", "nucleus") if task == "semantic" else ())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"annotations": [_annotation(SQUARE, image_id=5)]},
            "no annotation belongs .*image_id '5'",
        ),
        (
            {"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]},
            r"a\.png and b\.png have the same id, 1",
        ),
        ({"images": [{"id": None, "file_name": "a.png"}]}, "an image has no file_name or no id"),
        ({"images": [{"id": [1], "file_name": "a.png"}]}, "an image has no file_name or no id"),
        (
            {"images": [{"id": i, "file_name": f"n{i}.png"} for i in range(12)]},
            r"12 images not found in .*: n0\.png, .*, n9\.png and 2 more",
        ),
        ({"categories": {"1": "cell"}}, "not a COCO file"),
        ({"annotations": [3]}, "not a COCO file"),
    ],
)
def test_rows_that_do_not_fit_together_are_named(put, bring, grey, tmp_path, change, says):
    put("a.png", grey)
    put("b.png", grey)
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [_annotation(SQUARE)], **change}
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=rf"x\.json: .*{says}"):
        bring()


def test_annotations_may_be_an_object_of_objects(put, bring, grey, tmp_path):
    put("a.png", grey)
    content = {
        "images": [{"id": 1, "file_name": "A.PNG"}],
        "annotations": {"0": _annotation(SQUARE)},
        "categories": None,
    }
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8")
    (sample,), _ = bring()
    assert int(sample.labels.sum()) == 64


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_a_deeply_nested_file_is_one_clear_line(put, bring, grey, tmp_path, depth):
    put("a.png", grey)
    deep = "[" * depth + "]" * depth
    (tmp_path / "x.json").write_text(f'{{"images": [], "annotations": [], "more": {deep}}}', encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.json: not a COCO file: nested too deeply"):
        bring()


def test_a_missing_image_is_named(put, bring, grey, tmp_path):
    put("other.png", grey)
    _write(tmp_path / "labels.json", [], ("a.png",))
    with pytest.raises(DataError, match=r"labels\.json: image a\.png not found"):
        bring()


def test_a_file_name_can_not_lead_out_of_the_folder(put, bring, grey, tmp_path):
    put("outside.png", grey)
    put("set/other.png", grey)
    _write(tmp_path / "set" / "labels.json", [], ("../outside.png",))
    with pytest.raises(DataError, match=r"image \.\./outside\.png not found"):
        bring(tmp_path / "set")


def test_one_image_in_two_files_is_refused(put, bring, grey, tmp_path):
    put("a.png", grey)
    for name in ("one.json", "two.json"):
        _write(tmp_path / name, [_annotation(_uncompressed(_disc(8, 8, 3)))])
    with pytest.raises(DataError, match=r"a\.png: listed in both one\.json and two\.json"):
        bring()


def test_crowds_alone_are_no_annotation(put, bring, grey, tmp_path):
    put("a.png", grey)
    _write(tmp_path / "labels.json", [_annotation(_uncompressed(_disc(8, 8, 3)), iscrowd=1)])
    with pytest.raises(DataError, match="no annotation is the mask"):
        bring()


@pytest.mark.parametrize("text", ['{"images": [], "annotations": [', '{"images": 3, "annotations": []}'])
def test_a_damaged_json_file_is_one_clear_line(put, bring, grey, tmp_path, text):
    put("a.png", grey)
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"labels\.json: (can't be read|not a COCO file)"):
        bring()
