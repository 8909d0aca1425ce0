"""Scores of class maps: per-class IoU and Dice, mIoU, mIoU*, and clDice for filaments."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from synthbench.metrics.rates import divide
from synthbench.types import AnyArray

__all__ = ["ClassScores", "cldice", "confusion", "scores"]


class ClassScores(TypedDict):
    """What `scores` returns.

    Attributes
    ----------
    iou, dice : ndarray
        ``(K,)`` float64, 0 … 1, by class; 0 for a class that is neither in the truth nor in the prediction.
    present : ndarray
        ``(K,)`` bool: the class occurs in the truth.
    miou : float
        Mean IoU of the classes that occur in the truth or in the prediction.
    miou_star : float
        Mean IoU of the classes that occur in the truth: mIoU* of arXiv 2408.00707, which a few stray pixels of an
        absent class don't bring down.
    accuracy : float
        Share of the pixels whose class is right.
    """

    iou: AnyArray
    dice: AnyArray
    present: AnyArray
    miou: float
    miou_star: float
    accuracy: float


def confusion(truth: AnyArray, predicted: AnyArray, classes: int, ignore: AnyArray | None = None) -> AnyArray:
    """Count pixels by true and predicted class.

    Parameters
    ----------
    truth, predicted
        Class maps of one shape, of any integer type, 0 … classes − 1.
    classes
        How many classes there are, background among them.
    ignore
        Bool, of that shape: pixels that aren't counted, for their class is unknown.

    Returns
    -------
    ndarray
        ``(K, K)`` int64, true classes down, predicted ones across. Matrices of several images add up.

    Raises
    ------
    ValueError
        If an argument can't be used; the message names it.
    """
    if not isinstance(classes, int | np.integer) or classes < 1:
        raise ValueError(f"classes: {classes!r}; give a whole number from 1 on")
    true, found = _classes(truth, "truth", classes), _classes(predicted, "predicted", classes)
    if np.shape(truth) != np.shape(predicted):
        raise ValueError(f"predicted: shape {np.shape(predicted)}, and truth has {np.shape(truth)}")
    pairs = true * classes + found
    if ignore is not None:
        pairs = pairs[~_checked_ignore(ignore, truth).ravel()]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def scores(matrix: AnyArray) -> ClassScores:
    """Compute the scores of a confusion matrix: of one image, or of the sum over many (pooled).

    Parameters
    ----------
    matrix
        ``(K, K)`` counts, true classes down.

    Raises
    ------
    ValueError
        If it isn't square, holds what is no count, or no pixel at all.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix: shape {matrix.shape}; give (K, K)")
    if matrix.dtype.kind not in "iuf" or not ((matrix >= 0) & np.isfinite(matrix)).all():
        raise ValueError("matrix: it holds something other than counts, 0 and above")
    if matrix.sum() == 0:
        raise ValueError("matrix: it holds no pixel")
    right = np.diagonal(matrix)
    true, found = matrix.sum(axis=1), matrix.sum(axis=0)
    union = true + found - right
    iou = divide(right, union)
    return ClassScores(
        iou=iou,
        dice=divide(2 * right, true + found),
        present=true > 0,
        miou=float(iou[union > 0].mean()),
        miou_star=float(iou[true > 0].mean()),
        accuracy=float(right.sum() / matrix.sum()),
    )


def cldice(truth: AnyArray, predicted: AnyArray, ignore: AnyArray | None = None) -> float:
    """Centre-line Dice of two foregrounds (Shit 2021, eq. 1 and 2).

    The harmonic mean of the share of the predicted skeleton inside the true foreground, and of the true skeleton
    inside the predicted one. Skeletons are scikit-image's ``skeletonize``.

    Parameters
    ----------
    truth, predicted
        ``(height, width)`` of one shape, numbers or bool; whatever isn't 0 is foreground.
    ignore
        Bool, of that shape: pixels that belong to neither foreground, because their label is unknown.

    Returns
    -------
    float
        0 … 1; 0/0 is 0, so an image without any foreground has 0 and should be left out of a mean.

    Raises
    ------
    ValueError
        If the shapes differ or aren't two-dimensional, or an array holds NaN or no numbers.
    """
    from skimage.morphology import skeletonize

    true, found = _foreground(truth, "truth"), _foreground(predicted, "predicted")
    if true.ndim != 2:
        raise ValueError(f"truth: shape {true.shape}; give (height, width)")
    if true.shape != found.shape:
        raise ValueError(f"predicted: shape {found.shape}, and truth has {true.shape}")
    if ignore is not None:
        known = ~_checked_ignore(ignore, true)
        true, found = true & known, found & known
    precision = _inside(skeletonize(found), true)
    sensitivity = _inside(skeletonize(true), found)
    return 2 * precision * sensitivity / (precision + sensitivity) if precision + sensitivity else 0.0


def _foreground(labels: AnyArray, name: str) -> AnyArray:
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iubf" or np.isnan(labels).any():
        raise ValueError(f"{name}: it holds something other than numbers")
    foreground: AnyArray = labels != 0
    return foreground


def _inside(skeleton: AnyArray, foreground: AnyArray) -> float:
    length = int(skeleton.sum())
    return int((skeleton & foreground).sum()) / length if length else 0.0


def _checked_ignore(ignore: AnyArray, truth: AnyArray) -> AnyArray:
    if np.asarray(ignore).dtype != bool or np.shape(ignore) != np.shape(truth):
        raise ValueError(
            f"ignore: {np.asarray(ignore).dtype} of shape {np.shape(ignore)}; give bool, {np.shape(truth)}"
        )
    return np.asarray(ignore)


def _classes(labels: AnyArray, name: str, classes: int) -> AnyArray:
    flat = np.asarray(labels).ravel()
    if flat.dtype.kind not in "iub":
        raise ValueError(f"{name}: a class map holds whole numbers, not {flat.dtype}")
    if flat.size and (int(flat.min()) < 0 or int(flat.max()) >= classes):
        wrong = int(flat.min()) if int(flat.min()) < 0 else int(flat.max())
        raise ValueError(f"{name}: class {wrong} is outside 0 … {classes - 1}")
    return flat.astype(np.int64)
