"""Which true instance shares how many pixels with which predicted one: everything a matching needs, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthbench.samples import MAX_LABEL
from synthbench.types import AnyArray

__all__ = ["MAX_TABLE_SIZE", "Overlap", "as_label_map", "check_range", "dense_labels", "label_runs", "overlap"]

MAX_TABLE_SIZE = 8_000_000
"""A table of as many possible pairs of labels takes 128 MB; beyond, runs are sorted."""


@dataclass(frozen=True, eq=False)
class Overlap:
    """The sparse overlap table of two label maps, and the areas of their instances.

    Attributes
    ----------
    true_ids, predicted_ids : ndarray
        ``(n,)`` int64, ascending: the labels above 0.
    true_areas, predicted_areas : ndarray
        ``(n,)`` int64: pixels of each.
    true, predicted : ndarray
        ``(pairs,)`` int64: positions in the ids above of the two instances of each pair that shares a pixel.
    shared : ndarray
        ``(pairs,)`` int64: pixels they share.
    """

    true_ids: AnyArray
    predicted_ids: AnyArray
    true_areas: AnyArray
    predicted_areas: AnyArray
    true: AnyArray
    predicted: AnyArray
    shared: AnyArray

    @property
    def union(self) -> AnyArray:
        """``(pairs,)`` int64: pixels that belong to one of the two instances, or both."""
        union: AnyArray = self.true_areas[self.true] + self.predicted_areas[self.predicted] - self.shared
        return union

    @property
    def iou(self) -> AnyArray:
        """``(pairs,)`` float64 in (0, 1]: intersection over union of each pair.

        A quotient of pixel counts, rounded once. It equals a decimal threshold exactly when the true quotient does.
        """
        return self.shared / self.union


def overlap(truth: AnyArray, predicted: AnyArray) -> Overlap:
    """Tabulate which instances of two label maps overlap.

    Runs of pixels with the same pair of labels are found first, and only the runs are summed up, so that the cost
    is one comparison per pixel. Labels may be any in 0 … 2³¹ − 1, with gaps; instances may be in pieces.

    Parameters
    ----------
    truth, predicted
        Label maps of one shape, of any integer type; 0 is background. No pixels at all is allowed.

    Raises
    ------
    ValueError
        If one isn't a label map, or the shapes differ.
    """
    truth, predicted = as_label_map(truth, "truth"), as_label_map(predicted, "predicted")
    if truth.shape != predicted.shape:
        raise ValueError(f"predicted: shape {predicted.shape}, and truth has {truth.shape}")
    truth, predicted = truth.ravel(), predicted.ravel()
    starts, lengths = label_runs(truth, predicted)
    pairs, pixels = _total(
        check_range(truth[starts], "truth").astype(np.int64),
        check_range(predicted[starts], "predicted").astype(np.int64),
        lengths,
    )
    true_ids, row = dense_labels(pairs[0])
    predicted_ids, column = dense_labels(pairs[1])
    both = (row > 0) & (column > 0)
    return Overlap(
        true_ids=true_ids,
        predicted_ids=predicted_ids,
        true_areas=_sums(row, pixels, len(true_ids)),
        predicted_areas=_sums(column, pixels, len(predicted_ids)),
        true=row[both] - 1,
        predicted=column[both] - 1,
        shared=pixels[both],
    )


def label_runs(*flat: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return start and length of each longest run over which none of the flat arrays changes; int64 both."""
    size = flat[0].size
    if size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    change = np.empty(size, bool)
    change[0] = True
    np.not_equal(flat[0][1:], flat[0][:-1], out=change[1:])
    for other in flat[1:]:
        change[1:] |= other[1:] != other[:-1]
    starts = np.flatnonzero(change)
    return starts, np.diff(starts, append=size)


def as_label_map(labels: AnyArray, name: str) -> AnyArray:
    """Return `labels` as an array of whole numbers, bool as 0 and 1; raise `ValueError`, with `name`, for others."""
    labels = np.asarray(labels)
    if labels.dtype == bool:
        return labels.view(np.uint8)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name}: a label map holds whole numbers, not {labels.dtype}")
    return labels


def dense_labels(labels: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Number the labels of a label map, or of any array of labels, without gaps.

    Parameters
    ----------
    labels
        Integers of any type and shape; 0 is background.

    Returns
    -------
    ids : ndarray
        ``(n,)``, ascending: the labels above 0.
    dense : ndarray
        As `labels`, int64: k + 1 where the label is ``ids[k]``, and 0 in the background.
    """
    ids = np.unique(labels)
    ids = ids[ids > 0]
    return ids, np.where(labels > 0, np.searchsorted(ids, labels) + 1, 0)


def check_range(values: AnyArray, name: str) -> AnyArray:
    """Return the labels `values`; raise `ValueError`, with `name`, unless all are in 0 … 2³¹ − 1."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low < 0 or high > MAX_LABEL:
        raise ValueError(f"{name}: label {low if low < 0 else high} is outside 0 … {MAX_LABEL}")
    return values


def _total(true: AnyArray, predicted: AnyArray, lengths: AnyArray) -> tuple[tuple[AnyArray, AnyArray], AnyArray]:
    """Return the distinct pairs of labels, ascending, and the sum of the lengths of each.

    Two label maps of some thousand instances have few enough possible pairs for a table of them, which is four times
    as fast as sorting the runs.
    """
    if lengths.size == 0:
        return (lengths, lengths), lengths
    across = int(predicted.max()) + 1
    possible = (int(true.max()) + 1) * across
    if possible > MAX_TABLE_SIZE:
        keys, sums = _by_sorting((true << 31) | predicted, lengths)
        return (keys >> 31, keys & MAX_LABEL), sums
    keys = true * across + predicted
    sums = np.bincount(keys, weights=lengths)
    last = np.empty(possible, np.int64)
    last[keys] = np.arange(len(keys))
    keys = np.sort(keys[last[keys] == np.arange(len(keys))])
    return (keys // across, keys % across), sums[keys].astype(np.int64)


def _by_sorting(keys: AnyArray, lengths: AnyArray) -> tuple[AnyArray, AnyArray]:
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.add.reduceat(lengths[order], first)


def _sums(place: AnyArray, pixels: AnyArray, count: int) -> AnyArray:
    """Return the pixels of each place 1 … count."""
    return np.bincount(place, weights=pixels, minlength=count + 1)[1:].astype(np.int64)
