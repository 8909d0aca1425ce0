"""Cell Tracking Challenge folders."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.readers import tracking
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
    assert found.description == "Cell Tracking Challenge sequences 01 (1 frames), gold truth; 02 with silver truth"
    assert "sequences without gold truth, omitted (02); --truth each reads them: 1" in found.log.lines()
    assert (sample.id, dict(sample.groups)) == ("01-t001", {"sequence": "01", "time": "1"})
    np.testing.assert_array_equal(sample.image, grey + np.uint8(1))
    assert "frames without a segmentation, omitted: 2" in found.log.lines()


def test_each_sequence_may_have_the_better_truth_of_its_own(put, bring, grey, two_cells):
    _film(put, grey)
    put("PhC/01_GT/SEG/man_seg001.tif", two_cells)
    for sequence in ("01", "02"):
        put(f"PhC/{sequence}_ST/SEG/man_seg002.tif", np.where(two_cells == 1, 0, two_cells).astype(np.uint16))
    samples, found = bring(truth="each")
    assert {s.id: (s.groups["truth"], len(np.unique(s.labels))) for s in samples} == {
        "01-t001": ("gold", 3),
        "02-t002": ("silver", 2),
    }
    assert {"segmentations of the gold truth: 1", "segmentations of the silver truth: 1"} <= set(found.log.lines())
    silver, found = bring(truth="silver")
    assert [s.id for s in silver] == ["01-t002", "02-t002"]
    assert not any("omitted (" in line for line in found.log.lines())


def test_what_is_wrong_with_a_film_is_told_at_once(put, bring, grey, two_cells):
    _film(put, grey)
    for name in ("man_seg001.tif", "man_seg009.tif", "man_seg_000_004.tif", "other.tif"):
        put(f"PhC/01_GT/SEG/{name}", two_cells[1:] if name == "man_seg001.tif" else two_cells)
    with pytest.raises(DataError, match=r"4 problems: \(1\).*\(4\) PhC/01_GT/SEG/man_seg001\.tif: the mask is 23×32"):
        bring()


def test_silver_truth_can_be_asked_for(put, tmp_path, grey, two_cells):
    _film(put, grey)
    put("PhC/01_GT/SEG/man_seg001.tif", two_cells)
    for frame in range(3):
        put(f"PhC/02_ST/SEG/man_seg{frame:03d}.tif", two_cells)
    samples = list(tracking.read(tmp_path / "PhC", ImportOptions(), ImportLog(), truth="silver"))
    assert [s.id for s in samples] == ["02-t000", "02-t001", "02-t002"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("man_seg009.tif", r"man_seg009\.tif: frame .*t009\.tif"),
        ("man_seg_000_004.tif", r"a slice of a volume; only two-dimensional"),
        ("segmentation.tif", r"segmentation\.tif: expected the name man_seg<frame>\.tif"),
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
    with pytest.raises(DataError, match=r"t000\.tif: contains 5 pages of 24×32.*single planes"):
        bring()
