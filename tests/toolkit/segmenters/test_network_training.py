"""The training of one network: what a step does, and that a stopped training goes on with the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context
from synthbench.plugin.api import Stopped
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training.finetuning import FinetuneConfig, Finetuning
from synthbench.toolkit.training.schedules import averaged_model

BUDGET = Budget(4, 1, 8)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))


def trained(context: Context, net: nn.Sequential, **options: Any) -> None:
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)

    def losses_of(number: int) -> dict[str, torch.Tensor]:
        answer = net(torch.tensor([[1.0, number]])).square().sum()
        return {"one": answer, "two": 2 * answer}

    train_network(context, net, optimiser, LambdaLR(optimiser, lambda number: 1 / (1 + number)), losses_of, **options)


def test_steps_descend_the_sum_of_the_losses_with_clipped_gradients() -> None:
    net, by_hand = network(), network()
    trained(Context(budget=BUDGET), net, max_norm=0.5)
    for number in range(BUDGET.steps):
        loss = 3 * by_hand(torch.tensor([[1.0, number]])).square().sum()
        gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        scale = min(1.0, 0.5 / float(norm))
        with torch.no_grad():
            for parameter, gradient in zip(by_hand.parameters(), gradients, strict=True):
                parameter.sub_(0.1 / (1 + number) * scale * gradient)
    for found, expected in zip(net.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_frozen_encoder_stays_as_it_is_and_is_released() -> None:
    net = network()
    before = net[0].weight.clone(), net[1].weight.clone()
    tuning = Finetuning(net, [net[0]], FinetuneConfig(freeze_encoder=1.0), BUDGET.steps)
    trained(Context(budget=BUDGET), net, tuning=tuning)
    assert torch.equal(net[0].weight, before[0])
    assert not torch.equal(net[1].weight, before[1])
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_stopped_training_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    whole, cut = network(), network()
    average = averaged_model(whole)
    trained(Context(budget=BUDGET, folder=tmp_path / "whole"), whole, average=average)
    asked = iter(range(100))
    context = Context(budget=BUDGET, folder=tmp_path / "cut", should_stop=lambda: next(asked) == 2)
    with pytest.raises(Stopped):
        trained(context, cut, average=averaged_model(cut))
    resumed = network()
    resumed_average = averaged_model(resumed)
    trained(context, resumed, average=resumed_average)
    for a, b in ((whole, resumed), (average.module, resumed_average.module)):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(average.module[1].weight, whole[1].weight)
