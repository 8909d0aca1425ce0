"""What a report says before any table: what can't show anything, and what more real images bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from synthbench.leaderboard.columns import title
from synthbench.leaderboard.formatting import listed, records, recovered, short, signed

NOTHING = 0.05
"""F-score at the lowest threshold (of classes: Dice of the foreground) below which nothing was found."""


def leads(table: pd.DataFrame) -> list[str]:
    """Return the lines that come before any table of `synthbench.leaderboard.table`, in their order."""
    lines = []
    most = table.groupby(["dataset", "segmenter"])["fraction"].transform("max")
    for _, part in table.groupby(["dataset", "fraction", "segmenter"], sort=False):
        rows = records(part)
        lines += [*_nothing_found(rows), *_headroom(rows, int(most[part.index[0]]))]
    return [*lines, *_no_control(table), *_one_generator_seed(table)]


def found_nothing(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a block's baseline finds next to nothing on real test images."""
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
        if _level(row) < NOTHING:
            yield f"{place(row)}: found nothing on real images: this can show nothing ({_score(row)})."
        elif score < NOTHING:
            yield (
                f"{place(row)}: next to nothing is found at this threshold ({_score(row)}), so that differences there "
                "can show nothing; take a lower --iou."
            )


def _score(row: Mapping[str, Any]) -> str:
    return f"{title(row['metric'])} {row[row['metric']]:.3f}"


def _headroom(rows: Sequence[Mapping[str, Any]], most: int) -> Iterator[str]:
    """Say what the largest amount of real images brings beside this one."""
    first = rows[0]
    if found_nothing(rows):
        return
    if pd.isna(first["headroom"]):
        if first["fraction"] < most:
            yield (
                f"{place(first)}: what more of them bring isn't known, for no training on real images alone can be "
                f"paired with one on {most}."
            )
        return
    low, high = first["headroom_low"], first["headroom_high"]
    interval = "of unknown uncertainty" if pd.isna(low) else f"[{signed(low)}, {signed(high)}]"
    once = ", one seed" if first["headroom_seeds"] == 1 and first["folds"] == 1 else ""
    start = (
        f"{place(first)}: {first['headroom_images']:.0f} real images instead of {first['fraction']} bring "
        f"{signed(first['headroom'])} {interval} in {title(first['metric'])}{once}"
    )
    if pd.isna(low):
        yield f"{start}."
    elif once:
        yield f"{start}: without training again nothing is decided, and no share of it is given."
    elif high < 0:
        yield f"{start}: more real images do harm here, so mend the training first; synthetic ones can show nothing."
    elif low <= 0:
        helped = any(str(row["verdict"]).startswith("better") for row in rows)
        rest = "nothing synthetic could be seen to help here"
        rest = "what improved it isn't what more real images bring" if helped else rest
        yield f"{start}, too little for this study to tell from nothing: {rest}."
    else:
        shares = [row for row in rows if not pd.isna(row["recovered"])]
        parts = [f"{short(row['arm'])} {'' if i else 'recovers '}{recovered(row)}" for i, row in enumerate(shares)]
        yield f"{start}; of that, {', '.join(parts)}." if parts else f"{start}."


def _no_control(table: pd.DataFrame) -> Iterator[str]:
    """Say of which datasets there is one amount of real images, and so no positive control."""
    compared = table[table["generator"] != ""]
    amounts = compared.groupby("dataset", sort=False)["fraction"].nunique()
    names = [str(name) for name, count in amounts.items() if count == 1]
    if names:
        yield (
            f"No larger amount of real images of {listed(names)} as a positive control: what there is to gain "
            "isn't known."
        )


def _one_generator_seed(table: pd.DataFrame) -> Iterator[str]:
    trained = table[(table["generator_steps"] > 0) & (table["generator_seeds"] == 1)]
    names = list(dict.fromkeys(trained["generator"]))
    if names:
        which = "these trained generators" if len(names) > 1 else "that one trained generator"
        told = f"what is said of {listed(names)} is about {which}"
        yield f"One generator seed: {told}. Training again could give another."


def place(row: Mapping[str, Any]) -> str:
    """Return ``"unet on nuclei with 45 real images"``."""
    return f"{row['segmenter']} on {row['dataset']} with {row['fraction']} real images"
