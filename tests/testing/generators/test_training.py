"""Each promise of training that a generator breaks is found by its own check."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from helpers.contract_generators import Copies, Trained, results_of
from helpers.contracts import assert_failed, take_steps
from synthbench import Budget, Generator, Sample, SampleSet
from synthbench.testing import discs


class OneStepMore(Trained):
    def steps(self, context):
        return context.budget.steps + 1


class HalfTheSteps(Trained):
    def steps(self, context):
        return context.budget.steps // 2


class NoSmoke(Trained):
    budgets: ClassVar = {"quick": Budget(5)}


class OddBudget(Trained):
    budgets: ClassVar = {**Trained.budgets, "huge": Budget(5)}


class NeverAsks(Trained):
    def asks(self, context):
        return False


class StopsForGood(Trained):
    """Counts the steps before a stop as done, and forgets what they learned."""

    def steps(self, context):
        mark = context.folder / "begun" if context.folder else None
        begun = mark is not None and mark.exists()
        if mark is not None:
            mark.touch()
        return 1 if begun else context.budget.steps


class LeavesNothing(Trained):
    def fit(self, train, context):
        super().fit(train, replace(context, folder=None))


class StartsOver(LeavesNothing):
    def fit(self, train, context):
        if context.folder:
            (context.folder / "note.txt").touch()
        super().fit(train, context)


class NoMasksYet(Trained):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=np.zeros_like(plain.labels))


class SeedlessFit(Trained):
    def fit(self, train, context):
        super().fit(train, context.with_seed(0))


class Silent(Trained):
    def fit(self, train, context):
        super().fit(train, replace(context, progress=lambda *_: None))


class EndsEarly(Trained):
    def fit(self, train, context):
        super().fit(train, replace(context, progress=lambda done, total, note: context.progress(done - 1, total, note)))


class NeverLooks(Copies):
    """Draws what it always draws."""

    def fit(self, train, context):
        first = train[0]
        top, channels = int(max(s.image.max() for s in train)), 3 if first.image.ndim == 3 else 1
        kind = {"channels": channels, "dtype": first.image.dtype.name, "task": train.task}
        drawn = discs(6, size=64, seed=99, **kind)
        scaled = [replace(s, image=np.minimum(s.image, top).astype(s.image.dtype)) for s in drawn]
        super().fit(SampleSet.of(scaled, task=train.task, classes=drawn.classes), context)


class HiddenSteps(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        take_steps(50)


class TrainsWhenDrawing(Trained):
    def sample(self, i, seed):
        take_steps(3)
        return super().sample(i, seed)


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (OneStepMore, "budget_is_kept", "6 steps with one optimiser, and the budget is 5"),
        (HalfTheSteps, "budget_is_kept", "fit took 2 optimiser steps, and the budget is 5"),
        (NoSmoke, "budgets_are_named", "there is no budget 'smoke'"),
        (OddBudget, "budgets_are_named", "budget 'huge' has no meaning"),
        (NeverAsks, "stops_and_resumes", "context.should_stop() 0 times"),
        (StopsForGood, "stops_and_resumes", "draws other samples than an uninterrupted one"),
        (LeavesNothing, "stops_and_resumes", "fit was stopped and left nothing in context.folder"),
        (
            StartsOver,
            "stops_and_resumes",
            "1 optimiser steps before it was stopped and 5",
        ),
        (SeedlessFit, "another_seed_another_fit", "another seed saves the same numbers"),
        (Silent, "progress_is_reported", "fit never called context.progress"),
        (EndsEarly, "progress_is_reported", "the last report was progress(4, 5)"),
        (NeverLooks, "training_set_is_learned_from", "on other samples it draws the same"),
        (HiddenSteps, "budget_is_kept", "50 optimiser steps, and HiddenSteps.budgets is empty"),
        (TrainsWhenDrawing, "budget_is_kept", "sample took 3 optimiser steps"),
    ],
)
def test_a_broken_promise_of_training_is_found(cls: type[Generator], check: str, words: str) -> None:
    assert_failed(results_of(cls)[check], words)


def test_what_is_trained_a_little_need_not_draw_objects_yet() -> None:
    """A run counts empty masks, and shows how many there are."""
    assert results_of(NoMasksYet)["fits_and_draws"].status == "passed"


class CopiesOfUnknown(Copies):
    supports_ignore = True


class CopiesWithRegion(CopiesOfUnknown):
    def sample(self, i: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, i))
        chosen = self.train[int(rng.integers(len(self.train)))]
        kept = None if chosen.ignore is None else np.rot90(chosen.ignore, i % 4)
        return replace(super().sample(i, seed), ignore=kept)


def test_who_takes_unknown_pixels_for_background_is_found() -> None:
    result = results_of(CopiesOfUnknown)["unknown_is_no_background"]
    assert result.status == "failed"
    assert "where these pixels are background" in result.message
    result = results_of(CopiesWithRegion)["unknown_is_no_background"]
    assert result.status == "passed", result.message
