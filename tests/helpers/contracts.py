"""What tests of the contract checks share."""

from __future__ import annotations

import torch

from synthbench.testing import CheckResult


def assert_failed(result: CheckResult, words: str) -> None:
    """The check failed, and says why in one line with these words."""
    assert result.status == "failed"
    assert words in result.message
    assert "\n" not in result.message


def take_steps(count: int) -> None:
    """Take optimiser steps on a parameter that nothing else uses."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=0.1)
    for _ in range(count):
        parameter.square().sum().backward()
        optimiser.step()
