"""What a table shows, in sentences: the headline, the details and the caveats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from synthbench.leaderboard._columns import title
from synthbench.leaderboard._formatting import MISSING, delta, listed, records, short
from synthbench.leaderboard._headline import found_nothing, place
from synthbench.leaderboard._mixed_conditions import mixtures
from synthbench.leaderboard._verdicts import ONE_SEED
from synthbench.results import NOT_DECLARED, NOT_SEEN, UNIT
from synthbench.statistics import PRIOR

__all__ = [
    "COPYING",
    "FEW_GROUPS",
    "FEW_IMAGES",
    "FEW_SEEDS",
    "MIN_C_T",
    "NEGATIVE_CONTROL",
    "REPEATED",
    "RESIZED",
    "caveats",
    "design",
    "details",
    "headline",
]

NEGATIVE_CONTROL = "shuffled"
REPEATED = "duplicate"
COPYING = (REPEATED, NEGATIVE_CONTROL, "classic")
"""Controls that consist of training images by design."""
FEW_SEEDS = 3
FEW_IMAGES = 20
FEW_GROUPS = 10
RESIZED = 2
"""Ratio of areas from which feature distances depend on the magnification, since encoders resize images."""

MIN_C_T = -3
"""C_T below which synthetic images are nearer to the training images than by chance."""


def headline(table: pd.DataFrame) -> str:
    """Return one sentence: which arms improved which segmenter, or that none did."""
    boards = list(_blocks(table))
    compared = [rows for _, rows in boards if _deltas(rows)]
    if not compared:
        return "Nothing could be compared: no arm other than real images alone has scores."
    if len(boards) <= 3:
        same = len({(rows[0]["dataset"], rows[0]["fraction"]) for rows in compared}) == 1
        if same:
            outcomes = sorted((_outcome(rows) for rows in compared), key=lambda text: text.startswith("no "))
            return f"On {compared[0][0]['dataset']}, {'; '.join(outcomes)}."
        amounts_by_outcome: dict[tuple[str, str], list[str]] = {}
        for rows in compared:
            amounts_by_outcome.setdefault((rows[0]["dataset"], _outcome(rows)), []).append(str(rows[0]["fraction"]))
        sentences = [
            f"on {dataset} with {listed(amounts)} real images, {outcome}"
            for (dataset, outcome), amounts in amounts_by_outcome.items()
        ]
        return _upper("; ".join(sentences)) + "."
    counts = [_count(rows) for rows in compared]
    better, worse, open_ = (sum(c[i] for c in counts) for i in range(3))
    return (
        f"Compared with real images alone, synthetic data helped in {better} of {better + worse + open_} comparisons, "
        f"hurt in {worse}, and made no significant difference in {open_}."
    )


def details(table: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return, for each block, what is compared and the difference of every arm with its interval."""
    lines = []
    for _, rows in _blocks(table):
        parts = [_detail(r) for r in _deltas(rows)]
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
    real = " or ".join(str(n) for n in dict.fromkeys(table["fraction"]))
    tested = max((frame["image"].nunique() for frame in images if len(frame)), default=0)
    groups = max((frame[UNIT].nunique() for frame in images if UNIT in frame), default=0)
    joined = f" from {_many(groups, 'group')}" if groups else ""
    return (
        f"{_many(arms, 'arm')}, {_many(segmenters, 'segmenter')}, {int(table['runs_planned'].sum())} trainings on "
        f"{real} "
        f"real images, with and without synthetic ones, all with the same number of steps; tested on {tested} other "
        f"images{joined}."
    )


def caveats(table: pd.DataFrame) -> list[str]:
    """Return what limits the conclusions: failures, few seeds or images, controls with unexpected results."""
    lines = []
    planned, done = int(table["runs_planned"].sum()), int(table["runs_ok"].sum())
    if done < planned:
        lines.append(f"{planned - done} of {planned} trainings are missing; means and differences are over the others.")
    lines.extend(_few_seeds(table))
    lines.extend(_few_images(table))
    lines.extend(_unmodelled_groups(table))
    for _, rows in _blocks(table):
        lines.extend(
            _insignificant_control(row)
            for row in _deltas(rows)
            if row["generator"] == NEGATIVE_CONTROL and not row["verdict"].startswith("worse")
        )
        lines.extend(
            f"{place(row)}: trainings of {short(row['arm'])} vary more than those of the other arms, so its interval "
            "uses only their own variance and is wider."
            for row in rows
            if row["delta_own_variance"]
        )
        lines.extend(_no_better_than_repeats(rows))
        lines.extend(_unchanged(rows))
    lines.extend(_weights(table))
    lines.extend(_seen(table))
    lines.extend(_fidelity(table))
    lines.extend(mixtures(table))
    if "unscored" in table and table["unscored"].fillna(False).astype(bool).any():
        lines.append(
            "COCO AP with an asterisk includes objects without a confidence; don't compare it with the others."
        )
    return lines


def _weights(table: pd.DataFrame) -> Iterator[str]:
    """Warn of weights that have seen the dataset of the test images, or may have."""
    if "weights_seen" not in table:
        return
    for row in records(table.drop_duplicates(["dataset", "segmenter"])):
        seen, what = row["weights_seen"], f"{row['segmenter']} on {row['dataset']}"
        if seen == NOT_DECLARED:
            yield (
                f"{what}: nobody says what the weights it starts from were trained on; if they have seen these test "
                "images, its scores are too high."
            )
        elif seen not in ("", NOT_SEEN):
            yield (
                f"{what}: the weights it starts from were trained on {seen}, which these test images belong to: its "
                "scores are no fair test, and can't be compared with those from scratch."
            )


def _seen(table: pd.DataFrame) -> Iterator[str]:
    """Warn of ready-made images whose maker has seen more real images than the arms, or doesn't say."""
    if "generator_seen" not in table:
        return
    for row in records(table.drop_duplicates(["dataset", "fraction", "generator"])):
        source = f"{row['generator']} ({row['dataset']}, {row['fraction']} real images)"
        if row["generator_seen"] == NOT_DECLARED:
            yield f"{source}: training images not declared; if it was made with test images, its scores are too high."
        elif row["generator_seen"] not in ("", NOT_SEEN):
            yield (
                f"{source} was made with {row['generator_seen']} real images more than the arm real has, so a gain may "
                "come from these."
            )


def _few_seeds(table: pd.DataFrame) -> Iterator[str]:
    once = table["verdict"] == ONE_SEED
    if once.any():
        yield (
            "With one seed nothing can be decided: repeated training could give another difference. The intervals "
            f"assume a standard deviation of {PRIOR.training:.3f} between trainings."
        )
    seeds = table.loc[~once, "delta_seeds"].dropna()
    if len(seeds) and 1 < seeds.min() < FEW_SEEDS:
        yield (f"With {seeds.min():.0f} seeds, the variance between trainings is poorly known, so intervals are wide.")


def _few_images(table: pd.DataFrame) -> Iterator[str]:
    known = table.dropna(subset=["delta_units"])
    joined = known["delta_units"] < known["delta_images"]
    for rows, least, noun, of in (
        (known[~joined], FEW_IMAGES, "test image", ""),
        (known[joined], FEW_GROUPS, "group", " of test images"),
    ):
        if len(rows) and rows["delta_units"].min() < least:
            few = _many(int(rows["delta_units"].min()), noun) + of
            yield f"With {few}, differences are uncertain: other images could give other results."


def _unmodelled_groups(table: pd.DataFrame) -> Iterator[str]:
    """Warn that test images share groups that the split doesn't keep together: intervals may be far too narrow."""
    for dataset, groups in table[["dataset", "unmodelled_groups"]].drop_duplicates().itertuples(index=False):
        if groups:
            yield (
                f"Test images of {dataset} share groups ({groups}) but are treated as independent. If images of one "
                "group depend on each other (same well, same patient), intervals are too narrow, and training images "
                "may "
                f"belong to the same groups: set “split: {{group: {groups.partition(':')[0]}}}”, with “scheme: kfold” "
                "if the dataset's own split divides groups."
            )


def _no_better_than_repeats(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    controls = [r for r in _deltas(rows) if r["generator"] == REPEATED]
    if not controls:
        return
    control = max(controls, key=lambda r: r["delta"])
    helped = [r for r in _deltas(rows) if r["generator"] != REPEATED and r["verdict"].startswith("better")]
    for row in helped:
        if row["rank_high"] >= control["rank_low"]:
            yield (
                f"{place(row)}: {short(row['arm'])} can't be distinguished from repeating the real images "
                f"({short(control['arm'])}), so its gain may not come from new content."
            )


def _unchanged(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Name the arms whose trainings make the same predictions as the baseline's on every test image."""
    if found_nothing(rows):
        return
    for row in rows:
        same, pairs = row["unchanged"], row["delta_pairs"]
        if same > 0:
            every = "All" if same >= pairs else f"{same:.0f} of {pairs:.0f}"
            yield (
                f"{place(row)}, {short(row['arm'])}: nothing changed: were the synthetic images used? {every} "
                "trainings "
                "make the same predictions as those on real images alone."
            )


def _fidelity(table: pd.DataFrame) -> Iterator[str]:
    if "fidelity_sets" not in table:
        return
    for row in records(table.drop_duplicates(["dataset", "fraction", "generator"])):
        source = f"{row['generator']} ({row['dataset']}, {row['fraction']} real images)"
        of = f"of {row['synthetic_images']:.0f} synthetic images of {source}"
        if row["test_duplicates"] > 0:
            yield f"{row['test_duplicates']:.0f} {of} duplicate test images: its scores are invalid."
        known = row["generator"] in COPYING
        if row["train_duplicates"] > 0 and not known:
            yield f"{row['train_duplicates']:.0f} {of} duplicate training images{_by_mask(row)}."
        if row["c_t"] < MIN_C_T and not known and not row["train_duplicates"] > 0:
            yield f"The images of {source} are nearer to training images than by chance (C_T {row['c_t']:.1f})."
        if row["sets_searched"] < row["fidelity_sets"]:
            yield f"Not all images of {source} could be searched for duplicates: too few real images were held out."
        sizes = row["image_area"], row["test_image_area"]
        if max(sizes) > RESIZED * min(sizes):
            yield (
                f"Images of {source} have {sizes[0]:,.0f} pixels, test images {sizes[1]:,.0f}: its distances include "
                "this "
                "difference."
            )
        done, planned = row["fidelity_sets"], row["fidelity_sets_planned"]
        if done < planned:
            yield f"Distances of {source} are over {done:.0f} of {planned:.0f} synthetic sets."


def _by_mask(row: Mapping[str, Any]) -> str:
    """Return how many duplicates there are by kind of mask; without masks, images may be similar in layout only."""
    kinds = {"new": "with new masks", "training": "with training masks"}
    by_kind = [
        f"{row[f'train_duplicates_{kind}']:.0f} of {row[f'masks_{kind}']:.0f} {what}"
        for kind, what in kinds.items()
        if row.get(f"masks_{kind}", 0) > 0
    ]
    return f": {' and '.join(by_kind)}" if by_kind else ", at least in their layout"


def _blocks(table: pd.DataFrame) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    for key, part in table.groupby(["dataset", "fraction", "segmenter"], sort=False):
        yield key, records(part)


def _insignificant_control(row: Mapping[str, Any]) -> str:
    """Return what a negative control means whose verdict isn't "worse"."""
    wrong_masks = f"{place(row)}: images with wrong masks ({short(row['arm'])})"
    if row["delta_high"] < 0:
        return (
            f"{wrong_masks} hurt, Δ {delta(row)}, but the verdict is {row['verdict']!r}. This comparison may be too "
            "small to detect smaller effects."
        )
    return (
        f"{wrong_masks} should have hurt, but no effect is seen. This comparison may be too small to detect anything."
    )


def _deltas(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [r for r in rows if not pd.isna(r["delta"])]


def _count(rows: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    words = [r["verdict"].partition(",")[0] for r in _deltas(rows)]
    return words.count("better"), words.count("worse"), words.count("undecided")


def _outcome(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return which arms helped and which hurt; the negative control is expected to hurt."""
    segmenter = rows[0]["segmenter"]
    if found_nothing(rows):
        return f"trained on real images alone, {segmenter} detected almost nothing on test images"
    if all(r["verdict"] == ONE_SEED for r in _deltas(rows)):
        return f"one seed of {segmenter} can't decide anything"
    helped = [r for r in _deltas(rows) if r["verdict"] == "better"]
    hurt = [r for r in _deltas(rows) if r["verdict"].startswith("worse") and r["generator"] != NEGATIVE_CONTROL]
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


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _upper(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
