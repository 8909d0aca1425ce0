"""What limits the conclusions from a table: failures, few seeds or images, controls with unexpected results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from synthbench.leaderboard._formatting import delta, records, short
from synthbench.leaderboard._headline import found_nothing, place
from synthbench.leaderboard._mixed_conditions import mixtures
from synthbench.leaderboard._narrative import (
    COPYING,
    NEGATIVE_CONTROL,
    REPEATED,
    counted,
    rows_by_block,
    with_differences,
)
from synthbench.leaderboard._verdicts import ONE_SEED
from synthbench.results import NOT_DECLARED, NOT_SEEN, ORIGIN_NOT_DECLARED, copies_note, trained_and_tested
from synthbench.statistics import PRIOR

__all__ = ["FEW_GROUPS", "FEW_IMAGES", "FEW_SEEDS", "MIN_C_T", "RESIZED", "caveats"]

FEW_SEEDS = 3
FEW_IMAGES = 20
FEW_GROUPS = 10
RESIZED = 2
"""Ratio of areas from which feature distances depend on the magnification, since encoders resize images."""

MIN_C_T = -3
"""C_T below which synthetic images are nearer to the training images than by chance."""


def caveats(table: pd.DataFrame) -> list[str]:
    """Return what limits the conclusions: failures, few seeds or images, controls with unexpected results."""
    lines = list(_missing(table))
    lines.extend(_few_seeds(table))
    lines.extend(_few_images(table))
    lines.extend(_unmodelled_groups(table))
    for rows in rows_by_block(table):
        lines.extend(
            _insignificant_control(row)
            for row in with_differences(rows)
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
    lines.extend(_scaled(table))
    lines.extend(_weights(table))
    lines.extend(_seen(table))
    lines.extend(_copies(table))
    lines.extend(_fidelity(table))
    lines.extend(mixtures(table))
    if "unscored" in table and table["unscored"].fillna(False).astype(bool).any():
        lines.append(
            "COCO AP with an asterisk includes objects without a confidence; don't compare it with the others."
        )
    return lines


def _missing(table: pd.DataFrame) -> Iterator[str]:
    own = table["tested_on"] == table["dataset"]
    for rows, what in ((table[own], "trainings"), (table[~own], "tests on other datasets")):
        planned, done = int(rows["runs_planned"].sum()), int(rows["runs_ok"].sum())
        if done < planned:
            yield f"{planned - done} of {planned} {what} are missing; means and differences are over the others."


def _scaled(table: pd.DataFrame) -> Iterator[str]:
    """Say by how much images were scaled before anything saw them: at another scale, scores differ."""
    if "scale" not in table:
        return
    for row in records(table[table["scale"] != 1].drop_duplicates("dataset")):
        before, factor = row["object_diameter"], row["scale"]
        yield (
            f"Images of {row['dataset']} were scaled by {factor:.3g}, so that the median diameter of objects in "
            f"training images is {before * factor:.0f} px in place of {before:.0f} px; scores are at the original size."
        )


def _weights(table: pd.DataFrame) -> Iterator[str]:
    """Warn of weights that have seen the dataset of the test images, or may have."""
    if "weights_seen" not in table:
        return
    for row in records(table.drop_duplicates(["dataset", "tested_on", "segmenter"])):
        where = trained_and_tested(row["dataset"], row["tested_on"])
        seen, what = row["weights_seen"], f"{row['segmenter']} on {where}"
        if seen == NOT_DECLARED:
            yield (
                f"{what}: nobody says what the weights it starts from were trained on; if they have seen these test "
                "images, its scores are too high."
            )
        elif seen == ORIGIN_NOT_DECLARED:
            yield (
                f"{what}: nobody says which published datasets these test images come from; if the weights it starts "
                "from have seen them, its scores are too high. Declare it with derived_from in the study."
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


def _copies(table: pd.DataFrame) -> Iterator[str]:
    """Warn of ready-made images that are copies of test or validation images, or nearly."""
    own = table[table["tested_on"] == table["dataset"]]
    for part, name, rows in (("test", "test_copies", table), ("validation", "validation_copies", own)):
        if name in table:
            for row in records(rows[rows[name] > 0].drop_duplicates(["dataset", "tested_on", "generator"])):
                where = trained_and_tested(row["dataset"], row["tested_on"])
                yield f"{copies_note(row['generator'], where, int(row[name]), part)}."


def _few_seeds(table: pd.DataFrame) -> Iterator[str]:
    once = table["verdict"] == ONE_SEED
    if once.any():
        yield (
            "With one seed nothing can be decided: repeated training could give another difference. The intervals "
            f"assume a standard deviation of {PRIOR.training:.3f} between trainings."
        )
    if "decision" in table:
        yield from _decided(table)
        return
    seeds = table.loc[~once, "delta_seeds"].dropna()
    if len(seeds) and 1 < seeds.min() < FEW_SEEDS:
        yield (f"With {seeds.min():.0f} seeds, the variance between trainings is poorly known, so intervals are wide.")


def _decided(table: pd.DataFrame) -> Iterator[str]:
    """Say which arms of a study that decides are open, and which figures are those of a fixed number of seeds."""
    rows = [row for row in records(table) if row["decision"]]
    decided = sum(row["decision"].startswith("decided") for row in rows)
    yield (
        f"Arms were given seeds until they were decided: {decided} of {len(rows)} are. Their intervals, p-values and "
        "ranks hold whenever an arm was stopped; intervals of headroom, equivalent real images and label consistency "
        "are those of a fixed number of seeds."
    )
    for row in rows:
        if not row["decision"].startswith("decided"):
            yield f"{place(row)}, {short(row['arm'])}: {row['decision']}."


def _few_images(table: pd.DataFrame) -> Iterator[str]:
    known = table.dropna(subset=["delta_units"])
    joined = known["delta_units"] < known["delta_images"]
    for rows, least, noun, of in (
        (known[~joined], FEW_IMAGES, "test image", ""),
        (known[joined], FEW_GROUPS, "group", " of test images"),
    ):
        if len(rows) and rows["delta_units"].min() < least:
            few = counted(int(rows["delta_units"].min()), noun) + of
            yield f"With {few}, differences are uncertain: other images could give other results."


def _unmodelled_groups(table: pd.DataFrame) -> Iterator[str]:
    """Warn that test images share groups that the split doesn't keep together: intervals may be far too narrow."""
    for dataset, groups in table[["tested_on", "unmodelled_groups"]].drop_duplicates().itertuples(index=False):
        if groups:
            yield (
                f"Test images of {dataset} share groups ({groups}) but are treated as independent. If images of one "
                "group depend on each other (same well, same patient), intervals are too narrow, and training images "
                f"may belong to the same groups: set “split: {{group: {groups.partition(':')[0]}}}”, with "
                "“scheme: kfold” if the dataset's own split divides groups."
            )


def _no_better_than_repeats(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    controls = [r for r in with_differences(rows) if r["generator"] == REPEATED]
    if not controls:
        return
    control = max(controls, key=lambda r: r["delta"])
    helped = [r for r in with_differences(rows) if r["generator"] != REPEATED and r["verdict"].startswith("better")]
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
                "trainings make the same predictions as those on real images alone."
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
                "this difference."
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
