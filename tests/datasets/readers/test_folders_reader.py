"""images/ beside labels/ or masks/: what is found, and what is refused."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from synthbench.errors import DataError


def test_masks_may_be_named_for_their_image_with_an_ending(put, bring, grey, two_cells):
    put("images/a.png", grey)
    put("images/b.tif", grey.astype(np.uint16) * 200)
    put("masks/a_mask.tif", two_cells)
    put("masks/b.png", two_cells)
    samples, found = bring()
    assert found.format.name == "folders"
    assert [s.id for s in samples] == ["a", "b"]
    np.testing.assert_array_equal(samples[1].image, grey.astype(np.uint16) * 200)
    np.testing.assert_array_equal(samples[0].labels, two_cells)


def test_folders_named_for_splits_are_official_splits(put, bring, grey, two_cells):
    for split in ("train", "val", "test", "stage1_test_extra"):
        put(f"{split}/images/{split}.png", grey)
        put(f"{split}/labels/{split}.png", two_cells)
    samples, _ = bring()
    assert {s.id: dict(s.groups) for s in samples} == {
        "train": {"split": "train"},
        "val": {"split": "validation"},
        "test": {"split": "test"},
        "stage1_test_extra": {"folder": "stage1_test_extra"},
    }


def test_splits_may_lie_within_images_and_labels(put, bring, grey, two_cells):
    for split in ("train", "test"):
        put(f"images/{split}/0.png", grey)
        put(f"labels/{split}/0.png", two_cells)
    samples, _ = bring()
    assert {s.id: s.groups["split"] for s in samples} == {"train-0": "train", "test-0": "test"}


def test_an_image_without_a_mask_is_named_with_the_way_out(put, bring, grey, two_cells):
    put("images/a.png", grey)
    put("images/lonely.png", grey)
    put("labels/a.png", two_cells)
    with pytest.raises(DataError, match=r"images/lonely\.png: has no mask; add .*labels/lonely\.png") as error:
        bring()
    assert "\n" not in str(error.value)


def test_whatever_is_wrong_is_told_at_once_the_first_ten_and_how_many_more(put, bring, grey, two_cells, tmp_path):
    for i in range(9):
        put(f"images/bare{i}.png", grey)
    for name in ("cut", "other", "good"):
        put(f"images/{name}.png", grey)
        put(f"labels/{name}.png", two_cells if name != "other" else two_cells[1:])
    put("labels/bear1.png", two_cells)
    (tmp_path / "images" / "cut.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as raised:
        bring()
    said = str(raised.value)
    assert said.startswith(f"{tmp_path}: 11 problems: (1) images/bare0.png: has no mask; add labels/bare0.png")
    assert "(9) images/bare8.png: has no mask" in said
    assert "masks without an image there: bear1.png" in said
    assert "(10) images/cut.png: can't be read" in said
    assert said.endswith("; and 1 more")
    assert "\n" not in said


def test_floats_are_measured_without_telling_a_problem_twice(put, bring, grey, two_cells, tmp_path):
    for name in "abcd":
        put(f"images/{name}.tif", grey / np.float32(300))
        put(f"labels/{name}.tif", two_cells)
    for name in "bc":
        (tmp_path / "images" / f"{name}.tif").write_bytes(b"no picture")
    with pytest.raises(
        DataError, match=r"^[^ ]+: 2 files: [^()]*: images/b\.tif \([^()]*\), images/c\.tif \([^()]*\)[^()]*$"
    ):
        bring()


def test_names_that_meet_hide_nothing_else_that_is_wrong(put, bring, grey, two_cells):
    for folder in ("x/a", "x_a"):
        put(f"{folder}/images/1.png", grey)
        put(f"{folder}/labels/1.png", two_cells)
    put("x/a/images/bare.png", grey)
    put("x/a/images/1.tif", grey)
    with pytest.raises(DataError, match=r"2 problems:.*1\.tif and 1\.png share one name.*bare\.png: has no mask"):
        bring()


def test_names_are_matched_however_their_letters_are_stored(put, bring, grey, two_cells):
    for image, mask in (
        ("Zelle_a\u0308", "Zelle_\u00e4"),
        ("\u00f6 1", "o\u0308 1_mask"),
        ("\u7ec6\u80de1", "\u7ec6\u80de1"),
    ):
        put(f"images/{image}.png", grey)
        put(f"masks/{mask}.png", two_cells)
    put("images/\u7ec4\u7ec71.png", grey)
    put("masks/\u7ec4\u7ec71.png", two_cells)
    samples, _ = bring()
    assert len({s.id for s in samples}) == 4


@pytest.mark.parametrize(
    ("image", "mask"), [("a.ome.tif", "a.tif"), ("a.ome.tif", "a.ome.tif"), ("a.tif", "a_mask.ome.tif")]
)
def test_ome_may_be_in_either_name(put, bring, grey, two_cells, image, mask):
    put(f"images/{image}", grey)
    put(f"masks/{mask}", two_cells)
    (sample,), _ = bring()
    np.testing.assert_array_equal(sample.labels, two_cells)


def test_a_mask_without_an_image_is_left_out_and_counted(put, bring, grey, two_cells):
    put("images/a.png", grey)
    put("labels/a.png", two_cells)
    put("labels/b.png", two_cells)
    samples, found = bring()
    assert len(samples) == 1
    assert "masks without an image in labels/, omitted: 1" in found.log.lines()


def test_a_mask_of_another_size_is_refused_by_name(put, bring, grey, two_cells):
    put("images/a.png", grey)
    put("labels/a.png", two_cells[:-1])
    with pytest.raises(DataError, match=r"labels/a\.png: the mask is 23×32.*its image.*images/a\.png is 24×32"):
        bring()


def test_two_images_of_one_name_are_refused(put, bring, grey, two_cells):
    put("images/a.png", grey)
    put("images/a.tif", grey)
    put("labels/a.png", two_cells)
    with pytest.raises(DataError, match=r"a\.tif and a\.png share one name"):
        bring()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("part", ["images", "labels"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_a_corrupt_file_is_one_clear_line(put, bring, grey, two_cells, suffix, part, damage):
    put(f"images/a{suffix}", grey)
    put(f"labels/a{suffix}", two_cells)
    broken = put(f"{part}/a{suffix}", grey)
    content = broken.read_bytes()
    broken.write_bytes({"cut": content[: len(content) // 3], "noise": b"no picture" * 40, "empty": b""}[damage])
    with pytest.raises(DataError, match=rf"{part}/a\{suffix}: can't be read as an image") as error:
        bring()
    assert "\n" not in str(error.value)


def test_the_real_nuclei_agree_with_their_manifest(real_data, bring):
    with (real_data / "manifest.csv").open(encoding="utf-8") as file:
        rows = {r["id"]: r for r in csv.DictReader(file) if r["dataset"] == "histology_dsb2018"}
    samples, found = bring(real_data / "histology_dsb2018")
    assert "119 images in images/ and labels/; official splits: test 12, train 107" in found.description
    assert {s.id for s in samples} == set(rows)
    for sample in samples:
        row = rows[sample.id]
        assert sample.image.shape == (int(row["height"]), int(row["width"]), 3)
        assert len(np.unique(sample.labels)) - 1 == int(row["n_objects"])
        assert sample.groups["split"] == row["split"]


@pytest.mark.slow
def test_every_real_set_imports_whole(real_data, bring):
    with (real_data / "manifest.csv").open(encoding="utf-8") as file:
        expected = Counter(row["dataset"] for row in csv.DictReader(file))
    for name, count in expected.items():
        task = "semantic" if name.startswith("filaments") else "instances"
        samples, _ = bring(real_data / name, task=task)
        assert len(samples) == count


def test_binary_masks_are_called_so_once(put, bring, grey):
    binary = np.zeros_like(grey, np.uint8)
    binary[2:6, 2:6] = binary[12:16, 12:16] = 255
    for name in "abc":
        put(f"images/{name}.png", grey)
        put(f"labels/{name}.png", binary)
    with pytest.raises(
        DataError, match=r"3 files: binary mask.* labels/a\.png \(.*\), labels/b\.png .*--components"
    ) as caught:
        bring()
    assert str(caught.value).count("--components") == str(caught.value).count("binary mask") == 1


def test_real_filaments_are_refused_as_instances_and_taken_as_classes(real_data, bring):
    with pytest.raises(DataError, match=r"binary mask, not a label map.*--components.*, --task semantic"):
        bring(real_data / "filaments_vimslab_silver" / "actin")
    samples, found = bring(real_data / "filaments_vimslab_silver" / "microtubule", task="semantic")
    assert found.options.classes == ("background", "foreground")
    assert {int(v) for s in samples for v in np.unique(s.labels)} == {0, 1}
