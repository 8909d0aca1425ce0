"""Whether segmenters are trained far enough, found on real images alone.

``steps: auto`` chooses the number of steps from which on more of them bring nothing; ``check_convergence`` asks whether
a given number is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from synthbench.errors import ConfigError
from synthbench.results import collect
from synthbench.results.mean_scores import mean_scores
from synthbench.runner.decide_study import Train
from synthbench.store import Store
from synthbench.study.model import AUTO, BudgetConfig, PluginConfig, Study, is_flat
from synthbench.study.plan import Plan, on_validation_images

__all__ = ["DOUBLINGS", "SEEDS", "choose_steps"]

DOUBLINGS = 3
"""How often the budget's own number of steps is doubled at most."""

SEEDS = 2
"""Trainings at each number of steps; the study's own, where it has that number."""

Score = Callable[[PluginConfig, int | None, str], dict[str, float] | None]
"""Segmenter, number of steps and key of the study → score of each dataset; see `_scores`."""


def choose_steps(
    study: Study, make_plan: Callable[[Study], Plan], store: Store, train: Train | None, say: Callable[[str], None]
) -> Study:
    """Return a study with a number where it says ``steps: auto``, and with its scores by steps.

    A segmenter is trained with the budget's own number of steps on all real images of the first fold, then with twice
    as many, and so on, until its score on validation images (F-score, mean over IoU 0.5 … 0.95; semantic: mIoU*) is
    flat on every dataset of the study: it rises by less than `synthbench.study.model.FLAT`, and isn't near 0. The
    number before that doubling is taken; after `DOUBLINGS` doublings, the last one. All arms, datasets, amounts and
    starts of the segmenter get it.

    With ``check_convergence``, a segmenter with a fixed number of steps is scored so after that number and after half
    of it.

    Parameters
    ----------
    study
    make_plan
        Plans a study for the machine that it runs on.
    store
    train
        None: only what the store has is used, as far as it goes.
    say
        Takes a line for people about each choice.

    Raises
    ------
    ConfigError
        If a training fails, or the time is up.
    """
    if not study.check_convergence and not any(_budget(study, choice).steps == AUTO for choice in study.segmenters):
        return study
    score = partial(_scores, study, make_plan, store, train)
    chosen = []
    for choice in study.segmenters:
        given = _budget(study, choice)
        budget = choice.budget
        if given.steps == AUTO:
            own = _own_steps(make_plan(_reduced(study, choice, None)))
            budget = _choose(choice, given, own, score, say) if own else None
        elif study.check_convergence:
            own = _own_steps(make_plan(_reduced(study, choice, _fixed(given))))
            budget = _check(choice, given, own, score, say) if own > 1 else choice.budget
        chosen.append(choice.model_copy(update={"budget": budget}))
    shared = study.budget.model_copy(update={"steps": None}) if study.budget.steps == AUTO else study.budget
    return study.model_copy(update={"segmenters": chosen, "budget": shared})


def _budget(study: Study, choice: PluginConfig) -> BudgetConfig:
    return choice.budget or study.budget


def _fixed(budget: BudgetConfig) -> int | None:
    return budget.steps if isinstance(budget.steps, int) else None


def _choose(
    choice: PluginConfig, budget: BudgetConfig, own: int, score: Score, say: Callable[[str], None]
) -> BudgetConfig:
    """Return a budget with the number that was found; `own` is that of the named budget."""
    numbers = [own * 2**doubling for doubling in range(DOUBLINGS + 1)]
    scores: dict[str, dict[int, float]] = {}
    taken = own
    for steps in numbers:
        found = score(choice, steps, "steps: auto")
        if found is None:
            say(
                f"{choice.title}: steps: auto: a run first trains it on real images with {own:,} steps, then with "
                f"twice as many, up to {numbers[-1]:,}; until then, {taken:,} are assumed"
            )
            return budget.model_copy(update={"steps": taken})
        for dataset, value in found.items():
            scores.setdefault(dataset, {})[steps] = value
        if steps != own and all(is_flat(of[steps // 2], of[steps]) for of in scores.values()):
            break
        taken = steps
    say(f"{choice.title}: steps: auto: {taken:,}")
    return budget.model_copy(update={"steps": taken, "score_by_steps": scores})


def _check(
    choice: PluginConfig, budget: BudgetConfig, own: int, score: Score, say: Callable[[str], None]
) -> BudgetConfig | None:
    """Return the budget with the scores after its `own` steps and after half of them; the choice's where unknown."""
    scores: dict[str, dict[int, float]] = {}
    for steps in (own // 2, own):
        found = score(choice, _fixed(budget) if steps == own else steps, "check_convergence")
        if found is None:
            say(f"{choice.title}: check_convergence: a run also trains it on real images with {own // 2:,} steps")
            return choice.budget
        for dataset, value in found.items():
            scores.setdefault(dataset, {})[steps] = value
    return budget.model_copy(update={"score_by_steps": scores})


def _own_steps(plan: Plan) -> int:
    return int(plan.resolved.segmenters[0].plugin.budget.get("steps") or 0)


def _scores(
    study: Study,
    make_plan: Callable[[Study], Plan],
    store: Store,
    train: Train | None,
    choice: PluginConfig,
    steps: int | None,
    key: str,
) -> dict[str, float] | None:
    """Return the score of each dataset after a number of steps; None if it isn't known and nothing may be trained."""
    plan = on_validation_images(make_plan(_reduced(study, choice, steps)))
    ended: Mapping[str, Any] = {}
    if plan.lacking(store):
        if train is None:
            return None
        ended, finished = train(plan)
        if not finished:
            raise ConfigError(
                f"{choice.title}: {key}: the time was up before the scores by steps were found; the same command goes "
                "on from here, --within can be longer"
            )
    results = collect(plan, store, ended)
    failed = results.runs[results.runs["status"] != "ok"]
    if len(failed):
        why = str(failed["error"].iloc[0]) or "a training is missing"
        way = "give a number of steps" if key == "steps: auto" else f"leave {key} out"
        raise ConfigError(f"{choice.title}: {key}: {why}; {way}")
    return {dataset: round(score, 4) for dataset, score in mean_scores(results).items()}


def _reduced(study: Study, choice: PluginConfig, steps: int | None) -> Study:
    """Return the study of one segmenter on real images alone, with this number of steps; None: the budget's own."""
    budget = _budget(study, choice).model_copy(update={"steps": steps})
    start = (choice.init or study.init)[:1]
    segmenter = choice.model_copy(update={"budget": None, "seeds": SEEDS, "init": start})
    alone = {"segmenters": [segmenter], "generators": [], "test_on": [], "decide": None, "check_convergence": False}
    return study.model_copy(update={**alone, "budget": budget})
