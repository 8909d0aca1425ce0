"""What a planned study will be able to see: per comparison block, its minimum detectable effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from synthbench.results import GROUP, Results, collect, split_groups, unmodelled_groups, with_tested_on, with_units
from synthbench.statistics import PRIOR, Noise, estimate_noise, minimum_detectable_effect
from synthbench.store import Store
from synthbench.study.plan import Plan, TrainingRun

__all__ = ["DetectableEffect", "detectable_effects"]

_AMOUNT = r" × \d+"

Block = tuple[str, str, int, str]
"""Dataset, dataset of the test images, real training images and segmenter of a comparison block."""


@dataclass(frozen=True)
class DetectableEffect:
    """The smallest Δ of one block.

    Attributes
    ----------
    dataset, tested_on, fraction, segmenter
        The comparison block; `fraction` in real training images, `tested_on` the dataset of the test images.
    images, units, pairs, arms : int
        Test images, what of them will be resampled (groups that the split keeps together, or images), pairs of runs per
        arm, arms beside `real`.
    folds, generator_seeds, seeds : int
        What the pairs are made of; of the arm that has fewest.
    difference : float
        Found with probability 0.8; NaN with fewer than two test images or groups; infinite with one seed in one fold.
    noise : Noise
        What it rests on.
    unmodelled_groups : dict of str to int
        Groups that test images share without being resampled together, and how many values each has.
    """

    dataset: str
    tested_on: str
    fraction: int
    segmenter: str
    images: int
    units: int
    pairs: int
    arms: int
    folds: int
    generator_seeds: int
    seeds: int
    difference: float
    noise: Noise
    unmodelled_groups: dict[str, int]


def detectable_effects(plan: Plan, store: Store, earlier: Results | None = None) -> list[DetectableEffect]:
    """Return the smallest detectable Δ of each block of a plan that compares anything.

    The noise is measured on the block's own results, if some are stored; else on those of an earlier run, of the same
    dataset and segmenter and the nearest amount of real data; else assumed.

    Parameters
    ----------
    earlier
        The results of another run, a pilot.
    """
    groups = split_groups(plan.resolved.study)
    stored = collect(plan, store, {}).images
    pilots = stored, None if earlier is None else with_units(earlier.images, groups)
    out = []
    for block, members in _blocks(plan):
        arms = _arms(plan, members)
        if not arms or all(cell.arm != "real" for cell in members):
            continue
        group = groups.get(block[1])
        tested = _tested(plan, members, group)
        images, units = len(tested), tested["unit"].nunique()
        noise = _noise(*pilots, block, plan.resolved.study.iou)
        found = [
            DetectableEffect(
                *block,
                images,
                units,
                folds * generator_seeds * seeds,
                len(arms),
                folds,
                generator_seeds,
                seeds,
                minimum_detectable_effect(noise, units, seeds, len(arms), generator_seeds=generator_seeds, folds=folds),
                noise,
                unmodelled_groups(tested if group else tested.drop(columns="unit")),
            )
            for folds, generator_seeds, seeds in sorted(set(arms))
        ]
        out.append(max(found, key=lambda o: o.difference))
    return out


def _tested(plan: Plan, members: Sequence[TrainingRun], group: str | None) -> pd.DataFrame:
    """Return one row per test image of a block and fold, with its groups, and the unit that it will be resampled in."""
    elsewhere = {each.dataset: each.samples for each in plan.resolved.test_sets}
    tests = {}
    for cell in members:
        condition = plan.resolved.conditions[cell.condition]
        tests[condition.fold] = elsewhere[cell.tested_on] if cell.tested_on else condition.test
    rows = [
        {"fold": fold, "image": entry.id, **{f"{GROUP}{name}": value for name, value in entry.groups.items()}}
        for fold, test in tests.items()
        for entry in test.entries
    ]
    table = pd.DataFrame(rows).drop(columns=f"{GROUP}split", errors="ignore")
    own = table["fold"].astype(str) + " " + table["image"]
    kept = table.get(f"{GROUP}{group}", own)
    return table.assign(unit=kept.where(kept.notna(), own))


def _blocks(plan: Plan) -> Iterator[tuple[Block, list[TrainingRun]]]:
    """Yield each block over all folds, whose amounts of real data may differ by an image; the first one's counts."""
    amounts: dict[tuple[str, int], set[int]] = {}
    for condition in plan.resolved.conditions:
        amounts.setdefault((condition.dataset, condition.fold), set()).add(len(condition.train))
    blocks: dict[Block, list[TrainingRun]] = {}
    for cell in plan.training_runs:
        condition = plan.resolved.conditions[cell.condition]
        level = sorted(amounts[condition.dataset, condition.fold]).index(len(condition.train))
        tested_on = cell.tested_on or condition.dataset
        blocks.setdefault((condition.dataset, tested_on, level, cell.segmenter), []).append(cell)
    for (dataset, tested_on, _, segmenter), members in blocks.items():
        yield (dataset, tested_on, len(plan.resolved.conditions[members[0].condition].train), segmenter), members


def _arms(plan: Plan, members: Sequence[TrainingRun]) -> list[tuple[int, int, int]]:
    """Return folds, generator seeds and segmenter seeds of each arm but `real`; amounts may differ between folds."""
    amounts: dict[tuple[int, str], set[int]] = {}
    for cell in members:
        amounts.setdefault((cell.condition, _stem(cell.arm)), set()).add(cell.synthetic)
    arms: dict[tuple[str, int], list[TrainingRun]] = {}
    for cell in members:
        if cell.arm != "real":
            step = sorted(amounts[cell.condition, _stem(cell.arm)]).index(cell.synthetic)
            arms.setdefault((_stem(cell.arm), step), []).append(cell)
    return [
        (
            len({plan.resolved.conditions[c.condition].fold for c in own}),
            len({c.generator_seed for c in own}),
            len({c.seed for c in own}),
        )
        for own in arms.values()
    ]


def _stem(arm: str) -> str:
    return re.sub(_AMOUNT, "", arm)


def _noise(stored: pd.DataFrame, earlier: pd.DataFrame | None, block: Block, iou: float | str) -> Noise:
    """Return the noise that the nearest results show; those whose arms don't differ from `real` at all show none."""
    nothing = ""
    for table, words in ((stored, "stored"), (earlier, "the earlier run's")):
        for rows in _near(table, block):
            if not (rows["arm"] == "real").any():
                continue
            instances = "iou" in rows and rows["iou"].notna().any()
            found = (
                estimate_noise(rows, iou=iou)
                if instances
                else estimate_noise(rows.drop(columns="iou", errors="ignore"), metric="miou_star")
            )
            if found is not None and not found.is_zero:
                return replace(found, source=f"{words} results, {found.source}")
            if found is not None:
                nothing = f", for in {words} results no arm differs from real, which tells nothing"
    if nothing or earlier is None:
        return replace(PRIOR, source=f"{PRIOR.source}{nothing}")
    dataset, _, _, segmenter = block
    return replace(PRIOR, source=f"{PRIOR.source}, for the earlier run has no {segmenter} on {dataset}")


def _near(table: pd.DataFrame | None, block: Block) -> Iterator[pd.DataFrame]:
    """Yield the rows of each amount of real data over all folds, the nearest first."""
    if table is None or table.empty:
        return
    dataset, tested_on, fraction, segmenter = block
    table = with_tested_on(table)
    same = (table["dataset"] == dataset) & (table["tested_on"] == tested_on) & (table["segmenter"] == segmenter)
    here = table[same]
    stem = here["arm"].astype(str).str.replace(_AMOUNT, "", regex=True)
    step = here.groupby(["fold", "fraction", stem])["synthetic"].rank("dense")
    level = here.groupby("fold")["fraction"].rank("dense")
    alike = here.assign(
        arm=stem.where(here["arm"] == "real", stem + " × " + step.astype(str)),
        fraction=here.groupby(level)["fraction"].transform("first"),
    )
    for amount in sorted(alike["fraction"].unique(), key=lambda n: abs(n - fraction)):
        yield alike[alike["fraction"] == amount]
