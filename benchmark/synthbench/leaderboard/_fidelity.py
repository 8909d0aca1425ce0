"""Fidelity of each generator's samples: distances from real ones, duplicates, mask shapes, label consistency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.errors import DataError
from synthbench.leaderboard._blocks import ComparisonBlock, fidelity_of, label_consistency_of
from synthbench.results import COUNT
from synthbench.statistics import score_interval

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = [
    "COUNTED",
    "DUPLICATES",
    "IMAGES",
    "KERNEL",
    "LABEL_CONSISTENCY",
    "MASKS",
    "NEW",
    "ORIGINS",
    "combined_p",
    "fidelity",
    "label_consistency",
    "no_label_consistency",
]

KERNEL = ("kd_n", "kd_test_n", "kd_train_n")
IMAGES = ("precision", "recall", "density", "coverage")
DUPLICATES = ("train_duplicates", "test_duplicates", "synthetic_images")
ORIGINS = {"new": ("new", "recombined"), "training": ("training",)}
"""Kinds of masks that duplicates are counted by: objects of training masks in new places are new masks."""
NEW = ("authenticity", "authenticity_held_out", "c_t")
MASKS = ("area", "eccentricity", "solidity", "spacing", "count", "covered", "touching")
COUNTED = ("lost", "removed", "unplaced", "empty")


def fidelity(results: Results, block: ComparisonBlock) -> dict[str, dict[str, Any]]:
    """Return by generator the means over folds and generator seeds, distances under their true names.

    Distances on other features have columns of their own. An interval's ends are means too: whatever the sets have in
    common, that is at least as wide as the interval of the mean.

    Raises
    ------
    DataError
        If generators were compared by different numbers of images: such distances can't stand in one table.
    """
    out: dict[str, dict[str, Any]] = {}
    rows = fidelity_of(results, block)
    if rows.empty or "metric_fd" not in rows:
        return out
    planned = rows.groupby("generator").size()
    rows = rows[rows["fd"].notna()]
    for _, same in rows.groupby("fold"):
        if same["n"].nunique() > 1:
            counts = ", ".join(f"{n:.0f}" for n in sorted(same["n"].unique()))
            raise DataError(
                f"results/fidelity.csv: distances of {counts} images can't be compared; run the study again"
            )
    for (generator, fd, kd), part in rows.groupby(["generator", "metric_fd", "metric_kd"]):
        mean, total = part.select_dtypes("number").mean(), part.select_dtypes("number").sum(min_count=1)
        found = {
            str(kd): mean["kd"],
            f"{kd} low": mean["kd_low"],
            f"{kd} high": mean["kd_high"],
            f"{kd} p": combined_p(part.get("kd_p")),
            f"{kd} real-vs-real": mean["real_vs_real_kd"],
            f"{kd} real-vs-real low": mean.get("real_vs_real_kd_low", np.nan),
            f"{kd} real-vs-real high": mean.get("real_vs_real_kd_high", np.nan),
            f"{kd} real-vs-real p": combined_p(part.get("real_vs_real_kd_p")),
            str(fd): mean["fd"],
            f"{fd} real-vs-real": mean["real_vs_real_fd"],
            "fidelity_n": part["n"].min(),
            **{name: part[name].min() if name in part else np.nan for name in KERNEL},
            "image_area": mean.get("area", np.nan),
            "test_image_area": mean.get("test_area", np.nan),
            "fidelity_sets": len(part),
            "fidelity_sets_planned": int(planned[str(generator)]),
            "sets_searched": int(part["train_duplicates"].notna().sum()) if "train_duplicates" in part else 0,
        }
        for name in IMAGES:
            found |= {
                f"image_{name}": mean.get(name, np.nan),
                f"image_{name} real-vs-real": mean.get(f"real_vs_real_{name}", np.nan),
            }
        for name in MASKS:
            mask = f"mask_{name}"
            found |= {mask: mean.get(mask, np.nan), f"{mask} real-vs-real": mean.get(f"real_vs_real_{mask}", np.nan)}
        found |= {name: total.get(name, np.nan) for name in DUPLICATES}
        for origin, parts in ORIGINS.items():
            for head in ("masks", "train_duplicates"):
                found[f"{head}_{origin}"] = sum(total.get(f"{head}_{part}", np.nan) for part in parts)
        found |= {name: total.get(f"{COUNT}{name}", np.nan) for name in COUNTED}
        found |= {name: mean.get(name, np.nan) for name in NEW}
        out.setdefault(str(generator), {}).update(found)
    return out


def combined_p(values: pd.Series | None) -> float:
    """Combine p-values of sets that may depend on each other: twice their mean (Vovk and Wang 2020).

    Examples
    --------
    >>> combined_p(pd.Series([0.004])), combined_p(pd.Series([0.004, 0.02])), combined_p(pd.Series([0.5, 0.9]))
    (0.004, 0.024, 1.0)
    """
    known = pd.Series(dtype=float) if values is None else values.dropna()
    if known.empty:
        return float("nan")
    return float(known.iloc[0] if len(known) == 1 else min(1.0, 2 * known.mean()))


LABEL_CONSISTENCY = (
    "label_consistency",
    "label_consistency_low",
    "label_consistency_high",
    "label_consistency_seeds",
    "label_consistency_images",
)


def label_consistency(
    results: Results, block: ComparisonBlock, metric: str, iou: float | str, aggregation: str, draws: int
) -> dict[str, dict[str, float]]:
    """Return by generator the columns `LABEL_CONSISTENCY`.

    Label consistency says how far segmenters trained on real images alone agree with the synthetic masks: it is their
    score on the synthetic images. The interval is over synthetic images, segmenter seeds and, where there are several,
    generator seeds.
    """
    rows = label_consistency_of(results, block)
    if rows.empty:
        return {}
    out = {}
    for generator, own in rows.groupby("generator", sort=False):
        found = score_interval(own, metric, iou, aggregation, draws)
        numbers = (found.value, found.low, found.high, float(found.seeds), float(found.images))
        out[str(generator)] = dict(zip(LABEL_CONSISTENCY, numbers, strict=True))
    return out


def no_label_consistency() -> dict[str, float]:
    """Return the columns `LABEL_CONSISTENCY`, empty."""
    return dict.fromkeys(LABEL_CONSISTENCY, np.nan)
