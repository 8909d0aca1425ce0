"""A study that trains in rounds: two seeds of everything first, then more for the arms that aren't decided yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from synthbench.leaderboard.decisions import decided_text, decisions, sequential_verdict
from synthbench.results import Results, collect
from synthbench.store import Store
from synthbench.study.plan import Plan, TrainingRun

__all__ = ["FIRST_SEEDS", "Decided", "Train", "decide_study"]

FIRST_SEEDS = 2
"""Segmenter seeds of the first round."""

Train = Callable[[Plan], tuple[Mapping[str, Mapping[str, Any]], bool]]
"""Runs what a plan lacks; returns how each task ended, by key, and whether there was time for all of them."""

_Arm = tuple[int, str, str]
"""Condition, segmenter and name of an arm."""


@dataclass(frozen=True, eq=False)
class Decided:
    """Where a study that decides has come to.

    Attributes
    ----------
    plan : Plan
        The trainings behind the decisions, and those that failed.
    results : Results
    ended : dict
        How each task that was run ended, by key.
    """

    plan: Plan
    results: Results
    ended: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Progress:
    """How far an arm is: seeds that the next look needs and seeds of the last one; a line once no more are needed."""

    wanted: int
    used: int
    is_open: bool
    line: str = ""


def decide_study(plan: Plan, store: Store, train: Train, say: Callable[[str], None]) -> Decided:
    """Train in rounds until every arm is decided, or won't be, or there is no time left.

    Which round an arm is in follows from what the store has, so a run that was interrupted goes on, and comes to the
    same end.

    Parameters
    ----------
    plan
        Of the largest number of seeds.
    store, train
    say
        Takes lines for people after each round.
    """
    wanted = {_arm_of(run): FIRST_SEEDS for run in plan.training_runs}
    ended: dict[str, dict[str, Any]] = {}
    printed: set[str] = set()
    while True:
        part = plan.restricted([run for run in plan.training_runs if run.seed < wanted[_arm_of(run)]])
        finished = True
        if part.lacking(store):
            outcomes, finished = train(part)
            ended |= {key: dict(row) for key, row in outcomes.items()}
        results = collect(part, store, ended)
        arms = dict(_progress(part, results))
        new = [arm.line for arm in arms.values() if arm.line and arm.line not in printed]
        printed.update(new)
        for line in [*new, _summary(plan, arms, wanted)]:
            say(line)
        following = {arm: max(seeds, arms[arm].wanted) for arm, seeds in wanted.items()}
        if not finished or following == wanted:
            break
        wanted = following
    tried = zip(part.training_runs, results.runs["status"], strict=True)
    shown = [run for run, status in tried if run.seed < max(arms[_arm_of(run)].used, FIRST_SEEDS) or status == "failed"]
    final = part.restricted(shown)
    return Decided(final, collect(final, store, ended), ended)


def _arm_of(run: TrainingRun) -> _Arm:
    return run.condition, run.segmenter, run.arm


def _progress(part: Plan, results: Results) -> Iterator[tuple[_Arm, _Progress]]:
    numbered = replace(results, runs=results.runs.assign(row=range(len(results.runs))))
    for block, found in decisions(numbered):
        used = found.used()
        for row, name in zip(block.runs["row"], block.runs["arm"], strict=True):
            run = part.training_runs[int(row)]
            arm = found.arms.get(name)
            line = ""
            if arm is not None and arm.state not in ("open", "failed"):
                verdict = sequential_verdict(arm, found.margin)
                line = f"{block.title}: {name}: {verdict}, {decided_text(arm, found.margin)}"
            is_open = found.is_open if arm is None else arm.state == "open"
            yield _arm_of(run), _Progress(found.wanted.get(name, FIRST_SEEDS), used[name], is_open, line)


def _summary(plan: Plan, arms: Mapping[_Arm, _Progress], trained: Mapping[_Arm, int]) -> str:
    """Return how many arms are done with, and how many trainings remain at most."""
    compared = [arm for (_, _, name), arm in arms.items() if name != "real"]
    left = {run.fit for run in plan.training_runs if arms[_arm_of(run)].is_open and run.seed >= trained[_arm_of(run)]}
    over = sum(not arm.is_open for arm in compared)
    return f"{over} of {len(compared)} arms need no more seeds; at most {len(left)} trainings remain"
