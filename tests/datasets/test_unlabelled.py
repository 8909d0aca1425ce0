"""Images without labels: found beside the annotated ones, in no part of a split, background to nobody."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.datasets.checks import check_dataset
from synthbench.datasets.copies import find_copies
from synthbench.datasets.library import open_dataset
from synthbench.datasets.splits import Split, make_splits
from synthbench.datasets.unlabelled import (
    check_unlabelled,
    is_unlabelled,
    labelled_samples,
    unlabelled_samples,
)
from synthbench.errors import DataError
from synthbench.samples import UNLABELLED, Sample, SampleSet


@pytest.fixture
def beside(put, grey, two_cells):
    """Three annotated images, and two without labels beside them."""
    for number, name in enumerate("abc"):
        put(f"d/train/images/{name}.png", np.roll(grey, number, axis=0))
        put(f"d/train/labels/{name}.png", two_cells)
    put("d/unlabelled/images/a.png", grey[::-1].copy())
    put("d/unlabelled/images/w2/x.png", grey[:, ::-1].copy())


@pytest.mark.usefixtures("beside")
def test_they_are_read_with_labels_that_are_unknown_everywhere(bring, tmp_path, grey):
    samples, found = bring(tmp_path / "d")
    without = [s for s in samples if s.groups.get("split") == UNLABELLED]
    assert [s.id for s in without] == ["unlabelled-a", "unlabelled-x"]
    assert [s.groups.get("folder") for s in without] == [None, "w2"]
    for sample in without:
        assert sample.ignore.all()
        assert not sample.labels.any()
    np.testing.assert_array_equal(without[0].image, grey[::-1])
    assert "2 without labels" in found.description
    assert found.log.counts["images without labels"] == 2
    assert found.log.counts["objects"] == 6
    assert found.log.total == 5
    assert "images without objects" not in found.log.counts


@pytest.mark.parametrize("form", ["npz", "suffix", "per object", "tracking"])
def test_any_layout_may_have_them(bring, put, tmp_path, grey, two_cells, form):
    put("d/unlabelled/x.png", grey)
    if form == "npz":
        np.savez(tmp_path / "d" / "a.npz", X=grey[None], y=two_cells[None])
    elif form == "suffix":
        put("d/a.png", grey)
        put("d/a_masks.png", two_cells)
    elif form == "per object":
        put("d/n/images/n.png", grey)
        put("d/n/masks/0.png", (two_cells == 1).astype(np.uint8) * 255)
    else:
        put("d/01/t000.tif", grey)
        put("d/01_GT/SEG/man_seg000.tif", two_cells)
    samples, _ = bring(tmp_path / "d")
    assert [s.groups.get("split") == UNLABELLED for s in samples] == [False, True]


def test_an_image_with_a_mask_among_them_is_named(bring, put, tmp_path, grey, two_cells):
    for folder in ("train", "unlabelled"):
        put(f"d/{folder}/images/a.png", grey)
    put("d/train/masks/a.png", two_cells)
    put("d/unlabelled/masks/a.png", two_cells)
    with pytest.raises(DataError, match=r"unlabelled/images/a\.png: has a mask"):
        bring(tmp_path / "d")


@pytest.mark.usefixtures("beside")
def test_a_table_of_groups_needs_no_row_for_them_but_may_have_one(bring, tmp_path):
    (tmp_path / "d/unlabelled/images/a.png").rename(tmp_path / "d/unlabelled/images/z.png")
    (tmp_path / "t.csv").write_text("id,well\na,A\nb,B\nc,C\nx,D\n")
    samples, _ = bring(tmp_path / "d", groups=tmp_path / "t.csv")
    wells = {s.id: s.groups.get("well") for s in samples}
    assert wells == {"a": "A", "b": "B", "c": "C", "unlabelled-z": None, "unlabelled-x": "D"}


@pytest.mark.usefixtures("beside")
def test_a_new_one_makes_a_path_read_again(put, tmp_path, grey):
    before, _ = open_dataset(tmp_path / "d", tmp_path / "imported")
    put("d/unlabelled/images/y.png", grey)
    after, _ = open_dataset(tmp_path / "d", tmp_path / "imported")
    assert [sum(map(is_unlabelled, s.entries)) for s in (before, after)] == [2, 3]


def _set(labelled: int, unlabelled: int) -> SampleSet:
    rng = np.random.default_rng(5)

    def sample(name: str, **more: object) -> Sample:
        labels = np.zeros((32, 32), np.uint8)
        labels[4:9, 4:9] = "ignore" not in more
        return Sample(name, rng.integers(0, 255, (32, 32), dtype=np.uint8), labels, **more)

    return SampleSet.of(
        [
            *(sample(f"s{i}") for i in range(labelled)),
            *(sample(f"u{i}", groups={"split": UNLABELLED}, ignore=np.ones((32, 32), bool)) for i in range(unlabelled)),
        ]
    )


@pytest.mark.parametrize("scheme", ["auto", "holdout", "kfold"])
def test_no_split_has_them_and_every_split_is_as_without_them(scheme):
    samples = _set(9, 4)
    splits = make_splits(samples, scheme, folds=3)
    assert splits == make_splits(labelled_samples(samples), scheme, folds=3)
    for split in splits:
        assert not {n for ids in split.parts.values() for n in ids} & set(unlabelled_samples(samples).ids)


def test_a_frozen_split_that_names_one_is_refused():
    with pytest.raises(DataError, match="'u0'"):
        Split(("s0", "u0"), ("s1",), ("s2",)).check(_set(3, 1))


def test_one_with_labels_is_refused():
    labels = np.zeros((8, 8), np.uint8)
    labels[0] = 1
    samples = SampleSet.of([Sample("u", np.zeros((8, 8), np.uint8), labels, {"split": UNLABELLED})])
    with pytest.raises(DataError, match="'u'"):
        check_unlabelled(samples)


def test_the_report_counts_them_apart_and_finds_leaks_of_test_images():
    samples = list(_set(3, 2))
    samples[2] = Sample("s2", samples[3].image, samples[2].labels, {"split": "test"})
    report = check_dataset(SampleSet.of(samples))
    assert report.unlabelled == 2
    assert report.empty_masks == []
    assert report.samples_with_ignored == 0
    assert report.ignored == 0
    assert report.leaks == [("s2", "u0")]
    assert "2 of them images without labels" in report.text()


def test_copies_are_found_exact_turned_and_in_sixteen_bits():
    originals = _set(4, 0)
    images = [originals[i].image for i in range(3)]
    others = np.random.default_rng(9).integers(0, 255, (32, 32), dtype=np.uint8)
    made = [images[0], np.rot90(images[1]).copy(), images[2].astype(np.uint16) * 257, others]
    labels = np.zeros((32, 32), np.uint8)
    found = find_copies(SampleSet.of(Sample(f"c{i}", image, labels) for i, image in enumerate(made)), originals)
    assert [(copy.image, copy.of, copy.exact) for copy in found] == [
        ("c0", "s0", True),
        ("c1", "s1", False),
        ("c2", "s2", False),
    ]
