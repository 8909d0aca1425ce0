"""What a table shows, in sentences: the headline, the details and the size of the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from synthbench.leaderboard._columns import title
from synthbench.leaderboard._formatting import MISSING, delta, first_words, listed, number, records, short
from synthbench.leaderboard._headline import found_nothing, place
from synthbench.leaderboard._verdicts import ONE_SEED
from synthbench.results import UNIT, trained_and_tested

__all__ = [
    "COPYING",
    "NEGATIVE_CONTROL",
    "REPEATED",
    "counted",
    "design",
    "details",
    "headline",
    "rows_by_block",
    "with_differences",
]

NEGATIVE_CONTROL = "shuffled"
REPEATED = "duplicate"
_FEW = 3

COPYING = (REPEATED, NEGATIVE_CONTROL, "classic")
"""Controls that consist of training images by design."""


def headline(table: pd.DataFrame) -> str:
    """Return one sentence: which arms improved which segmenter, or that none did."""
    boards = list(rows_by_block(table))
    compared = [rows for rows in boards if with_differences(rows)]
    if (table["generator"] == "").all():
        return _real_images_alone(table)
    if not compared:
        return "Nothing could be compared: no arm other than real images alone has scores."
    if len(boards) <= 3:
        same = len({(rows[0]["dataset"], rows[0]["tested_on"], rows[0]["fraction"]) for rows in compared}) == 1
        if same:
            outcomes = sorted((_outcome(rows) for rows in compared), key=lambda text: text.startswith("no "))
            return f"On {_where(compared[0][0])}, {'; '.join(outcomes)}."
        amounts_by_outcome: dict[tuple[str, str], list[str]] = {}
        for rows in compared:
            amounts_by_outcome.setdefault((_where(rows[0]), _outcome(rows)), []).append(str(rows[0]["fraction"]))
        sentences = [
            f"on {where} with {listed(amounts)} real images, {outcome}"
            for (where, outcome), amounts in amounts_by_outcome.items()
        ]
        return _upper("; ".join(sentences)) + "."
    counts = [_count(rows) for rows in compared]
    better, worse, open_ = (sum(c[i] for c in counts) for i in range(3))
    return (
        f"Compared with real images alone, synthetic data helped in {better} of {better + worse + open_} comparisons, "
        f"hurt in {worse}, and made no significant difference in {open_}."
    )


def _real_images_alone(table: pd.DataFrame) -> str:
    """Return the scores of a study without synthetic images, in one sentence; of many, the lowest and the highest."""
    scored = [row for row in records(table) if not pd.isna(row[row["metric"]])]
    if not scored:
        return "No training on real images alone has scores."
    if len(scored) > _FEW:
        low, high = (choose(scored, key=lambda row: row[row["metric"]]) for choose in (min, max))
        return f"Without synthetic images, scores reach from {_score(low)} to {_score(high)}."
    return f"Without synthetic images: {'; '.join(map(_score, scored))}."


def _score(row: Mapping[str, Any]) -> str:
    return f"{title(row['metric'])} {number(row[row['metric']])} ({place(row)})"


def details(table: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return, for each block, what is compared and the difference of every arm with its interval."""
    lines = []
    for rows in rows_by_block(table):
        parts = [_detail(r) for r in with_differences(rows)]
        parts += [f"{short(r['arm'])} {MISSING}" for r in rows if r["status"] == MISSING]
        if parts:
            lines.append((f"{place(rows[0])}, difference in {title(rows[0]['metric'])}", parts))
    return lines


def _detail(row: Mapping[str, Any]) -> str:
    value, verdict = delta(row), str(row["verdict"])
    return f"{short(row['arm'])} {value}" if verdict.startswith(value) else f"{short(row['arm'])} {value} ({verdict})"


def design(table: pd.DataFrame, images: Sequence[pd.DataFrame]) -> str:
    """Return one sentence on the size of the comparison."""
    arms, segmenters = table["arm"].nunique(), table["segmenter"].nunique()
    numbers = [str(number) for number in sorted(set(table["fraction"]))]
    real = " or ".join(part for part in (", ".join(numbers[:-1]), numbers[-1]) if part)
    tested = max((frame["image"].nunique() for frame in images if len(frame)), default=0)
    groups = max((frame[UNIT].nunique() for frame in images if UNIT in frame), default=0)
    own = table[table["tested_on"] == table["dataset"]]
    joined = f" from {counted(groups, 'group')}" if groups else ""
    synthetic = ", with and without synthetic ones" if (table["generator"] != "").any() else ""
    return (
        f"{counted(arms, 'arm')}, {counted(segmenters, 'segmenter')}, {int(own['runs_planned'].sum())} trainings on "
        f"{real} real images{synthetic}, all with the same number of steps; tested on {tested} other images{joined}."
    )


def rows_by_block(table: pd.DataFrame) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each block: one dataset, test set, amount of real images and segmenter."""
    for _, part in table.groupby(["dataset", "tested_on", "fraction", "segmenter"], sort=False):
        yield records(part)


def _where(row: Mapping[str, Any]) -> str:
    return trained_and_tested(row["dataset"], row["tested_on"])


def with_differences(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows that have a difference to the arm without synthetic images."""
    return [r for r in rows if not pd.isna(r["delta"])]


def _count(rows: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Return how many arms are better, worse, and neither: undecided, or decided to differ by too little to matter."""
    words = [first_words(r["verdict"]) for r in with_differences(rows)]
    better, worse = words.count("better"), words.count("worse")
    return better, worse, len(words) - better - worse


def _outcome(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return which arms helped and which hurt; the negative control is expected to hurt."""
    segmenter = rows[0]["segmenter"]
    if found_nothing(rows):
        return f"trained on real images alone, {segmenter} detected almost nothing on test images"
    if all(r["verdict"] == ONE_SEED for r in with_differences(rows)):
        return f"one seed of {segmenter} can't decide anything"
    compared = with_differences(rows)
    helped = [r for r in compared if first_words(r["verdict"]) == "better"]
    hurt = [r for r in compared if r["verdict"].startswith("worse") and r["generator"] != NEGATIVE_CONTROL]
    better, worse = ([_name(r, rows) for r in named] for named in (helped, hurt))
    first = f"{listed(better)} improved {segmenter}" if better else f"{_nothing(rows)} measurably improved {segmenter}"
    lost = [_name(r, rows) for r in rows if r["status"] == MISSING]
    first += f", and {listed(worse)} hurt it" if worse else ""
    return f"{first} ({listed(lost)} {MISSING})" if lost else first


def _nothing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return ``"no generator"``, or ``"no control"`` where a block has only controls."""
    return "no control" if all(row["generator"] in ("", *COPYING) for row in rows) else "no generator"


def _name(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    alone = sum(r["generator"] == row["generator"] for r in rows) == 1
    return str(row["generator"] if alone else short(row["arm"]))


def counted(count: int, noun: str) -> str:
    """Return ``"1 arm"``, ``"2 arms"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _upper(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
