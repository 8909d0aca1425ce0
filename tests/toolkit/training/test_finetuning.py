"""Fine-tuning: rates of encoder and head, warm-up and fall, a frozen encoder, and the same bits after a resume."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from synthbench.plugin.api import Budget, Context, Stopped
from synthbench.toolkit.training.finetuning import FinetuneConfig, Finetuning, finetune_factor, frozen_steps
from synthbench.toolkit.training.loop import train

STEPS = 10


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.Sequential(nn.Conv2d(2, 1, 1), nn.BatchNorm2d(1))
    )


def tuned(
    config: FinetuneConfig, *, stop_after: int | None = None, folder: Path | None = None
) -> tuple[nn.Sequential, list[dict[str, torch.Tensor]]]:
    """Train, and return the network and its state before each step."""
    net, states = network().train(), []
    tuning = Finetuning(net, [net[0]], config, STEPS)
    optimiser = torch.optim.AdamW(tuning.parameter_groups())
    schedule = LambdaLR(optimiser, tuning.factor)

    def step(number: int) -> dict[str, torch.Tensor]:
        states.append({name: value.clone() for name, value in net.state_dict().items()})
        tuning.freeze(number)
        images = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(number))
        loss = (net(images) - 1).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        return {"loss": loss.detach()}

    asked = iter(range(99))
    context = Context(
        budget=Budget(STEPS), folder=folder, should_stop=lambda: stop_after is not None and next(asked) >= stop_after
    )
    train(context, state={"network": net, "optimiser": optimiser, "schedule": schedule}, step=step)
    tuning.release()
    return net, states


def changes(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_factor_rises_stays_and_falls() -> None:
    factors = [finetune_factor(step, 100, warmup=0.1, decay_from=0.5) for step in range(101)]
    assert 0 < factors[0] < factors[5] < factors[9] < 1
    assert factors[10:51] == [1.0] * 41
    assert all(a > b for a, b in pairwise(factors[50:]))
    assert factors[75] == pytest.approx(0.5)
    assert factors[99] < 0.001
    assert factors[100] == pytest.approx(0)


def test_the_rate_never_falls_before_it_has_risen() -> None:
    factors = [finetune_factor(step, 10, warmup=0.5, decay_from=0.0) for step in range(10)]
    assert factors[:6] == sorted(factors[:6])
    assert factors[5] == 1.0
    assert [finetune_factor(0, 1, warmup=0.1, decay_from=0.0), finetune_factor(0, 1, warmup=1, decay_from=1)] == [
        1,
        0.5,
    ]


def test_the_encoder_learns_at_its_own_rate() -> None:
    net = network()
    config = FinetuneConfig(learning_rate=0.2, weight_decay=0.3, encoder_lr_ratio=0.1)
    slow, fast = Finetuning(net, [net[0]], config, STEPS).parameter_groups()
    assert (slow["lr"], fast["lr"]) == (pytest.approx(0.02), 0.2)
    assert slow["weight_decay"] == fast["weight_decay"] == 0.3
    assert {id(p) for p in slow["params"]} == {id(p) for p in net[0].parameters()}
    assert {id(p) for p in fast["params"]} == {id(p) for p in net[1].parameters()}


def test_without_an_encoder_there_is_one_group() -> None:
    net = network()
    assert len(Finetuning(net, [], FinetuneConfig(), STEPS).parameter_groups()) == 1


def test_a_frozen_encoder_keeps_weights_and_statistics_until_it_is_released() -> None:
    config = FinetuneConfig(learning_rate=0.1, freeze_encoder=0.5)
    assert frozen_steps(config, STEPS) == 5
    net, states = tuned(config)
    frozen = changes(states[0], states[5])
    assert frozen
    assert all(name.startswith("1.") for name in frozen)
    assert changes(states[5], states[6]) >= {"0.0.weight", "0.1.running_mean"}
    assert all(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize("after", [2, 7])
def test_a_resumed_fine_tuning_ends_with_the_same_bits(tmp_path: Path, after: int) -> None:
    config = FinetuneConfig(learning_rate=0.1, freeze_encoder=0.5, encoder_lr_ratio=0.3)
    with pytest.raises(Stopped):
        tuned(config, stop_after=after, folder=tmp_path)
    resumed, states = tuned(config, folder=tmp_path)
    assert len(states) == STEPS - after
    assert not changes(resumed.state_dict(), tuned(config)[0].state_dict())


@pytest.mark.parametrize(
    "wrong", [{"encoder_lr_ratio": 0}, {"freeze_encoder": 1.5}, {"warmup": -1}, {"learning_rate": 0}, {"rate": 1}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        FinetuneConfig(**wrong)
