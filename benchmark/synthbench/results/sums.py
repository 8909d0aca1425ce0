"""Panoptic quality and the aggregated Jaccard indices of a training, from sums over its test images."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

__all__ = ["pooled_scores", "whole_images"]


def pooled_scores(total: Callable[[str], float]) -> dict[str, float]:
    """Return PQ, AJI and AJI+.

    Parameters
    ----------
    total
        Returns the sum over all images of ``true``, ``predicted`` or one of `synthbench.results.WHOLE_IMAGE`.
    """
    instances = (total("true") + total("predicted")) / 2
    unions = {name: total(f"{name}_union") for name in ("aji", "aji_plus")}
    return {
        "pq": total("pq_iou_sum") / instances if instances else 0.0,
        **{name: total(f"{name}_shared") / union if union else 0.0 for name, union in unions.items()},
    }


def whole_images(images: pd.DataFrame) -> dict[str, float]:
    """Return PQ, AJI and AJI+ of one training from its rows of `synthbench.results.Results.images`.

    Nothing where images have classes, or the table is of a version that didn't count this.
    """
    if "pq_iou_sum" not in images or images["pq_iou_sum"].isna().any():
        return {}
    once = images.drop_duplicates("image")
    return pooled_scores(lambda name: float(once[name].sum()))
