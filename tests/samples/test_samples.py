"""Samples and sample sets: what goes in comes out, whole or not at all."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import synthbench.samples as module
from synthbench.errors import DataError
from synthbench.samples import INDEX, MAX_LABEL, Sample, SampleSet, read_array, write_array

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
NONE = np.zeros((6, 8), np.uint8)

sides = st.integers(1, 6)
kinds_of_images = [
    st.one_of(
        hnp.arrays(np.uint8, st.tuples(sides, sides)), hnp.arrays(np.uint16, st.tuples(sides, sides, st.just(3)))
    ),
    *(hnp.arrays(np.uint16, st.tuples(sides, sides, st.just(channels))) for channels in (2, 4)),
]
images_with_labels = st.one_of([
    st.lists(st.tuples(images, st.integers(1, MAX_LABEL)), min_size=1, max_size=4) for images in kinds_of_images
])  # fmt: skip


# -- one sample -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "labels", "says"),
    [
        (GREY.astype(float), NONE, "the image type is float64; .*uint16"),
        (GREY[None], NONE, r"the image has shape \(1, 6, 8\)"),
        (np.zeros((6, 8, 5), np.uint8), NONE, r"the image has shape \(6, 8, 5\)"),
        (GREY[:0], NONE[:0], "the image is empty"),
        ([[1, 2]], NONE, "the image type is list"),
        (GREY, NONE.astype(float), "the mask type is float64"),
        (GREY, NONE[None], r"the mask has shape \(1, 6, 8\)"),
        (GREY, NONE.astype(np.int16) - 1, "the mask contains -1"),
        (GREY, NONE.astype(np.int64) + MAX_LABEL + 1, "the mask contains 2147483648"),
        (GREY, NONE[:5], "the image is 6×8 but its mask is 5×8"),
    ],
)
def test_what_is_no_sample_is_refused_in_one_line(image, labels, says):
    with pytest.raises(DataError, match=f"sample 'a': {says}") as error:
        Sample("a", image, labels)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a b", "a\n", "a" * 201, "ä", 7])
def test_an_id_can_be_a_file_name_everywhere(name):
    with pytest.raises(DataError, match=r"use.*letters, digits"):
        Sample(name, GREY, NONE)


@pytest.mark.parametrize(
    ("high", "dtype"), [(1, "uint8"), (255, "uint8"), (256, "uint16"), (65536, "uint32"), (MAX_LABEL, "uint32")]
)
def test_labels_take_the_smallest_type_that_holds_them(high, dtype):
    labels = NONE.astype(np.int64)
    labels[0, 0] = high
    assert Sample("a", GREY, labels).labels.dtype == dtype


def test_a_digest_is_of_content_and_not_of_integer_width():
    base = Sample("a", GREY, NONE, {"x": "1", "y": "2"})
    assert base.digest == Sample("a", GREY.copy(order="F"), NONE.astype(np.int64), {"y": "2", "x": "1"}).digest
    changed = GREY.copy()
    changed[3, 3] ^= 1
    others = [
        Sample("b", GREY, NONE, base.groups),
        Sample("a", changed, NONE, base.groups),
        Sample("a", GREY, NONE + 1, base.groups),
        Sample("a", GREY.astype(np.uint16), NONE, base.groups),
        Sample("a", GREY.reshape(8, 6), NONE.reshape(8, 6), base.groups),
        Sample("a", GREY, NONE, {"x": "1"}),
    ]
    assert len({s.digest for s in [base, *others]}) == len(others) + 1


# -- writing and reading --------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(images_with_labels)
def test_what_is_written_is_read_again_to_the_bit(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("sets") / "set"
    samples = []
    for i, (image, high) in enumerate(content):
        labels = np.zeros(image.shape[:2], np.uint32)
        labels[-1, -1] = high
        samples.append(Sample(f"s{i}", image, labels, {"n": str(i)}))
    written = SampleSet.write(folder, samples, info={"licence": "CC0"})
    assert written.fingerprint == SampleSet.of(samples).fingerprint
    assert written.info == {"licence": "CC0"}
    for before, after in zip(samples, written, strict=True):
        assert after.image.dtype == before.image.dtype
        assert np.array_equal(after.image, before.image)
        assert np.array_equal(after.labels, before.labels)
        assert after.groups == before.groups


def test_a_fingerprint_is_of_content_and_order_and_not_of_names(blob_set, tmp_path):
    copy = blob_set.save(tmp_path / "copy")
    renamed = SampleSet.write(tmp_path / "other", blob_set, name="other", info={"a": 1})
    assert copy.fingerprint == renamed.fingerprint == blob_set.fingerprint
    assert blob_set[::-1].fingerprint != blob_set.fingerprint
    assert blob_set[:5].fingerprint != blob_set.fingerprint
    as_classes = SampleSet.of(blob_set, task="semantic", classes=("a", "b"))
    other_classes = SampleSet.of(blob_set, task="semantic", classes=("a", "c"))
    assert len({blob_set.fingerprint, as_classes.fingerprint, other_classes.fingerprint}) == 3


def test_a_set_appears_whole_or_not_at_all(blob_set, tmp_path):
    def broken():
        yield blob_set[0]
        assert not (tmp_path / "set").exists()
        raise RuntimeError("the source dried up")

    with pytest.raises(RuntimeError):
        SampleSet.write(tmp_path / "set", broken())
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_occurs_twice_is_refused(blob_set, tmp_path):
    with pytest.raises(DataError, match=r"'blobs-0'.*occurs twice"):
        SampleSet.of([blob_set[0], blob_set[0]])
    with pytest.raises(DataError, match=r"'blobs-0'.*occurs twice"):
        SampleSet.write(tmp_path / "set", [blob_set[0], blob_set[0]])
    assert list(tmp_path.iterdir()) == []


def test_a_set_is_never_written_over_another(blob_set, tmp_path):
    blob_set[:2].save(tmp_path / "set")
    with pytest.raises(DataError, match=r"set:.*exists.*another folder, or remove it"):
        blob_set.save(tmp_path / "set")
    assert len(SampleSet.open(tmp_path / "set")) == 2


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_full_disk_is_one_line_and_leaves_nothing(blob_set, tmp_path, monkeypatch, suffix):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    monkeypatch.setattr(tifffile, "imwrite", full)
    image = GREY if suffix == ".png" else np.zeros((6, 8, 3), np.uint16)
    with pytest.raises(DataError, match=rf"images/a\{suffix}: can't be written: No space left on device"):
        SampleSet.write(tmp_path / "set", [Sample("a", image, NONE)])
    assert list(tmp_path.iterdir()) == []


def test_a_set_is_readable_by_others(blob_set, tmp_path):
    blob_set[:1].save(tmp_path / "set")
    assert (tmp_path / "set").stat().st_mode & 0o777 == 0o755


# -- opening --------------------------------------------------------------------------------------------------------


def test_pixels_are_read_when_asked_for_and_not_before(blob_set, tmp_path):
    written = blob_set.save(tmp_path / "set")
    (tmp_path / "set" / "images" / "blobs-4.png").unlink()
    again = SampleSet.open(tmp_path / "set")
    assert again.fingerprint == written.fingerprint
    assert again["blobs-3"].id == "blobs-3"
    with pytest.raises(DataError, match=r"blobs-4\.png: no such file"):
        again[4]


def test_altered_pixels_are_found_when_they_are_read(blob_set, tmp_path):
    samples = blob_set.save(tmp_path / "set")
    labels = samples[2].labels.copy()
    labels[0, 0] ^= 1
    write_array(tmp_path / "set" / "labels" / "blobs-2.png", labels)
    with pytest.raises(DataError, match="'blobs-2' have changed"):
        samples[2]


def _edit(folder, change) -> None:
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    change(index)
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i: i.update(format=99), r"format.*99.*this version reads 1"),
        (lambda i: i.pop("task"), r"damaged index \(KeyError\('task'\)\)"),
        (lambda i: i["samples"][0].pop("digest"), "damaged index"),
        (lambda i: i.update(samples=None), "damaged index"),
        (lambda i: i.update(task="segment"), "task 'segment' is not one of instances, semantic"),
        (lambda i: i["samples"].append(i["samples"][0]), "the id 'blobs-0' occurs twice"),
        (lambda i: i["samples"][0].update(image="../../secret.png"), r"sample 'blobs-0'.*outside the set"),
        (lambda i: i["samples"][0].update(labels="/etc/passwd"), r"sample 'blobs-0'.*outside the set"),
        (lambda i: i["samples"][0].update(id="../x"), r"sample id '\.\./x'"),
    ],
)
def test_a_damaged_or_hostile_index_is_refused(blob_set, tmp_path, change, says):
    blob_set[:2].save(tmp_path / "set")
    _edit(tmp_path / "set", change)
    with pytest.raises(DataError, match=says) as error:
        SampleSet.open(tmp_path / "set")
    assert "\n" not in str(error.value)


def test_a_link_out_of_the_set_is_refused(blob_set, tmp_path):
    blob_set[:1].save(tmp_path / "set")
    picture = tmp_path / "set" / "images" / "blobs-0.png"
    picture.rename(tmp_path / "elsewhere.png")
    picture.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(DataError, match="outside the set"):
        SampleSet.open(tmp_path / "set")


@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_an_index_that_is_no_json_is_one_line(blob_set, tmp_path, text):
    blob_set[:1].save(tmp_path / "set")
    (tmp_path / "set" / INDEX).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"{INDEX}: can't be read"):
        SampleSet.open(tmp_path / "set")


def test_a_folder_that_is_no_set_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match=r"no samples\.json\); .*'synthbench dataset add'"):
        SampleSet.open(tmp_path)


# -- being a sequence -----------------------------------------------------------------------------------------------


def test_a_set_is_a_sequence_of_samples(blob_set):
    assert (len(blob_set), blob_set[0].id, blob_set[-1].id) == (12, "blobs-0", "blobs-11")
    assert [s.id for s in blob_set[2:4]] == ["blobs-2", "blobs-3"]
    assert blob_set["blobs-7"].digest == blob_set.entries[7].digest
    assert blob_set.subset(["blobs-5", "blobs-1"], "two").ids == ("blobs-5", "blobs-1")
    with pytest.raises(DataError, match="no sample 'nobody'"):
        blob_set["nobody"]
    with pytest.raises(IndexError):
        blob_set[12]


def test_an_entry_measures_its_sample():
    labels = NONE.copy()
    labels[:3, :4], labels[5, 5] = 9, 200
    (entry,) = SampleSet.of([Sample("a", np.stack([GREY] * 3, axis=-1), labels, {"split": "test"})]).entries
    assert (entry.height, entry.width, entry.channels, entry.dtype) == (6, 8, 3, "uint8")
    assert (entry.objects, entry.covered, dict(entry.groups)) == (2, 13 / 48, {"split": "test"})


# -- files ----------------------------------------------------------------------------------------------------------


def test_files_of_many_kinds_are_read_as_they_are(tmp_path):
    Image.fromarray(GREY > 20).save(tmp_path / "bits.png")
    assert np.unique(read_array(tmp_path / "bits.png")).tolist() == [0, 255]
    palette = Image.fromarray(GREY % 5).convert("P")
    palette.putdata((GREY % 5).ravel().tolist())
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_array(tmp_path / "palette.png"), GREY % 5)
    deep = GREY.astype(np.uint16) * 1000
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert read_array(tmp_path / "deep.png").dtype == np.uint16
    np.testing.assert_array_equal(read_array(tmp_path / "deep.png"), deep)
    Image.fromarray(GREY).convert("RGBA").save(tmp_path / "alpha.png")
    assert read_array(tmp_path / "alpha.png").shape == (6, 8, 3)
    tifffile.imwrite(tmp_path / "float.tif", np.zeros((6, 8, 4), np.float32), photometric="minisblack")
    assert read_array(tmp_path / "float.tif").shape == (6, 8, 4)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp"])
@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n junk"])
def test_a_corrupt_file_is_named_in_one_line(tmp_path, suffix, content, capfd):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\{suffix}: can't be read as an image") as error:
        read_array(path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_the_module_tells_what_a_png_can_hold():
    assert module.suffix_for(GREY) == ".png"
    assert module.suffix_for(GREY.astype(np.uint16)) == ".png"
    assert module.suffix_for(np.zeros((2, 2, 3), np.uint8)) == ".png"
    assert module.suffix_for(np.zeros((2, 2, 3), np.uint16)) == ".tif"
    assert module.suffix_for(GREY.astype(np.uint32)) == ".tif"


# -- ignore regions -------------------------------------------------------------------------------------------------

REGION = np.zeros((6, 8), bool)
REGION[1:3, 2:5] = True
LABELS = GREY % 5


def test_the_digest_of_a_sample_without_an_ignore_region_is_that_of_0_1_0():
    sample = Sample("a", GREY, LABELS, {"split": "test"})
    assert sample.digest == "45efd63b09facbfc21425d27568f56478e0447a46011d86f726106865ef387d9"
    assert SampleSet.of([sample]).fingerprint == "8d45260727e4b0b63665cd5c60a5436645ff15d7bce7b58bf67d7049db6a4faa"
    assert Sample("a", GREY, LABELS, {"split": "test"}, np.zeros((6, 8), bool)).digest == sample.digest


def test_nothing_depends_on_labels_in_the_ignore_region():
    other = LABELS.astype(np.int64)
    other[REGION] = 77_777
    first, second = (Sample("a", GREY, labels, ignore=REGION) for labels in (LABELS, other))
    assert np.array_equal(first.labels, np.where(REGION, 0, LABELS))
    assert second.labels.dtype == np.uint8
    assert first.digest == second.digest
    assert other[REGION].all(), "the caller's array was written into"


def test_the_ignore_region_is_part_of_the_digest():
    empty = np.where(REGION, 0, LABELS)
    moved = np.roll(REGION, 3, axis=1)
    digests = {Sample("a", GREY, empty * 0, ignore=region).digest for region in (None, REGION, moved)}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("region", "says"),
    [
        (REGION[:5], "the ignore region is 5×8 but the mask is 6×8"),
        (REGION.astype(np.uint8), "the ignore region is uint8"),
        ([[True]], "the ignore region is list"),
    ],
)
def test_what_is_no_ignore_region_is_refused_in_one_line(region, says):
    with pytest.raises(DataError, match=f"sample 'a': {says}"):
        Sample("a", GREY, LABELS, ignore=region)


def test_marked_labels_say_where_they_are_unknown():
    marked = Sample("a", GREY, LABELS, ignore=REGION).marked
    assert np.array_equal(marked, np.where(REGION, -1, LABELS.astype(int)))
    labels, ignore = module.split_ignored(marked)
    assert np.array_equal(labels, np.where(REGION, 0, LABELS))
    assert np.array_equal(ignore, REGION)
    assert module.split_ignored(LABELS)[1] is None


def test_a_set_keeps_its_ignore_regions_on_disk(tmp_path):
    samples = [Sample("a", GREY, LABELS, ignore=REGION), Sample("b", GREY, LABELS)]
    written = SampleSet.write(tmp_path / "set", samples)
    assert written.fingerprint == SampleSet.of(samples).fingerprint
    assert np.array_equal(written["a"].ignore, REGION)
    assert written["b"].ignore is None
    assert [entry.ignored for entry in written.entries] == [6 / 48, 0.0]
    assert (written.has_ignored, written[1:].has_ignored) == (True, False)
    again = written.save(tmp_path / "again")
    assert again.fingerprint == written.fingerprint


def test_only_sets_with_an_ignore_region_are_of_format_2(tmp_path):
    for name, region in (("with", REGION), ("without", None)):
        SampleSet.write(tmp_path / name, [Sample("a", GREY, LABELS, ignore=region)])
        index = json.loads((tmp_path / name / INDEX).read_text())
        assert index["format"] == (2 if name == "with" else 1)
        assert ("ignored" in index["samples"][0]) is (name == "with")


def test_an_altered_ignore_region_is_noticed(tmp_path):
    written = SampleSet.write(tmp_path / "set", [Sample("a", GREY, LABELS, ignore=REGION)])
    write_array(tmp_path / "set" / "ignore" / "a.png", np.roll(REGION, 1, axis=0).astype(np.uint8))
    with pytest.raises(DataError, match="have changed"):
        written["a"]
    index = tmp_path / "set" / INDEX
    index.write_text(index.read_text().replace("ignore/a.png", "../../a.png"))
    with pytest.raises(DataError, match="outside the set"):
        SampleSet.open(tmp_path / "set")
