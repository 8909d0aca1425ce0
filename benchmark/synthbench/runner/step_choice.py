"""``steps: auto``: the number of steps from which on more of them bring nothing, found on real images alone."""

from __future__ import annotations

from collections.abc import Callable

from synthbench.errors import ConfigError
from synthbench.results import Results, collect
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


def choose_steps(
    study: Study, make_plan: Callable[[Study], Plan], store: Store, train: Train | None, say: Callable[[str], None]
) -> Study:
    """Return a study with a number where it says ``steps: auto``.

    A segmenter is trained with the budget's own number of steps on all real images of the first fold, then with twice
    as many, and so on, until its score on validation images (F-score, mean over IoU 0.5 … 0.95; semantic: mIoU*) is
    flat on every dataset of the study: it rises by less than `synthbench.study.model.FLAT`, and isn't near 0. The
    number before that doubling is taken; after `DOUBLINGS` doublings, the last one. All arms, datasets, amounts and
    starts of the segmenter get it.

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
    if not any(_budget(study, choice).steps == AUTO for choice in study.segmenters):
        return study
    chosen = []
    for choice in study.segmenters:
        budget: BudgetConfig | None = _budget(study, choice)
        if budget is not None and budget.steps == AUTO:
            budget = _choose(study, choice, make_plan, store, train, say)
        chosen.append(choice.model_copy(update={"budget": budget}))
    shared = study.budget.model_copy(update={"steps": None}) if study.budget.steps == AUTO else study.budget
    return study.model_copy(update={"segmenters": chosen, "budget": shared})


def _budget(study: Study, choice: PluginConfig) -> BudgetConfig:
    return choice.budget or study.budget


def _choose(
    study: Study,
    choice: PluginConfig,
    make_plan: Callable[[Study], Plan],
    store: Store,
    train: Train | None,
    say: Callable[[str], None],
) -> BudgetConfig | None:
    """Return a budget with the number that was found; None for a segmenter that takes no steps."""
    budget = _budget(study, choice)
    first = make_plan(_reduced(study, choice, None))
    own = int(first.resolved.segmenters[0].plugin.budget.get("steps") or 0)
    if not own:
        return None
    numbers = [own * 2**doubling for doubling in range(DOUBLINGS + 1)]
    scores: dict[str, dict[int, float]] = {}
    taken = own
    for steps in numbers:
        plan = on_validation_images(make_plan(_reduced(study, choice, steps)))
        if train is None and plan.lacking(store):
            say(
                f"{choice.title}: steps: auto: a run first trains it on real images with {own:,} steps, then with "
                f"twice as many, up to {numbers[-1]:,}; until then, {taken:,} are assumed"
            )
            return budget.model_copy(update={"steps": taken})
        ended, finished = train(plan) if train is not None and plan.lacking(store) else ({}, True)
        if not finished:
            raise ConfigError(
                f"{choice.title}: steps: auto: the time was up before the number of steps was found; the same command "
                "goes on from here, --within can be longer"
            )
        results = collect(plan, store, ended)
        _check_trainings(results, choice.title)
        for dataset, score in mean_scores(results).items():
            scores.setdefault(dataset, {})[steps] = round(score, 4)
        if steps != own and all(is_flat(found[steps // 2], found[steps]) for found in scores.values()):
            break
        taken = steps
    chosen = budget.model_copy(update={"steps": taken, "score_by_steps": scores})
    say(f"{choice.title}: steps: auto: {taken:,}")
    return chosen


def _reduced(study: Study, choice: PluginConfig, steps: int | None) -> Study:
    """Return the study of one segmenter on real images alone, with this number of steps; None: the budget's own."""
    budget = _budget(study, choice).model_copy(update={"steps": steps})
    start = (choice.init or study.init)[:1]
    segmenter = choice.model_copy(update={"budget": None, "seeds": SEEDS, "init": start})
    alone = {"segmenters": [segmenter], "generators": [], "test_on": [], "decide": None}
    return study.model_copy(update={**alone, "budget": budget})


def _check_trainings(results: Results, title: str) -> None:
    failed = results.runs[results.runs["status"] != "ok"]
    if len(failed):
        why = str(failed["error"].iloc[0]) or "a training is missing"
        raise ConfigError(f"{title}: steps: auto: {why}; give a number of steps")
