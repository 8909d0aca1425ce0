"""Pixels whose true label is unknown, left out of instances before anything is counted: one rule for every metric."""

from __future__ import annotations

import numpy as np

from synthbench.metrics.overlap import overlap
from synthbench.types import AnyArray

__all__ = ["leave_out"]


def leave_out(truth: AnyArray, predicted: AnyArray, ignore: AnyArray | None) -> tuple[AnyArray, AnyArray]:
    """Return two label maps of instances without the ignore region; matching, AP, PQ, AJI and Dice start from these.

    The pixels of the region leave both maps. A predicted instance with more than half of its pixels in the region is
    neither right nor wrong, and leaves with all of its pixels, unless what lies outside has an IoU of 0.5 or more with
    what is left of a true instance. So COCO treats crowds (``iscrowd``): true objects are matched first, and what
    else lies in a crowd is no false positive. COCO's share is the IoU threshold, though, and so differs from threshold
    to threshold; here it is a half, and one pair of maps serves all of them.

    Parameters
    ----------
    truth, predicted
        Label maps of one shape, of any integer type; 0 is background.
    ignore
        Bool, of that shape; None where every true label is known.

    Returns
    -------
    truth, predicted
        With the labels that they had, so that scores by label stay right; there may be gaps.

    Raises
    ------
    ValueError
        If one isn't a label map, or the shapes differ.

    Examples
    --------
    Instance 1 lies in the region with two of its three pixels, 2 with one:

    >>> truth = np.array([[0, 0, 0, 0, 0, 0]])
    >>> predicted = np.array([[1, 1, 1, 2, 2, 2]])
    >>> leave_out(truth, predicted, np.array([[True, True, False, True, False, False]]))[1]
    array([[0, 0, 0, 0, 2, 2]])
    """
    if ignore is None:
        return truth, predicted
    covered = overlap(ignore, predicted)
    inside = covered.predicted_ids[covered.predicted[2 * covered.shared > covered.predicted_areas[covered.predicted]]]
    truth, predicted = np.where(ignore, 0, truth), np.where(ignore, 0, predicted)
    if len(inside):
        table = overlap(truth, predicted)
        matched = table.predicted_ids[table.predicted[table.iou >= 0.5]]
        predicted[np.isin(predicted, np.setdiff1d(inside, matched))] = 0
    return truth, predicted
