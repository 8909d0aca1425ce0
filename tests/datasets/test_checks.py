"""Looking a sample set over: what is odd is found, what is not is left in peace."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from synthbench.datasets.checks import check_dataset
from synthbench.datasets.library import open_dataset
from synthbench.errors import DataError
from synthbench.samples import Sample, SampleSet


def _field(seed: int, size: int = 96) -> np.ndarray:
    """A field of discs on a slope of light, uint8."""
    rng = np.random.default_rng((77, seed))
    yy, xx = np.mgrid[:size, :size]
    image = 30 + 40 * xx / size + rng.normal(0, 3, (size, size))
    for _ in range(9):
        y, x, r = *rng.uniform(0, size, 2), rng.uniform(4, 9)
        image[(yy - y) ** 2 + (xx - x) ** 2 < r * r] += 120
    return np.clip(image, 0, 255).astype(np.uint8)


def _cells(*rectangles: tuple[int, int, int, int, int], size: int = 96) -> np.ndarray:
    labels = np.zeros((size, size), np.uint16)
    for top, left, height, width, value in rectangles:
        labels[top : top + height, left : left + width] = value
    return labels


TWO = _cells((10, 10, 20, 20, 1), (30, 10, 20, 20, 2))


def _set(*samples: Sample, **about: object) -> SampleSet:
    return SampleSet.of(samples, name="set", **about)  # type: ignore[arg-type]


def test_a_sound_set_has_nothing_odd():
    splits = ["train", "train", "test"]
    report = check_dataset(
        _set(*(Sample(f"s{i}", _field(i), TWO, {"split": s, "well": "A1"}) for i, s in enumerate(splits)))
    )
    assert report.text().endswith("no problems found")
    assert (report.splits, report.groups, report.sizes) == ({"train": 2, "test": 1}, {"well": 1}, {"96×96": 3})
    assert (report.objects, report.object_areas["median"], report.objects_per_image["max"]) == (6, 400, 2)


def test_same_pixels_are_duplicates_also_when_the_masks_differ():
    other = _cells((0, 0, 9, 9, 1))
    report = check_dataset(
        _set(Sample("a", _field(1), TWO), Sample("b", _field(2), TWO), Sample("c", _field(1), other))
    )
    assert report.duplicates == [["a", "c"]]
    assert report.near_duplicates == []
    assert "1 sets of samples with the same pixels: a = c" in report.text()


@pytest.mark.parametrize("symmetry", range(8))
def test_a_turned_dimmed_noisy_copy_in_another_split_is_a_leak(symmetry):
    image = _field(5)
    turned = np.rot90(image[:, ::-1] if symmetry >= 4 else image, symmetry % 4)
    noise = np.random.default_rng(symmetry).normal(0, 4, image.shape)
    copy = np.clip(turned * 0.7 + 20 + noise, 0, 255).astype(np.uint8)
    samples = [Sample("a", image, TWO, {"split": "train"}), Sample("b", copy, TWO, {"split": "test"})]
    samples += [Sample(f"o{i}", _field(10 + i), TWO, {"split": "train"}) for i in range(5)]
    report = check_dataset(_set(*samples))
    ((first, second, correlation, splits),) = [
        (t.first, t.second, t.correlation, t.splits) for t in report.near_duplicates
    ]
    assert (first, second, splits) == ("a", "b", ("train", "test"))
    assert correlation > 0.95
    assert report.leaks == [("a", "b")]
    assert "a (train) ~ b (test), correlation" in report.text()


def test_within_a_split_near_duplicates_are_nobodys_leak():
    image = _field(5)
    near = Sample("b", np.ascontiguousarray(image[::-1]), TWO, {"split": "train"})
    samples = [Sample("a", image, TWO, {"split": "train"}), near, Sample("c", _field(6), TWO, {"split": "test"})]
    assert check_dataset(_set(*samples)).near_duplicates == []


def test_without_splits_the_group_that_holds_all_near_duplicates_is_named():
    frames = [np.clip(_field(1).astype(int) + shade, 0, 255).astype(np.uint8) for shade in (0, 3, 6)]
    samples = [Sample(f"f{i}", image, TWO, {"film": "1", "time": str(i)}) for i, image in enumerate(frames)]
    samples += [Sample(f"g{i}", _field(9 + i), TWO, {"film": "2", "time": str(i)}) for i in range(3)]
    report = check_dataset(_set(*samples))
    assert len(report.near_duplicates) == 3
    assert report.shared_groups == ["film"]
    assert "all share the group film: split by it" in report.text()


def test_odd_masks_and_images_are_named():
    pieces = _cells((0, 0, 5, 5, 1), (20, 20, 5, 5, 1), (40, 40, 2, 3, 7))
    diagonal = _cells((0, 0, 5, 5, 1), (5, 5, 5, 5, 1))
    report = check_dataset(
        _set(
            Sample("pieces", _field(1), pieces),
            Sample("corners", _field(2), diagonal),
            Sample("bare", _field(3), _cells()),
            Sample("blank", np.full((96, 96), 7, np.uint16), TWO),
        )
    )
    assert report.disconnected_objects == {"pieces": [1]}
    assert (report.empty_masks, report.blank_images, report.tiny_objects) == (["bare"], ["blank"], 1)
    assert report.kinds == {"grey uint8": 3, "grey uint16": 1}
    assert "images of different types: grey uint8 3, grey uint16 1" in report.text()


def test_semantic_sets_are_measured_by_class():
    samples = _set(
        Sample("a", _field(1), _cells((0, 0, 48, 96, 1))),
        Sample("b", _field(2), _cells((0, 0, 10, 10, 5))),
        task="semantic",
        classes=("background", "cell", "ghost"),
    )
    report = check_dataset(samples)
    assert report.class_fractions["cell"] == pytest.approx(48 * 96 / (2 * 96 * 96 - 100))
    assert report.unnamed_classes == {"b": [5]}
    assert "classes that never occur: ghost" in report.text()
    assert report.disconnected_objects == {}


def test_damaged_files_are_reported_and_the_rest_is_checked(blob_set, tmp_path):
    samples = blob_set.save(tmp_path / "set")
    (tmp_path / "set" / "images" / "blobs-3.png").write_bytes(b"broken")
    report = check_dataset(samples)
    assert list(report.unreadable) == ["blobs-3"]
    assert report.objects == sum(e.objects for e in samples.entries if e.id != "blobs-3")


def test_the_json_holds_all_that_the_text_says(blob_set):
    report = check_dataset(blob_set)
    content = json.loads(report.json())
    assert content["samples"] == 12
    assert content["fingerprint"] == blob_set.fingerprint
    assert content["objects"] == sum(e.objects for e in blob_set.entries)
    assert set(content) >= {"duplicates", "near_duplicates", "empty_masks", "disconnected_objects", "sizes", "leaks"}


def test_an_empty_set_has_nothing_to_check():
    with pytest.raises(DataError, match="is empty"):
        check_dataset(_set())


def test_progress_is_told(blob_set):
    seen = []
    check_dataset(blob_set, lambda done, total, note: seen.append((done, total)))
    assert seen == [(i + 1, 12) for i in range(12)]


@pytest.mark.slow
def test_the_real_nuclei_have_no_leak_between_their_official_splits(real_data, tmp_path):
    samples, _ = open_dataset(real_data / "fluo_nuclei_dsb2018", tmp_path)
    start = time.process_time()
    report = check_dataset(samples)
    assert time.process_time() - start < 60
    assert report.objects == 24915
    assert report.duplicates == report.leaks == []
    assert {t.splits for t in report.near_duplicates} == {("", "train")}
    assert len(report.near_duplicates) == 4


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_the_share_of_ignored_pixels_is_told_and_is_of_no_class(task):
    labels = np.zeros((20, 20), np.uint8)
    labels[:5] = 1
    region = np.zeros((20, 20), bool)
    region[10:] = True
    image = np.random.default_rng(0).integers(0, 255, (2, 20, 20), dtype=np.uint8)
    samples = [Sample("a", image[0], labels, ignore=region), Sample("b", image[1], labels)]
    classes = ("no", "yes") if task == "semantic" else ()
    report = check_dataset(SampleSet.of(samples, task=task, classes=classes))
    assert (report.ignored, report.samples_with_ignored) == (0.25, 1)
    assert "ignored: 25.00% of the pixels, in 1 samples" in report.text()
    if task == "semantic":
        assert report.class_fractions == pytest.approx({"no": 400 / 600, "yes": 200 / 600})
    assert "ignored" not in check_dataset(SampleSet.of(samples[1:], task=task, classes=classes)).text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda mask: (mask > 0) * 255, "s0: binary mask, not a label map"),
        (lambda mask: 1 + (mask > 0), "set: no mask contains 0, and 1 covers"),
        (lambda mask: np.where(mask == 2, 255, mask) + (mask == 3) * 90, "255 occurs beside"),
    ],
)
def test_masks_that_are_no_label_maps_are_told_as_import_refuses_them(change, says):
    mask = _cells((10, 10, 20, 20, 1), (40, 10, 20, 20, 2), (40, 60, 20, 20, 2))
    report = check_dataset(_set(*(Sample(f"s{i}", _field(i), change(mask).astype(np.uint8)) for i in range(3))))
    assert any(says in doubt for doubt in report.suspicious_masks)
    assert f"suspicious mask: {report.suspicious_masks[0]}" in report.text()
