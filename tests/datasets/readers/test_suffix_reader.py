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
    assert found.format.name == "_masks suffix"
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
        (("a.png", "a_masks.png", "a_masks.tif"), r"a_masks\.\w+ and a_masks\.\w+ are masks of"),
    ],
)
def test_either_without_the_other_is_refused(put, bring, grey, two_cells, names, says):
    for name in names:
        put(name, two_cells if "_masks" in name else grey)
    with pytest.raises(DataError, match=says):
        bring()


def test_what_cellpose_writes_beside_its_masks_is_left_aside(put, bring, grey, two_cells):
    for name in ("a", "b_img", "cell_outlines"):
        put(f"{name}.png", grey)
        put(f"{name.removesuffix('_img')}_cp_masks.png", two_cells)
    for ending in ("_outlines_cp_masks", "_cp_output_cp_masks", "_cp_output", "_outlines"):
        put(f"a{ending}.png", np.stack([grey] * 3, axis=-1))
    for ending in ("_flows_cp_masks", "_dP_cp_masks", "_cp_masks_flows", "_flows", "_dP"):
        put(f"a{ending}.tif", grey)
        put(f"b{ending}.tif", grey)
    samples, _ = bring()
    assert [s.id for s in samples] == ["a", "b", "cell_outlines"]
    assert all((s.labels == two_cells).all() for s in samples)


def test_all_that_lacks_its_other_half_is_told_at_once(put, bring, grey, two_cells):
    for name in "abc":
        put(f"{name}.png", grey)
    for name in "cde":
        put(f"{name}_masks.png", two_cells if name != "c" else two_cells[1:])
    with pytest.raises(
        DataError, match=r"^[^ ]+: 5 problems: \(1\) a\.png: has no mask; .*\(5\) .*c_masks\.png: the mask"
    ):
        bring()


def test_pickled_masks_are_never_opened(put, bring, grey, tmp_path):
    put("a.png", grey)
    (tmp_path / "a_seg.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"_seg\.npy files, which are pickles.*PNG"):
        bring()
