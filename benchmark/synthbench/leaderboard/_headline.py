"""The opening notes of a report: comparisons that can't show anything, and the gain from more real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from synthbench.leaderboard._columns import title
from synthbench.leaderboard._formatting import first_words, listed, records, recovered, short, signed
from synthbench.leaderboard._run_columns import BORDER
from synthbench.results import AS_PUBLISHED, SCRATCH, trained_and_tested

__all__ = ["NOTHING", "SMOKE", "found_nothing", "opening_notes", "place"]

NOTHING = 0.05
"""F-score at the lowest threshold (semantic: Dice of the foreground) below which almost nothing is found."""

SMOKE = (
    "The smoke budget only shows that a study runs from start to end: its trainings are too short to find objects. "
    "Choose a larger --budget, or --steps, for scores that mean something."
)


def opening_notes(table: pd.DataFrame) -> list[str]:
    """Return the sentences that come before the tables, from `synthbench.leaderboard.table`."""
    lines = [SMOKE] if table.attrs.get("smoke") else []
    if BORDER in table:
        lines.append("Objects at the image border, true and predicted, are left out of all scores.")
    most = table.groupby(["dataset", "tested_on", "segmenter"])["fraction"].transform("max")
    has_arms = (table["generator"] != "").groupby([table["dataset"], table["segmenter"]]).transform("any")
    for _, part in table.groupby(["dataset", "tested_on", "fraction", "segmenter"], sort=False):
        rows = records(part)
        lines += _nothing_found(rows)
        if len(rows) > 1 or not has_arms[part.index[0]]:  # else an amount that only extends the learning curve
            lines += _headroom(rows, int(most[part.index[0]]))
    measured = [*table.attrs.get("sensitivity", ()), *table.attrs.get("convergence", ())]
    return [*lines, *_no_control(table), *_one_generator_seed(table), *measured]


def found_nothing(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the baseline of a block finds almost nothing on real test images."""
    return any(row["verdict"] == "baseline" and _level(row) < NOTHING for row in rows)


def _level(row: Mapping[str, Any]) -> float:
    scores = [name for name in row if name.startswith("f1@0.")]
    value = row.get("dice") if row["task"] == "semantic" else row[min(scores)]
    return float("nan") if value is None else float(value)


def _nothing_found(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row["verdict"] != "baseline":
            continue
        score = float(row[row["metric"]])
        if _level(row) < NOTHING and row["segmenter"].endswith(AS_PUBLISHED):
            yield f"{place(row)}: the published weights find almost nothing in these images ({_score(row)})."
        elif _level(row) < NOTHING:
            yield (
                f"{place(row)}: {_score(row)} from training on real images alone is too low for a meaningful "
                "comparison; train longer, with more --steps or a larger --budget."
            )
        elif score < NOTHING:
            yield (
                f"{place(row)}: almost nothing is found at this threshold ({_score(row)}), so differences are not "
                "meaningful; use a lower --iou."
            )


def _score(row: Mapping[str, Any]) -> str:
    return f"{title(row['metric'])} {row[row['metric']]:.3f}"


def _headroom(rows: Sequence[Mapping[str, Any]], most: int) -> Iterator[str]:
    """Describe the gain from the largest amount of real images."""
    first = rows[0]
    untrained = len(rows) == 1 and first.get("init", SCRATCH) != SCRATCH and first["headroom"] == 0
    if found_nothing(rows) or untrained:
        return
    if pd.isna(first["headroom"]):
        if first["fraction"] < most:
            yield (
                f"{place(first)}: the gain from more real images is unknown, because no training on real images alone "
                "can "
                f"be paired with one on {most}."
            )
        return
    low, high = first["headroom_low"], first["headroom_high"]
    interval = "(interval unknown)" if pd.isna(low) else f"[{signed(low)}, {signed(high)}]"
    once = ", one seed" if first["headroom_seeds"] == 1 and first["folds"] == 1 else ""
    start = (
        f"{place(first)}: {first['headroom_images']:.0f} real images instead of {first['fraction']} change "
        f"{title(first['metric'])} by {signed(first['headroom'])} {interval}{once}"
    )
    if pd.isna(low):
        yield f"{start}."
    elif once:
        yield f"{start}: without repeated training nothing can be decided, and recovered shares aren't given."
    elif high < 0:
        yield f"{start}: more real images hurt here; fix the training first, synthetic images can't show anything."
    elif low <= 0:
        helped = any(str(row["verdict"]).startswith("better") for row in rows)
        consequence = "no benefit of synthetic images could be detected here"
        if helped:
            consequence = "the improvement seen isn't the one that more real images give"
        yield f"{start}, not significantly above zero: {consequence}."
    else:
        changed = [row for row in rows if first_words(str(row["verdict"])) != "nothing changed"]
        shares = [row for row in changed if not pd.isna(row["recovered"])]
        parts = [f"{short(row['arm'])} {'' if i else 'recovers '}{recovered(row)}" for i, row in enumerate(shares)]
        yield f"{start}; of that, {', '.join(parts)}." if parts else f"{start}."


def _no_control(table: pd.DataFrame) -> Iterator[str]:
    """Name the datasets with only one amount of real images, which lack a positive control."""
    compared = table.loc[table["generator"] != "", "dataset"]
    amounts = table[table["dataset"].isin(compared)].groupby("dataset", sort=False)["fraction"].nunique()
    names = [str(name) for name, count in amounts.items() if count == 1]
    if names:
        yield (
            f"No larger amount of real images of {listed(names)} serves as a positive control: the possible gain is "
            "unknown."
        )


def _one_generator_seed(table: pd.DataFrame) -> Iterator[str]:
    trained = table[(table["generator_steps"] > 0) & (table["generator_seeds"] == 1)]
    names = list(dict.fromkeys(trained["generator"]))
    if names:
        which = "these trained generators" if len(names) > 1 else "this one trained generator"
        yield (
            f"One generator seed: the results for {listed(names)} describe {which}; another training could give others."
        )


def place(row: Mapping[str, Any]) -> str:
    """Return ``"unet on nuclei with 45 real images"``."""
    where = trained_and_tested(row["dataset"], row["tested_on"])
    return f"{row['segmenter']} on {where} with {row['fraction']} real images"
