"""How the values of a leaderboard are written. No cell is blank: what failed is missing, what has no meaning is n/a."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "MINUS",
    "MISSING",
    "NOT_APPLICABLE",
    "NO_HEADROOM",
    "delta",
    "distance",
    "duration",
    "first_words",
    "is_score",
    "listed",
    "number",
    "percent",
    "records",
    "recovered",
    "short",
    "signed",
    "text",
]

MINUS = "−"
MISSING = "missing"
NOT_APPLICABLE = "n/a"
NO_HEADROOM = "no headroom"
_EVERY_SCORE = (
    "f1@",
    "precision@",
    "recall@",
    "jaccard_ap@",
    "coco_ap",
    "dice",
    "pq",
    "sq",
    "rq",
    "aji",
    "miou",
    "cldice",
    "score",
)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as mappings."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def is_score(name: str) -> bool:
    """Whether a column holds a score, which is missing (not: without meaning) where no training was done."""
    return name.startswith(_EVERY_SCORE)


def number(value: float, digits: int = 3) -> str:
    """Return a number with a true minus, and without one when it rounds to zero; ``"n/a"`` for NaN."""
    if pd.isna(value):
        return NOT_APPLICABLE
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: float, digits: int = 3) -> str:
    """Return a difference with its sign, and without one when it rounds to zero."""
    if pd.isna(value):
        return NOT_APPLICABLE
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def distance(value: float) -> str:
    """Return a distance, whose size depends on the encoder: ``"0.0041"``, ``"12.5"``, ``"5.26k"``, ``"−3.77e+09"``."""
    size = abs(value)
    if pd.isna(value) or size < 1e3:
        return number(value, 4 if size < 1 else 1)
    if size >= 1e8:
        return f"{value:.2e}".replace("-", MINUS)
    digits = 2 if size < 1e4 else 1 if size < 1e5 else 0
    return f"{value / 1000:,.{digits}f}k".replace("-", MINUS)


def duration(seconds: float) -> str:
    """Return seconds as ``"0.2 s"``, ``"61 s"``, ``"3.6 min"`` or ``"1.4 h"``."""
    if pd.isna(seconds):
        return NOT_APPLICABLE
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def short(arm: str) -> str:
    """Return an arm's name without what all arms share: ``"pix2pix × 50"``."""
    return arm.removeprefix("real + ")


def text(row: Mapping[str, Any], name: str) -> str:
    """Return what stands in a table for one column of one row of `synthbench.leaderboard.table`. Never blank."""
    value = row.get(name, np.nan)
    if is_score(name):
        if row.get("status") == MISSING:
            return MISSING
        return number(value) + (
            "*" if name.startswith("coco_ap") and row.get("unscored") and not pd.isna(value) else ""
        )
    if name == "delta":
        return delta(row)
    if name == "delta_vs_duplicate":
        return "baseline" if row.get("verdict") == "baseline" else _interval(row, name)
    if name == "equivalent_real_images":
        return _equivalent_images(row)
    if name == "rank":
        return _rank(row)
    if name in ("train_duplicates", "test_duplicates"):
        return NOT_APPLICABLE if pd.isna(value) else f"{value:.0f} of {row['synthetic_images']:.0f}"
    if name in ("train_duplicates_new", "train_duplicates_training"):
        total = row[name.replace("train_duplicates", "masks")]
        return NOT_APPLICABLE if pd.isna(value) or not total else f"{value:.0f} of {total:.0f}"
    if name.startswith(("image_", "mask_")) and not name.endswith(" real-vs-real"):
        return _beside(value, row.get(f"{name} real-vs-real", np.nan))
    if name == "authenticity":
        return _beside(value, row.get("authenticity_held_out", np.nan))
    if name == "label_consistency":
        return _label_consistency(row)
    if name == "recovered":
        return _recovered(row)
    if name in ("p", "p_vs_duplicate"):
        return _p(value)
    if name.endswith(" p"):
        floor = row.get(f"{name.removesuffix(' p')} real-vs-real p", np.nan)
        return _p(value) + ("" if pd.isna(floor) else f" ({_p(floor)})")
    if name.endswith("_seconds"):
        return duration(value)
    if name.endswith("_memory_mb"):
        return NOT_APPLICABLE if pd.isna(value) else f"{value:.0f} MiB"
    if name.startswith(("KID", "KD(")):
        return _kernel(row, name)
    if name.startswith(("FID", "FD(")):
        return distance(value)
    if isinstance(value, str):
        return value or NOT_APPLICABLE
    if pd.isna(value):
        return NOT_APPLICABLE
    return number(value, 0 if float(value).is_integer() else 2)


def _p(value: float) -> str:
    return NOT_APPLICABLE if pd.isna(value) else "<.001" if value < 0.001 else f"{value:.3f}"


def delta(row: Mapping[str, Any]) -> str:
    """Return the difference from the baseline with its interval, or why there is none."""
    if row["verdict"] in ("baseline", "no baseline", "no pairs", MISSING):
        return str(row["verdict"])
    if str(row["verdict"]).startswith("nothing changed"):
        return "nothing changed"
    if pd.isna(row.get("delta_low", np.nan)):
        one = "group" if row.get("delta_images", 1) > 1 else "image"
        return f"{signed(row['delta'])} [one {one}: no interval]"
    return f"{signed(row['delta'])} [{signed(row['delta_low'])}, {signed(row['delta_high'])}]"


def _beside(value: float, floor: float) -> str:
    """Return a figure with its floor in brackets."""
    if pd.isna(value):
        return NOT_APPLICABLE
    digits = 3 if abs(value) < 10 else 0 if abs(value) >= 100 else 1
    return number(value, digits) + ("" if pd.isna(floor) else f" ({number(floor, digits)})")


def _interval(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (row.get(key, np.nan) for key in (name, f"{name}_low", f"{name}_high"))
    if pd.isna(value):
        return NOT_APPLICABLE
    return signed(value) + ("" if pd.isna(low) else f" [{signed(low)}, {signed(high)}]")


def listed(names: Sequence[str]) -> str:
    """Return ``"a"``, ``"a and b"`` or ``"a, b and c"``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def first_words(verdict: str) -> str:
    """Return a verdict without what follows a comma or a colon: ``"undecided"``, ``"nothing changed"``."""
    return verdict.partition(":")[0].partition(",")[0]


def percent(value: float) -> str:
    """Return a share as ``"41 %"`` or ``"−12 %"``."""
    return f"{number(100 * value, 0)} %"


def recovered(row: Mapping[str, Any]) -> str:
    """Return ``"41 % [12 %, 75 %]"``: the share of what more real images bring that an arm recovers."""
    low, high = row["recovered_low"], row["recovered_high"]
    return percent(row["recovered"]) + ("" if pd.isna(low) else f" [{percent(low)}, {percent(high)}]")


def _recovered(row: Mapping[str, Any]) -> str:
    without = first_words(str(row["verdict"])) in ("baseline", "nothing changed")
    if pd.isna(row.get("headroom", np.nan)) or without or pd.isna(row["delta"]):
        return NOT_APPLICABLE
    if pd.isna(row["recovered"]):
        return "one seed" if row["headroom_seeds"] == 1 and row["folds"] == 1 else NO_HEADROOM
    return recovered(row)


def _label_consistency(row: Mapping[str, Any]) -> str:
    value, low, high = (
        row.get(name, np.nan) for name in ("label_consistency", "label_consistency_low", "label_consistency_high")
    )
    return number(value) + ("" if pd.isna(low) else f" [{number(low)}, {number(high)}]")


def _equivalent_images(row: Mapping[str, Any]) -> str:
    """Return additional images with their interval; an end of the curve is shown as more (or less) than that.

    At the largest amount the curve shows losses only: ``"n/a"`` for gains, and where the interval covers all of it.
    """
    if pd.isna(row.get("equivalent_real_images", np.nan)) or first_words(str(row["verdict"])) == "nothing changed":
        return NOT_APPLICABLE
    if row.get("headroom_low", np.nan) <= 0:
        return NO_HEADROOM  # along a flat curve, any gain is worth as many images as there are
    least, most = row["equivalent_real_images_least"], row["equivalent_real_images_most"]
    if most == 0:
        ends = row["equivalent_real_images_low"], row["equivalent_real_images_high"]
        if row["equivalent_real_images"] >= 0 or (ends[0] <= least and ends[1] >= 0):
            return NOT_APPLICABLE

    def images(value: float) -> str:
        end = "> " if value >= most else "< " if value <= least else ""
        return f"{end}{signed(value, 0) if round(value) else '0'}"

    value = images(row["equivalent_real_images"])
    if pd.isna(row["equivalent_real_images_low"]):
        return value
    return f"{value} [{images(row['equivalent_real_images_low'])}, {images(row['equivalent_real_images_high'])}]"


def _rank(row: Mapping[str, Any]) -> str:
    if pd.isna(row["rank"]):
        return MISSING if row.get("status") == MISSING else NOT_APPLICABLE
    place, low, high = (int(row[name]) for name in ("rank", "rank_low", "rank_high"))
    return f"{place}" if low == high else f"{place} ({low}–{high})"


def _kernel(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (row.get(key, np.nan) for key in (name, f"{name} low", f"{name} high"))
    if pd.isna(low):
        return distance(value)
    return f"{distance(value)} [{distance(low)}, {distance(high)}]"
