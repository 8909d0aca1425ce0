"""Cellpose's `_masks` suffix."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.errors import DataError


def test_images_lie_beside_their_masks(put, bring, grey, two_cells):
    put("train/000_img.png", np.stack([grey, grey // 2, grey // 3], axis=-1))
    put("train/000_masks.png", two_cells)
    put("test/b.tif", grey.astype(np.uint16) * 250)
    put("test/b_cp_masks.tif", two_cells)
    put("test/b_flows.tif", np.zeros((24, 32), np.float32))
    samples, found = bring()
    assert found.form.name == "_masks suffix"
    assert {s.id: (s.groups["split"], s.image.dtype.name, s.image.ndim) for s in samples} == {
        "b": ("test", "uint16", 2),
        "000": ("train", "uint8", 3),
    }
    assert all((s.labels == two_cells).all() for s in samples)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a.png", "a_masks.png", "b.png"), r"b\.png: has no mask; add .*b_masks\.png"),
        (("a.png", "a_masks.png", "b_masks.png"), r"b_masks\.png: has no image; add .*b\.png"),
        (("a.png", "a_masks.png", "a_masks.tif"), r"a_masks\.\w+ and a_masks\.\w+ are masks of one image"),
    ],
)
def test_either_without_the_other_is_refused(put, bring, grey, two_cells, names, says):
    for name in names:
        put(name, two_cells if "_masks" in name else grey)
    with pytest.raises(DataError, match=says):
        bring()


def test_pickled_masks_are_never_opened(put, bring, grey, tmp_path):
    put("a.png", grey)
    (tmp_path / "a_seg.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"_seg\.npy files, which are pickles and aren't opened; save the masks as PNG"):
        bring()
