"""The arms of a block compared with its baseline, and with the baseline at other amounts of real data."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from synthbench.statistics._frames import check_baseline, check_columns
from synthbench.statistics.differences import Comparison, compare

__all__ = ["compare_with_amounts"]


def compare_with_amounts(
    images: pd.DataFrame,
    amounts: Mapping[str, pd.DataFrame],
    baseline: str,
    metric: str,
    iou: float | str,
    aggregation: str,
    draws: int,
    seed: int,
) -> Comparison:
    """Compare the arms of a block, and the baseline at each other amount of real data as one more arm.

    All differences come from the same resamples, paired by fold, seed and test image.

    Parameters
    ----------
    images
        Rows of one dataset, amount of real data and segmenter; see `synthbench.statistics.compare`.
    amounts
        Name of the additional arm → rows of the same dataset and segmenter with another amount of real data. Arms other
        than the baseline are ignored.
    baseline, metric, iou, aggregation, draws, seed
        See `synthbench.statistics.compare`. The trainings of the additional arms aren't assumed to vary like those of
        the others.

    Raises
    ------
    ConfigError
        If the baseline isn't among the arms of `images`.
    DataError
        If a frame has no column ``arm``.
    """
    for rows in (images, *amounts.values()):
        check_columns(rows, ["arm"])
    check_baseline(images["arm"], baseline)
    here = {"fraction": images["fraction"].iloc[0]} if "fraction" in images else {}
    additional = [
        rows[rows["arm"] == baseline].drop(columns="fraction", errors="ignore").assign(arm=name, **here)
        for name, rows in amounts.items()
    ]
    both = pd.concat([images, *additional], ignore_index=True)
    return compare(both, baseline, metric, iou, aggregation, draws, seed, unpooled=amounts)
