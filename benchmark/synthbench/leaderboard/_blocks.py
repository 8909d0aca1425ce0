"""The comparison blocks of a study: one dataset, test set, amount of real data and segmenter each, over all folds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from synthbench.errors import DataError
from synthbench.results import ENTRY, MOST_SEEDS, WHOLE_IMAGE, trained_and_tested, with_tested_on
from synthbench.results.checking import check_sums
from synthbench.statistics.image_counts import BLOCK, seed_text

if TYPE_CHECKING:
    from synthbench.results import Results

__all__ = ["ComparisonBlock", "blocks", "fidelity_of", "label_consistency_of"]

_NEEDED = [*BLOCK, "fold", "arm", "generator", "synthetic", "generator_seed", "seed", "status"]


@dataclass(frozen=True, eq=False)
class ComparisonBlock:
    """What is compared with each other, and nothing else.

    Attributes
    ----------
    dataset, tested_on, fraction, segmenter
        `tested_on` is the dataset of the test images. `fraction` is the number of real training images; that of the
        first fold, where folds differ by an image.
    task : str
        ``"instances"`` or ``"semantic"``.
    runs : DataFrame
        All planned trainings, done or not.
    images : DataFrame
        The scored images of those that are done; no rows when none is.
    iou : float or "mean"
        The IoU threshold that the differences of the study refer to.
    margin : float or None
        The difference of practical size, of a study that gives seeds to arms until they are decided; else None.
    """

    dataset: str
    tested_on: str
    fraction: int
    segmenter: str
    task: str
    runs: pd.DataFrame
    images: pd.DataFrame
    iou: float | str = 0.5
    margin: float | None = None

    @cached_property
    def most_seeds(self) -> int:
        """The largest number of segmenter seeds that an arm can be given; 0 where the study's number is fixed."""
        return int(pd.to_numeric(self.runs[MOST_SEEDS]).max()) if MOST_SEEDS in self.runs else 0

    @property
    def is_joined(self) -> bool:
        """Whether the trainings come from several results, each of which has ended."""
        return ENTRY in self.runs

    @property
    def arms(self) -> list[str]:
        """The arms in the study's order."""
        return list(dict.fromkeys(self.runs["arm"]))

    @property
    def title(self) -> str:
        """``"unet on phantom-nuclei, 45 real images"``."""
        return f"{self.segmenter} on {trained_and_tested(self.dataset, self.tested_on)}, {self.fraction} real images"

    def has_scores(self, arm: str) -> bool:
        """Whether a training of this arm is done and scored."""
        return not self.images.empty and bool((self.images["arm"] == arm).any())

    def at_all_amounts(self, others: Iterable[ComparisonBlock]) -> list[ComparisonBlock]:
        """Return those of a study's blocks that have the dataset, the test set and the segmenter of this one."""
        own = (self.dataset, self.tested_on, self.segmenter)
        return [each for each in others if (each.dataset, each.tested_on, each.segmenter) == own]


def blocks(results: Results) -> Iterator[ComparisonBlock]:
    """Yield the comparison blocks of a study, in its order; those that are tested on another dataset come last.

    Raises
    ------
    DataError
        If a table lacks a column, counts contradict each other, or there is no planned training.
    """
    runs = with_tested_on(results.runs)
    lacking = [name for name in _NEEDED if name not in runs]
    if lacking:
        raise DataError(f"results/runs.csv: no column {lacking[0]!r}; run the study again")
    runs = _clean(runs)
    if runs.empty:
        raise DataError("results/runs.csv: no training was planned; there is nothing to show")
    images = _clean(results.images) if len(results.images) else results.images
    if not images.empty:
        check_sums(images, lambda row: f"results.images, row {row}", "load the results anew")
    if runs.groupby("dataset")["fold"].nunique().max() > 1:
        names = _common_names(runs)
        runs = _rename(runs, names)
        images = _rename(images, names) if len(images) else images
    parts = sorted(runs.groupby(BLOCK, sort=False), key=lambda part: part[0][0] != part[0][1])
    for key, rows in parts:
        dataset, tested_on, fraction, segmenter = key
        scored = images
        if len(images):
            scored = images[(images[BLOCK] == list(key)).all(axis=1)]
        task = _task(scored if len(scored) else images)
        scored = scored.drop(columns=[c for c in _other(task) if c in scored])
        yield ComparisonBlock(
            str(dataset),
            str(tested_on),
            int(str(fraction)),
            str(segmenter),
            task,
            rows.reset_index(drop=True),
            scored,
            results.study.iou,
            results.study.decide,
        )


def fidelity_of(results: Results, block: ComparisonBlock) -> pd.DataFrame:
    """Return the fidelity rows of a block's dataset and amount of real data; none out of domain."""
    return _of_generators(results.fidelity, block)


def label_consistency_of(results: Results, block: ComparisonBlock) -> pd.DataFrame:
    """Return the label-consistency rows of a block's dataset, amount of real data and segmenter."""
    table = results.label_consistency
    if table.empty or block.tested_on != block.dataset:
        return table[:0]
    rows = _of_generators(table[table["segmenter"] == block.segmenter], block)
    rows = rows.drop(columns=[c for c in _other(block.task) if c in rows])
    return rows.assign(fraction=block.fraction, generator_seed=seed_text(rows["generator_seed"]))


def _of_generators(table: pd.DataFrame, block: ComparisonBlock) -> pd.DataFrame:
    """Return the rows nearest in amount of real data: folds may differ by an image."""
    if table.empty or block.tested_on != block.dataset:
        return table[:0]
    near = (table["fraction"] - block.fraction).abs()
    nearest = near.groupby([table["dataset"], table["fold"], table["generator"]]).transform("min")
    here = (
        (table["dataset"] == block.dataset) & (near == nearest) & table["generator"].isin(set(block.runs["generator"]))
    )
    return table[here]


def _clean(table: pd.DataFrame) -> pd.DataFrame:
    out = with_tested_on(table.copy())
    for name in ("dataset", "tested_on", "arm", "generator", "segmenter", "status", "error"):
        if name in out and (out[name].isna().any() or not pd.api.types.is_string_dtype(out[name])):
            out[name] = out[name].fillna("").astype(str)
    out["generator_seed"] = seed_text(out["generator_seed"])
    return out


def _task(images: pd.DataFrame) -> str:
    semantic = "class" in images and ("iou" not in images or images["iou"].isna().all())
    return "semantic" if semantic else "instances"


def _other(task: str) -> tuple[str, ...]:
    return ("iou", "true", "predicted", "difficulty", *WHOLE_IMAGE) if task == "semantic" else ("class", "cldice")


def _common_names(runs: pd.DataFrame) -> pd.DataFrame:
    """Give what is the same arm in all folds one name: folds may differ by an image, and so may amounts.

    The k-th smallest amount of real data of one fold is that of another, and so with synthetic samples.
    """
    keys = ["dataset", "fold", "fraction", "arm", "synthetic"]
    names = runs[keys].drop_duplicates()
    by_fold = names.groupby(["dataset", "fold"])
    names = names.assign(level=by_fold["fraction"].rank("dense"), stem=names["arm"].map(_stem))
    names["step"] = names.groupby(["dataset", "fold", "fraction", "stem"])["synthetic"].rank("dense")
    same = ["dataset", "level", "stem", "step"]
    names["new_arm"] = names.groupby(same)["arm"].transform("first")
    names["new_synthetic"] = names.groupby(same)["synthetic"].transform("first")
    names["new_fraction"] = names.groupby(["dataset", "level"])["fraction"].transform("first")
    return names[[*keys[:-1], "new_arm", "new_synthetic", "new_fraction"]]


def _stem(arm: str) -> str:
    return re.sub(r" × \d+", "", arm)


def _rename(table: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    merged = table.merge(names, on=["dataset", "fold", "fraction", "arm"], how="left", validate="many_to_one")
    for name in ("arm", "synthetic", "fraction"):
        merged[name] = merged.pop(f"new_{name}").where(lambda new: new.notna(), merged[name])
    return merged[table.columns]
