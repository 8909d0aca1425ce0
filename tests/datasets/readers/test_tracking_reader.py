"""Cell Tracking Challenge folders."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.datasets.readers import tracking
from synthbench.datasets.recipe import Notes, Recipe
from synthbench.errors import DataError


def _film(put, grey, frames: int = 3) -> None:
    for sequence in ("01", "02"):
        for frame in range(frames):
            put(f"PhC/{sequence}/t{frame:03d}.tif", grey + np.uint8(frame))


def test_gold_truth_is_used_where_there_is_any_and_bare_frames_are_counted(put, bring, grey, two_cells):
    _film(put, grey)
    put("PhC/01_GT/SEG/man_seg001.tif", two_cells)
    put("PhC/01_GT/TRA/man_track001.tif", two_cells)
    for frame in range(3):
        put(f"PhC/02_ST/SEG/man_seg{frame:03d}.tif", two_cells)
    (sample,), found = bring()
    assert found.found == "Cell Tracking Challenge sequences 01 (1 frames), gold truth"
    assert (sample.id, dict(sample.groups)) == ("01-t001", {"sequence": "01", "time": "1"})
    np.testing.assert_array_equal(sample.image, grey + np.uint8(1))
    assert "frames without a segmentation, left out: 2" in found.notes.lines()


def test_silver_truth_can_be_asked_for(put, tmp_path, grey, two_cells):
    _film(put, grey)
    put("PhC/01_GT/SEG/man_seg001.tif", two_cells)
    for frame in range(3):
        put(f"PhC/02_ST/SEG/man_seg{frame:03d}.tif", two_cells)
    samples = list(tracking.read(tmp_path / "PhC", Recipe(), Notes(), truth="silver"))
    assert [s.id for s in samples] == ["02-t000", "02-t001", "02-t002"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("man_seg009.tif", r"man_seg009\.tif: has no frame .*t009\.tif"),
        ("man_seg_000_004.tif", r"one slice of a volume; only two-dimensional"),
        ("segmentation.tif", r"segmentation\.tif: is not named man_seg<frame>\.tif"),
    ],
)
def test_what_has_no_frame_is_refused(put, bring, grey, two_cells, name, says):
    _film(put, grey)
    put(f"PhC/01_GT/SEG/{name}", two_cells)
    with pytest.raises(DataError, match=says):
        bring()


def test_volumes_are_refused(put, bring, grey, two_cells):
    put("01/t000.tif", np.stack([grey] * 5))
    put("01_GT/SEG/man_seg000.tif", np.stack([two_cells] * 5))
    with pytest.raises(DataError, match=r"t000\.tif: the image has shape \(5, 24, 32\); save single planes"):
        bring()
