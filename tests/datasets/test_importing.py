"""Finding the form by itself, and what an import says and refuses as a whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synthbench.datasets.importing import FORMATS, detect_format, prepare_import
from synthbench.errors import ConfigError, DataError


def _lay_out(form: str, put, tmp_path, grey, two_cells) -> None:
    """Put one annotated image of a form into the test's folder."""
    if form == "sample set":
        from synthbench.samples import Sample, SampleSet

        SampleSet.of([Sample("a", grey, two_cells)]).save(tmp_path / "set")
    elif form == "npz":
        np.savez(tmp_path / "a.npz", X=grey[None], y=two_cells[None])
    elif form == "coco":
        put("a.png", grey)
        square = [[4.0, 4.0, 9.0, 4.0, 9.0, 9.0]]
        content = {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"image_id": 1, "category_id": 1, "segmentation": square}],
        }
        (tmp_path / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    elif form == "cell tracking challenge":
        put("01/t000.tif", grey)
        put("01_GT/SEG/man_seg000.tif", two_cells)
    elif form == "one mask per object":
        put("n/images/n.png", grey)
        put("n/masks/0.png", (two_cells == 1).astype(np.uint8) * 255)
    elif form == "folders":
        put("images/a.png", grey)
        put("masks/a.png", two_cells)
    else:
        put("a.png", grey)
        put("a_masks.png", two_cells)


@pytest.mark.parametrize("form", [form.name for form in FORMATS])
def test_each_form_is_recognised_also_one_folder_down(put, tmp_path, grey, two_cells, form):
    _lay_out(form, put, tmp_path, grey, two_cells)
    found = prepare_import(tmp_path)
    assert found.format.name == form
    (sample,) = found.samples()
    np.testing.assert_array_equal(sample.image, grey)
    assert sample.labels.max() >= 1
    assert found.info.get("format", form) == form
    assert found.log.total == 1


def test_an_unpacked_archive_with_one_folder_in_it_is_entered(put, tmp_path, grey, two_cells):
    put("a/b/c/d/images/x.png", grey)
    put("a/b/c/d/labels/x.png", two_cells)
    assert detect_format(tmp_path)[0].name == "folders"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p / "absent", "no such file or folder"),
        (lambda p: p, "is empty; supported formats: images/ with labels/"),
        (lambda p: (p / "a.zip").touch() or p / "a.zip", r"is an archive; unpack.*the folder"),
        (
            lambda p: (p / "log.txt").touch() or p,
            "no annotated images found; supported",
        ),
        (lambda p: (p / "log.txt").touch() or p / "log.txt", "no annotated images found"),
        (lambda p: (p / "a.json").write_text("{") and p / "a.json", "the lists 'images' and"),
    ],
    ids=["absent", "empty", "archive", "other files", "another file", "other JSON"],
)
def test_where_nothing_is_found_the_way_out_is_told(tmp_path, make, says):
    with pytest.raises(DataError, match=says) as error:
        prepare_import(make(tmp_path))
    assert "\n" not in str(error.value)


def test_empty_image_folders_are_no_dataset(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(DataError, match=f"{tmp_path}: no annotated images found"):
        prepare_import(tmp_path)


def test_samples_are_read_one_at_a_time(put, tmp_path, grey, two_cells):
    for name in "abc":
        put(f"images/{name}.png", grey)
        put(f"labels/{name}.png", two_cells)
    (tmp_path / "images" / "c.png").write_bytes(b"broken")
    found = prepare_import(tmp_path)
    stream = found.samples()
    assert [next(stream).id, next(stream).id] == ["a", "b"]
    with pytest.raises(DataError, match=r"c\.png: can't be read"):
        next(stream)


def test_binary_masks_are_recognised_when_the_whole_set_was_seen(put, tmp_path, grey):
    mask = np.zeros((24, 32), np.uint8)
    mask[2:8, 2:8] = mask[12:18, 12:18] = 1
    for name in "ab":
        put(f"images/{name}.png", grey)
        put(f"labels/{name}.png", mask)
    with pytest.raises(DataError, match=r"more than one label, .*a\.png .*--components"):
        prepare_import(tmp_path).write(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (samples, found) = list(prepare_import(tmp_path, components=True).samples()), prepare_import(tmp_path)
    assert [len(np.unique(s.labels)) - 1 for s in samples] == [2, 2]
    assert found.options.components is False


def test_what_was_done_travels_with_the_written_set(put, tmp_path, grey, two_cells):
    put("in/images/a.png", np.stack([grey] * 3, axis=-1))
    put("in/labels/a.png", two_cells)
    seen = []
    samples = prepare_import(tmp_path / "in", name="mine").write(tmp_path / "out", lambda *args: seen.append(args))
    assert samples.name == "mine"
    assert samples.info["format"] == "folders"
    assert samples.info["import"] == ["colour images with three equal channels stored as grey: 1", "objects: 2"]
    assert seen == [(1, 1, "a")]


def test_instances_have_no_classes(put, tmp_path, grey, two_cells):
    put("images/a.png", grey)
    put("labels/a.png", two_cells)
    with pytest.raises(ConfigError, match=r"classes background, cell: only semantic .*--task semantic"):
        prepare_import(tmp_path, classes=("background", "cell"))


# -- a value that means unknown -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["npz", "cell tracking challenge", "folders", "_masks suffix"])
def test_a_value_of_the_masks_becomes_the_ignore_region_in_every_form(put, tmp_path, bring, grey, two_cells, form):
    mask = two_cells.astype(np.uint16)
    mask[:, -5:] = 255
    _lay_out(form, put, tmp_path, grey, mask)
    (plain,), _ = bring(trusted=True)
    assert plain.ignore is None
    assert (plain.labels == 255).any()
    (sample,), found = bring(ignore=255)
    assert np.array_equal(sample.ignore, mask == 255)
    assert np.array_equal(sample.labels, np.where(mask == 255, 0, mask))
    assert "pixels of value 255 ignored: 120" in found.info["import"]
    stored = found.write(tmp_path / "stored")
    assert np.array_equal(stored[0].ignore, mask == 255)


@pytest.mark.parametrize("form", ["coco", "one mask per object", "sample set"])
def test_forms_without_values_refuse_one_to_ignore(put, tmp_path, grey, two_cells, form):
    _lay_out(form, put, tmp_path, grey, two_cells)
    with pytest.raises(ConfigError, match="--ignore 255: masks of the format '"):
        prepare_import(tmp_path, ignore=255)


def test_classes_and_components_are_those_of_the_known_pixels(put, bring, grey):
    mask = np.zeros(grey.shape, np.uint8)
    mask[2:6, 2:6], mask[12:16, 2:6], mask[:, 20:] = 1, 1, 255
    put("images/a.png", grey)
    put("masks/a.png", mask)
    (classes,), _ = bring(task="semantic", ignore=255)
    assert np.array_equal(np.unique(classes.labels), [0, 1])
    (pieces,), _ = bring(components=True, ignore=255)
    assert (pieces.labels.max(), pieces.ignore.sum()) == (2, 24 * 12)
    with pytest.raises(DataError, match=r"255 beside the classes .*--ignore 255"):
        bring(task="semantic")


def test_class_0_may_be_unknown_and_the_background_of_instances_not(put, bring, grey, two_cells):
    put("images/a.png", grey)
    put("masks/a.png", two_cells)
    (sample,), _ = bring(task="semantic", classes=("void", "a", "b"), ignore=0)
    assert np.array_equal(sample.ignore, two_cells == 0)
    with pytest.raises(ConfigError, match="ignore 0: 0 is the background"):
        bring(ignore=0)


def test_a_value_that_no_mask_holds_is_told(put, bring, grey, two_cells):
    put("images/a.png", grey)
    put("masks/a.png", two_cells)
    with pytest.raises(DataError, match=r"no mask contains 254;.*--ignore"):
        bring(ignore=254)
