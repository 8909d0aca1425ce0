"""Each promise of training that a segmenter breaks is found by its own check."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from helpers.contract_segmenters import Learned, Levels, results_of
from helpers.contracts import assert_failed, take_steps
from synthbench import Segmenter


class SeedlessFit(Learned):
    def fit(self, train, validation, context):
        super().fit(train, validation, context.with_seed(0))


class LeavesNothing(Learned):
    def fit(self, train, validation, context):
        super().fit(train, validation, replace(context, folder=None))


class StartsOver(LeavesNothing):
    def fit(self, train, validation, context):
        if context.folder:
            (context.folder / "note.txt").touch()
        super().fit(train, validation, context)


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (SeedlessFit, "another_seed_another_fit", "another seed saves the same numbers"),
        (LeavesNothing, "stops_and_resumes", "fit was stopped and left nothing in context.folder"),
        (StartsOver, "stops_and_resumes", "and 5 when it was resumed"),
    ],
)
def test_a_broken_promise_of_training_is_found(cls: type[Segmenter], check: str, words: str) -> None:
    assert_failed(results_of(cls)[check], words)


def steps_by_hand(count: int) -> None:
    light = torch.nn.Parameter(torch.zeros(1))
    for _ in range(count):
        light.grad = None
        light.square().sum().backward()
        light.data -= 0.1 * light.grad


class HiddenSteps(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        take_steps(50)


class ByHand(Levels):
    """Follows the gradient without an optimiser."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        steps_by_hand(90)


class ByFunctions(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        light, gradient = torch.zeros(1), torch.func.grad(lambda x: x.square().sum())
        for _ in range(90):
            light = light - 0.1 * gradient(light)


class Forked(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        if (child := os.fork()) == 0:
            take_steps(70)
            os._exit(0)
        os.waitpid(child, 0)


class ElsewhereUnseen(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        subprocess.run([sys.executable, "-c", "pass"], check=True)


class OneOptimiserAfterTheOther(Learned):
    """Gets a hundred times the budget, from a hundred optimisers of one parameter."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        light = torch.nn.Parameter(torch.zeros(1))
        for _ in range(100):
            optimiser = torch.optim.SGD([light], lr=0.1)
            for _ in range(context.budget.steps):
                light.square().sum().backward()
                optimiser.step()


class MoreByHand(Learned):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        steps_by_hand(90)


class TrainsWhenAsked(Learned):
    def predict(self, image):
        take_steps(3)
        return super().predict(image)


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (HiddenSteps, "50 optimiser steps, and HiddenSteps.budgets is empty"),
        (ByHand, "gradients 90 times, and ByHand.budgets is empty"),
        (ByFunctions, "gradients 90 times, and ByFunctions.budgets is empty"),
        (Forked, "70 optimiser steps, and Forked.budgets is empty"),
        (OneOptimiserAfterTheOther, "fit took 500 steps with one parameter, and the budget is 5"),
        (MoreByHand, "fit computed gradients 95 times for 5 optimiser steps"),
        (TrainsWhenAsked, "predict took 3 optimiser steps"),
    ],
)
def test_hidden_training_is_found(cls: type[Segmenter], words: str) -> None:
    assert_failed(results_of(cls)["budget_is_kept"], words)


def test_steps_in_other_processes_are_not_vouched_for() -> None:
    result = results_of(ElsewhereUnseen)["budget_is_kept"]
    assert result.status == "skipped"
    assert "starts processes of its own" in result.message
