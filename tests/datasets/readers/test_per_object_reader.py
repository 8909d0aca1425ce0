"""One mask file per object: the form of the 2018 Data Science Bowl."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.errors import DataError
from synthbench.samples import read_array


def _square(top: int, left: int, size: int) -> np.ndarray:
    mask = np.zeros((24, 32), np.uint8)
    mask[top : top + size, left : left + size] = 255
    return mask


def test_of_overlapping_objects_the_smaller_lies_on_top(put, bring, grey):
    put("n1/images/n1.png", grey)
    put("n1/masks/a.png", _square(2, 2, 4))
    put("n1/masks/b.png", _square(1, 1, 10))
    put("n1/masks/c.png", _square(2, 3, 1))
    (sample,), found = bring()
    assert found.format.name == "one mask per object"
    assert [int((sample.labels == v).sum()) for v in (1, 2, 3)] == [15, 84, 1]
    assert "overlapping pixels given to the smaller object: 17" in found.log.lines()


def test_semantic_means_object_or_not(put, bring, grey):
    put("n1/images/n1.png", grey)
    put("n1/masks/a.png", _square(2, 2, 4))
    put("n1/masks/b.png", _square(10, 10, 5))
    (sample,), found = bring(task="semantic")
    assert found.options.classes == ("background", "foreground")
    assert (int(sample.labels.max()), int(sample.labels.sum())) == (1, 41)


def test_an_unannotated_folder_is_left_out_but_a_single_gap_is_refused(put, bring, grey):
    put("stage1_train/n1/images/n1.png", grey)
    put("stage1_train/n1/masks/a.png", _square(2, 2, 4))
    put("stage1_test/n2/images/n2.png", grey)
    samples, found = bring()
    assert [(s.id, dict(s.groups)) for s in samples] == [("n1", {"split": "train"})]
    assert "images of a folder without any masks, omitted: 1" in found.log.lines()
    put("stage1_train/n3/images/n3.png", grey)
    with pytest.raises(DataError, match=r"n3\.png: no masks/ beside images/"):
        bring()


def test_a_mask_of_another_size_is_refused(put, bring, grey):
    put("n1/images/n1.png", grey)
    put("n1/masks/a.png", _square(0, 0, 4)[:20])
    with pytest.raises(DataError, match=r"masks/a\.png: the mask is 20×32 and its image .*n1\.png is 24×32"):
        bring()


def test_all_masks_that_can_not_be_used_are_told_at_once(put, bring, grey, tmp_path):
    for name in ("n1", "n2"):
        put(f"s/{name}/images/{name}.png", grey)
        for part in "ab":
            put(f"s/{name}/masks/{part}.png", _square(0, 0, 4)[:20])
    put("s/n3/images/n3.png", grey)
    (tmp_path / "s" / "n2" / "masks" / "a.png").write_bytes(b"no picture")
    with pytest.raises(
        DataError, match=r"5 problems: \(1\) s/n3/images/n3\.png: no masks/ .*\(4\) s/n2/masks/a\.png: can't"
    ):
        bring()


def test_the_bowls_own_files_become_label_maps(shared_fixtures, bring):
    samples, found = bring(shared_fixtures / "dsb2018_raw")
    assert found.description == "8 images with 439 objects, one mask file per object"
    assert sum(len(np.unique(s.labels)) - 1 for s in samples) == 439
    assert {s.image.ndim for s in samples} == {2, 3}
    sample = min(samples, key=lambda s: len(np.unique(s.labels)))
    files = sorted((shared_fixtures / "dsb2018_raw" / sample.id / "masks").glob("*.png"))
    union = np.any([read_array(path) > 0 for path in files], axis=0)
    np.testing.assert_array_equal(sample.labels > 0, union)
    for value, path in enumerate(files, start=1):
        assert ((sample.labels == value) <= (read_array(path) > 0)).all()
