"""Objects at the image border leave both label maps: worked cases, and an independent implementation as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label as connected
from skimage.segmentation import clear_border

from synthbench.folders.score import score_image
from synthbench.metrics.border import MARGIN, without_border_objects
from synthbench.metrics.coco import coco_ap
from synthbench.metrics.matching import count


def boxes(*drawn: tuple[int, int, int, int, int], shape: tuple[int, int] = (20, 30)) -> np.ndarray:
    """Draw boxes (label, top, bottom, left, right)."""
    out = np.zeros(shape, np.uint16)
    for label, top, bottom, left, right in drawn:
        out[top:bottom, left:right] = label
    return out


@pytest.mark.parametrize(
    ("box", "stays"),
    [
        ((2, 8, 2, 8), True),
        ((1, 8, 5, 8), False),
        ((5, 8, 1, 8), False),
        ((12, 18, 22, 28), True),
        ((12, 19, 22, 28), False),
        ((12, 18, 22, 29), False),
        ((0, 1, 10, 12), False),
    ],
    ids=[
        "third row and column",
        "second row",
        "second column",
        "far corner",
        "last but one row",
        "column",
        "outermost",
    ],
)
def test_an_object_with_a_pixel_in_the_outermost_two_rows_or_columns_leaves_whole(
    box: tuple[int, int, int, int], stays: bool
) -> None:
    other = (300, 9, 11, 12, 15)
    labels = boxes((7, *box), other)
    expected = labels if stays else boxes(other)
    found = without_border_objects(labels)
    assert np.array_equal(found, expected)
    assert found.dtype == labels.dtype


def test_pieces_of_one_object_leave_together() -> None:
    assert not without_border_objects(boxes((4, 0, 3, 4, 6), (4, 9, 12, 9, 12))).any()


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (1, 1), (0, 5)])
def test_an_image_that_is_all_border_keeps_nothing(shape: tuple[int, int]) -> None:
    assert not without_border_objects(np.ones(shape, int)).any()


@pytest.mark.parametrize("seed", range(12))
def test_clear_border_of_scikit_image_is_the_oracle(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = connected(rng.random((rng.integers(8, 40), rng.integers(8, 40))) < 0.35)
    kept = without_border_objects(labels)
    assert np.array_equal(kept, clear_border(labels, buffer_size=MARGIN - 1))
    assert 0 < len(np.unique(kept)) < len(np.unique(labels))


def test_every_figure_of_a_worked_case() -> None:
    """One pair inside; one cut in both maps; one cut in the prediction only; one cut in the truth only."""
    truth = boxes((1, 8, 12, 10, 14), (2, 0, 4, 4, 8), (3, 14, 18, 4, 8), (4, 14, 20, 20, 24))
    predicted = boxes((5, 8, 12, 10, 13), (6, 0, 4, 4, 8), (7, 14, 19, 4, 8), (8, 14, 18, 20, 24))
    everything = score_image(truth, predicted)
    assert (everything.counts.tp[0], everything.counts.fp[0], everything.counts.fn[0]) == (4, 0, 0)
    assert everything.border is None
    scored = score_image(truth, predicted, border_objects="exclude")
    # 3 has lost its prediction and is missed; 8 has lost its true object and is wrong
    assert (scored.counts.true, scored.counts.predicted, scored.counts.tp[0]) == (2, 2, 1)
    assert scored.border == (2, 2)
    assert scored.counts.dice == 2 * 12 / (16 + 16 + 12 + 16)
    assert (scored.panoptic.tp[0], scored.panoptic.iou_sum[0]) == (1, 12 / 16)
    assert (scored.aji.shared, scored.aji.union) == (12, 16 + 16 + 16)


def test_what_lies_in_the_ignore_region_makes_no_border_object() -> None:
    """The region covers the left border: both objects are known from column 4 on, and there they match."""
    truth = boxes((1, 8, 12, 4, 10))
    ignore = np.zeros(truth.shape, bool)
    ignore[:, :4] = True
    across = boxes((2, 8, 12, 0, 10))
    scored = score_image(truth, across, ignore, "exclude")
    assert (scored.counts.true, scored.counts.predicted, scored.counts.tp[-1], scored.border) == (1, 1, 1, (0, 0))
    assert score_image(truth, across, None, "exclude").counts.predicted == 0
    noise = np.where(ignore, 9, truth)
    assert score_image(noise, across, ignore, "exclude").counts.tp[-1] == 1


def test_an_object_mostly_in_the_ignore_region_leaves_as_it_does_without_this_rule() -> None:
    ignore = np.zeros((20, 30), bool)
    ignore[:, 20:] = True
    inside, at_border = (1, 8, 12, 18, 24), (2, 0, 4, 5, 9)
    scored = score_image(boxes(at_border), boxes(inside, at_border), ignore, "exclude")
    assert (scored.counts.true, scored.counts.predicted, scored.border) == (0, 0, (1, 1))
    assert scored.counts.empty


def test_scores_stay_with_their_labels_in_coco_ap() -> None:
    """The one false positive has the best score and lies at the border: without it AP is 1."""
    truth = boxes((1, 8, 12, 4, 8), (2, 8, 12, 12, 16), (3, 0, 3, 20, 24))
    predicted = boxes((1, 17, 20, 4, 8), (2, 8, 12, 4, 8), (3, 8, 12, 12, 16))
    scores = np.array([0.9, 0.8, 0.7])
    assert coco_ap([truth], [predicted], [scores]).ap < 0.7
    kept = without_border_objects(truth), without_border_objects(predicted)
    assert coco_ap([kept[0]], [kept[1]], [scores]).ap == pytest.approx(1.0)
    assert count(*kept).tp[0] == 2


def test_whether_an_image_is_hard_does_not_depend_on_the_rule() -> None:
    touching = boxes((1, 0, 4, 4, 8), (2, 4, 8, 4, 8))
    assert score_image(touching, touching).hard
    assert score_image(touching, touching, border_objects="exclude").hard


def test_what_is_no_label_map_is_refused() -> None:
    with pytest.raises(ValueError, match="labels"):
        without_border_objects(np.zeros((5, 5)))
