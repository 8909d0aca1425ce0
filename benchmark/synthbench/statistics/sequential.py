"""Arms compared with a baseline after every round of trainings, until each is decided; valid at every look.

Which look an arm is at follows from the trainings that are done: the decisions are a function of the tables alone, so a
run that was interrupted, or that began as a study of a fixed number of seeds, comes to the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from synthbench.statistics._resampling import resample_block
from synthbench.statistics._standard_errors import StandardError, standard_errors
from synthbench.statistics.group_sequential import FIRST_LOOK, Looks, looks_up_to
from synthbench.statistics.sequential_decisions import (
    ALPHA,
    HOPELESS,
    Estimates,
    Evidence,
    add_look,
    chance_of_decision,
    holm_rows,
    no_evidence,
)
from synthbench.types import AnyArray

__all__ = ["ArmDecision", "Decisions", "LOOK_DRAWS", "State", "decide_arms"]

LOOK_DRAWS = 2_000
"""Resamples of the test images behind the standard error at a look."""

State = Literal["decided", "open", "stopped", "exhausted", "failed"]


@dataclass(frozen=True)
class ArmDecision:
    """What is known of one arm.

    Attributes
    ----------
    state
        ``decided``; ``open``: it needs more seeds; ``stopped``: more seeds are unlikely to decide it; ``exhausted``: it
        has the largest number of seeds and is undecided; ``failed``: one of its trainings, or the baseline's, failed.
    seeds : int
        Segmenter seeds at its last look; 0 before the first.
    direction : int
        1: better than the baseline, −1: worse, 0: neither is shown.
    within : bool
        Whether its difference is shown to be smaller than the margin.
    value, low, high : float
        The difference at its last look, with its repeated confidence interval: at 95 %, whatever look one stops at.
    p, p_margin : float
        Sequential p-values of no difference, and of one of at least the margin, corrected by Holm's rule for the arms.
    p_single : float
        As `p`, of this arm alone: not corrected.
    error, limit : float
        Standard error at the last look; and what test images (and generators) leave open however many seeds there are:
        from this on, a difference of 0 can't be shown to be within the margin.
    widening : float
        The half width of the interval, in units of that of a study with a fixed number of seeds.
    """

    state: State
    seeds: int = 0
    direction: int = 0
    within: bool = False
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    p_margin: float = np.nan
    p_single: float = np.nan
    error: float = np.nan
    limit: float = np.nan
    widening: float = np.nan


@dataclass(frozen=True, eq=False)
class Decisions:
    """The arms of a comparison.

    Attributes
    ----------
    baseline : str
    margin : float
    looks : Looks
    arms : dict of str to ArmDecision
        All but the baseline, in the order that was given.
    wanted : dict of str to int
        Segmenter seeds that the next look needs, by arm, the baseline included; what an arm has at its last look, where
        it needs no more.
    """

    baseline: str
    margin: float
    looks: Looks
    arms: dict[str, ArmDecision]
    wanted: dict[str, int]

    @property
    def is_open(self) -> bool:
        """Whether an arm needs more seeds."""
        return any(arm.state == "open" for arm in self.arms.values())

    def used(self) -> dict[str, int]:
        """Return the segmenter seeds behind the decisions, by arm, the baseline included."""
        seeds = {name: arm.seeds for name, arm in self.arms.items()}
        return {self.baseline: max(seeds.values(), default=0), **seeds}


def decide_arms(
    images: pd.DataFrame,
    arms: Sequence[str],
    most: int,
    margin: float,
    baseline: str = "real",
    metric: str = "f1",
    iou: float | str = 0.5,
    aggregation: str = "pooled",
    *,
    done: Mapping[str, int],
    failed: frozenset[str] = frozenset(),
    stop: bool = True,
    ended: bool = False,
    draws: int = LOOK_DRAWS,
) -> Decisions:
    """Take all looks that the trainings allow, and say which arms are decided, and what the next look needs.

    A look is taken when all arms that are open have its seeds, and the baseline too. Arms that are decided keep the
    seeds that they had, however many more are in the table.

    Parameters
    ----------
    images
        Rows of one dataset, amount of real data and segmenter; see `synthbench.statistics.compare`.
    arms
        Every arm that is compared with the baseline, scored or not; p-values are corrected for their number.
    most
        The largest number of segmenter seeds, 2 or more.
    margin
        Differences smaller than this are of no practical size; above 0, in units of the score.
    baseline, metric, iou, aggregation
        See `synthbench.statistics.compare`.
    done
        Segmenter seeds 0, 1 … that every training of an arm is done with (in all folds, with all generator seeds).
    failed
        Arms, or the baseline, with a training that failed: they are set aside where they lack a seed.
    stop
        Whether an arm that is decided, or unlikely to be, keeps the seeds that it has; else every arm takes all looks
        that its seeds allow. That is for other scores than the one that seeds were given by: the p-values hold for
        them too, whatever the reason to stop.
    ended
        Whether no arm gets more seeds, as where results of several studies are joined: then every arm takes all looks
        that its seeds allow, and none waits for another. With fewer than the first look needs, it stays open.
    draws
        Resamples of the test images at each look.

    Raises
    ------
    ConfigError, DataError
        As `synthbench.statistics.compare` does.
    """
    names = list(arms)
    looks = looks_up_to(max(most, FIRST_LOOK), max(len(names), 1))
    evidence = no_evidence(len(names))
    found: dict[str, ArmDecision] = {name: ArmDecision("open") for name in names}
    wanted = dict.fromkeys([baseline, *names], looks.seeds[0])
    for look, seeds in enumerate(looks.seeds):
        open_arms = [name for name in names if _goes_on(found[name], done.get(name, 0) >= seeds, stop, ended)]
        lacking = {name for name in (baseline, *open_arms) if done.get(name, 0) < seeds}
        for name in open_arms if baseline in lacking & failed else lacking & failed:
            found[name] = replace(found[name], state="failed")
        open_arms = [name for name in open_arms if found[name].state != "failed"]
        if not open_arms:
            break
        wanted |= dict.fromkeys([baseline, *open_arms], seeds)
        if lacking - failed:
            break
        used = {name: found[name].seeds for name in names} | dict.fromkeys([baseline, *open_arms], seeds)
        estimates = _estimates(_first_seeds(images, used), names, open_arms, baseline, metric, iou, aggregation, draws)
        evidence = add_look(evidence, estimates, looks, look, margin)
        found |= _take_look(found, names, open_arms, evidence, estimates, looks, look, margin)
    p_values = zip(
        holm_rows(evidence.different).tolist(),
        holm_rows(evidence.equivalent).tolist(),
        evidence.different.tolist(),
        strict=True,
    )
    found = {
        name: replace(arm, p=p, p_margin=p_margin, p_single=p_single) if arm.seeds else arm
        for (name, arm), (p, p_margin, p_single) in zip(found.items(), p_values, strict=True)
    }
    final = {name: arm.seeds for name, arm in found.items() if arm.state != "open"}
    return Decisions(baseline, margin, looks, found, {**wanted, **final} if names else {})


def _goes_on(arm: ArmDecision, has_seeds: bool, stop: bool, ended: bool) -> bool:
    """Whether an arm takes part in a look, or holds it up because it lacks the seeds."""
    if ended:
        return arm.state != "failed" and has_seeds
    return arm.state == "open" if stop else arm.state != "failed" and (has_seeds or arm.seeds == 0)


def _first_seeds(images: pd.DataFrame, used: Mapping[str, int]) -> pd.DataFrame:
    """Return the rows of the first seeds of each arm."""
    return images[images["seed"].astype(int) < images["arm"].map(used).fillna(0)]


def _estimates(
    images: pd.DataFrame,
    names: Sequence[str],
    at_look: Sequence[str],
    baseline: str,
    metric: str,
    iou: float | str,
    aggregation: str,
    draws: int,
) -> Estimates:
    """Return the estimates of the arms that are at this look; arms stopped before lend their seeds to the variance."""
    block = resample_block(images, baseline, metric, iou, aggregation, draws, 0)
    errors = standard_errors(block.arms, block.by_fold)
    table = np.full((5, len(names)), np.nan)
    for at, name in enumerate(names):
        if name in at_look and name in errors and (block.arms[name].dof or errors[name].component.with_images):
            resampled = block.arms[name]
            table[:, at] = (float(resampled.exact @ resampled.weights), *_parts(errors[name]))
    return Estimates(*table)


def _parts(error: StandardError) -> tuple[float, float, float, float]:
    """Return what more seeds don't change, what they do, and degrees of freedom of the sum and of the second."""
    fixed2 = error.image2 + error.training2 - error.seed2
    return max(fixed2, 0.0), error.seed2, error.dof, error.component.dof


def _take_look(
    found: Mapping[str, ArmDecision],
    names: Sequence[str],
    at_look: Sequence[str],
    evidence: Evidence,
    estimates: Estimates,
    looks: Looks,
    look: int,
    margin: float,
) -> dict[str, ArmDecision]:
    """Return the arms with what this look says: of those that were at it, and of those that Holm's rule now decides."""
    direction, within = evidence.found()
    decided = (direction != 0) | within
    seen = ~np.isnan(estimates.value)
    chance = chance_of_decision(estimates, looks, look, margin, seen & ~decided)
    intervals = _intervals(estimates, looks, look)
    is_last = look == len(looks.seeds) - 1
    out = {}
    for at, name in enumerate(names):
        before = found[name]
        state: State = before.state
        if decided[at]:
            state = "decided"
        elif state == "open" and name in at_look:
            hopeless = not seen[at] or chance[at] < HOPELESS
            state = "exhausted" if is_last else "stopped" if hopeless else "open"
        numbers: dict[str, Any] = {key: float(column[at]) for key, column in intervals.items()} if seen[at] else {}
        seeds = looks.seeds[look] if name in at_look else before.seeds
        after = replace(before, state=state, seeds=seeds, direction=int(direction[at]), within=bool(within[at]))
        out[name] = replace(after, **numbers)
    return out


def _intervals(estimates: Estimates, looks: Looks, look: int) -> dict[str, AnyArray]:
    """Return what `ArmDecision` says of estimates, by arm."""
    from scipy.special import stdtrit

    ratio, last = estimates.ratio(looks.seeds[look]), len(looks.seeds) - 1
    critical = stdtrit(estimates.dof, 1 - looks.nominal(ALPHA / 2, look, ratio))
    half = critical * estimates.error
    return {
        "value": estimates.value,
        "low": estimates.value - half,
        "high": estimates.value + half,
        "error": estimates.error,
        "limit": stdtrit(estimates.dof, 1 - looks.nominal(ALPHA, last, ratio)) * np.sqrt(estimates.fixed2),
        "widening": critical / stdtrit(estimates.dof, 1 - ALPHA / 2),
    }
