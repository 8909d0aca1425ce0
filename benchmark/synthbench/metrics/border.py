"""Objects that the image border cuts, left out before anything is counted: the rule of a challenge."""

from __future__ import annotations

from typing import Literal

import numpy as np

from synthbench.metrics.overlap import as_label_map
from synthbench.types import AnyArray

__all__ = ["MARGIN", "BorderObjects", "without_border_objects"]

BorderObjects = Literal["include", "exclude"]
"""Whether objects at the image border are scored."""

MARGIN = 2
"""Width of the strip along the image border, in pixels: an object with a pixel there is at the border."""


def without_border_objects(labels: AnyArray) -> AnyArray:
    """Return a label map without the objects at the image border, which leave with all of their pixels.

    That is the rule of the NeurIPS 2022 Cell Segmentation Challenge: an object with at least one pixel in the outermost
    two rows or columns isn't scored, since it is cut off and annotators differ in how they draw it. The challenge
    divides images of 25 million pixels or more into tiles, and leaves out the objects at the borders of tiles as well;
    here every image is one piece.

    True and predicted label maps are treated in the same way, but each by itself. So a predicted object that reaches
    the strip leaves even if its true object ends before it, which then counts as missed; and one that ends before the
    strip counts as wrong if its true object reaches it.

    Pixels with an unknown label come first: they leave both maps (`synthbench.metrics.ignore.leave_out`) before this
    function sees them, so what an object has there doesn't make it a border object.

    Parameters
    ----------
    labels
        ``(height, width)``, of any integer type; 0 is background.

    Returns
    -------
    ndarray
        With the labels that it had, so that scores by label stay right; there may be gaps.

    References
    ----------
    Ma et al., The multimodality cell segmentation challenge: toward universal solutions, Nature Methods 21 (2024),
    1103–1113, and its evaluation code, https://github.com/JunMa11/NeurIPS-CellSeg.

    Examples
    --------
    >>> labels = np.zeros((7, 7), int)
    >>> labels[2:5, 2:5], labels[2:4, 5:7] = 1, 2
    >>> np.unique(without_border_objects(labels)).tolist()
    [0, 1]
    """
    labels = as_label_map(labels, "labels")
    height, width = labels.shape
    strip = np.ones(labels.shape, bool)
    strip[MARGIN : height - MARGIN, MARGIN : width - MARGIN] = False
    at_border = np.unique(labels[strip])
    return np.where(np.isin(labels, at_border), 0, labels) if at_border.any() else labels
