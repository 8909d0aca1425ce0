"""How near each generator's samples are to real ones: distances, copies, masks, and whether the masks are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synthbench.errors import DataError
from synthbench.leaderboard.blocks import ComparisonBlock, agreement_of, fidelity_of
from synthbench.results import COUNT
from synthbench.statistics import score_interval

if TYPE_CHECKING:
    from synthbench.results import Results

KERNEL = ("kd_n", "kd_test_n", "kd_train_n")
IMAGES = ("precision", "recall", "density", "coverage")
COPIES = ("copies", "leaked", "synthetic_images")
ORIGINS = {"new": ("new", "recombined"), "training": ("training",)}
"""Masks that are told apart where copies are counted: objects of training masks in new places are new masks."""
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
            f"{kd} p": together(part.get("kd_p")),
            f"{kd} floor": mean["floor_kd"],
            f"{kd} floor low": mean.get("floor_kd_low", np.nan),
            f"{kd} floor high": mean.get("floor_kd_high", np.nan),
            f"{kd} floor p": together(part.get("floor_kd_p")),
            str(fd): mean["fd"],
            f"{fd} floor": mean["floor_fd"],
            "fidelity_n": part["n"].min(),
            **{name: part[name].min() if name in part else np.nan for name in KERNEL},
            "image_area": mean.get("area", np.nan),
            "test_image_area": mean.get("test_area", np.nan),
            "fidelity_sets": len(part),
            "fidelity_sets_planned": int(planned[str(generator)]),
            "sets_searched": int(part["copies"].notna().sum()) if "copies" in part else 0,
        }
        for name in IMAGES:
            found |= {f"image_{name}": mean.get(name, np.nan), f"image_{name} floor": mean.get(f"floor_{name}", np.nan)}
        for name in MASKS:
            mask = f"mask_{name}"
            found |= {mask: mean.get(mask, np.nan), f"{mask} floor": mean.get(f"floor_{mask}", np.nan)}
        found |= {name: total.get(name, np.nan) for name in COPIES}
        for origin, parts in ORIGINS.items():
            for head in ("masks", "copies"):
                found[f"{head}_{origin}"] = sum(total.get(f"{head}_{part}", np.nan) for part in parts)
        found |= {name: total.get(f"{COUNT}{name}", np.nan) for name in COUNTED}
        found |= {name: mean.get(name, np.nan) for name in NEW}
        out.setdefault(str(generator), {}).update(found)
    return out


def together(values: pd.Series | None) -> float:
    """Return one p-value for several sets that may have anything in common: twice their mean (Vovk and Wang 2020).

    Examples
    --------
    >>> together(pd.Series([0.004])), together(pd.Series([0.004, 0.02])), together(pd.Series([0.5, 0.9]))
    (0.004, 0.024, 1.0)
    """
    known = pd.Series(dtype=float) if values is None else values.dropna()
    if known.empty:
        return float("nan")
    return float(known.iloc[0] if len(known) == 1 else min(1.0, 2 * known.mean()))


AGREEMENT = ("agreement", "agreement_low", "agreement_high", "agreement_seeds", "agreement_images")


def agreement(
    results: Results, block: ComparisonBlock, metric: str, iou: float | str, aggregation: str, draws: int
) -> dict[str, dict[str, float]]:
    """Return by generator the columns `AGREEMENT`: the score on its images of segmenters trained on real ones alone.

    The interval is over synthetic images and over segmenters trained again; with several generator seeds, over those.
    """
    rows = agreement_of(results, block)
    if rows.empty:
        return {}
    out = {}
    for generator, own in rows.groupby("generator", sort=False):
        found = score_interval(own, metric, iou, aggregation, draws)
        numbers = (found.value, found.low, found.high, float(found.seeds), float(found.images))
        out[str(generator)] = dict(zip(AGREEMENT, numbers, strict=True))
    return out


def no_agreement() -> dict[str, float]:
    """Return the columns of agreement, empty."""
    return dict.fromkeys(AGREEMENT, np.nan)
