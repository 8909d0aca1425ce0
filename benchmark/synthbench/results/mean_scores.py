"""One score for each dataset of a study: the mean over its trainings."""

from __future__ import annotations

from synthbench.results._tables import Results
from synthbench.statistics import run_scores

__all__ = ["mean_scores"]


def mean_scores(results: Results) -> dict[str, float]:
    """Return the mean score of each dataset over its trainings, 0 … 1; datasets without any are left out.

    It is the F-score pooled over images, mean over all IoU thresholds; of semantic tasks, mIoU*.
    """
    found: dict[str, float] = {}
    if results.images.empty:
        return found
    for dataset, images in results.images.groupby("dataset", sort=False):
        if "iou" in images and images["iou"].notna().any():
            scores = run_scores(images, "f1", "mean")
        else:
            scores = run_scores(images.drop(columns="iou", errors="ignore"), "miou_star")
        found[str(dataset)] = float(scores["score"].mean())
    return found
