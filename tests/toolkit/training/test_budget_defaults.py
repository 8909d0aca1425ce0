"""Defaults that depend on the budget: they fill in what was left open, and what was set stays."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from synthbench import Budget, Config
from synthbench.plugin.registry import registry
from synthbench.toolkit.training.budget_defaults import (
    LONG_TRAINING_STEPS,
    Preset,
    resolve_defaults,
    resolve_preset,
)

TRAINED = ("pix2pix", "cgan-seg", "diffusion", "stylegan2-mask", "vqvae-pixelcnn")


class Widths(Config):
    width: int | None = Field(None, ge=2)
    depth: int | None = None
    rate: float | None = None


def test_what_is_open_follows_from_the_budget_and_what_is_given_stays() -> None:
    usual = {"short": {"width": 4, "depth": 2}, "long": {"width": 64, "depth": 5}}
    given = Widths(depth=3)
    assert resolve_defaults(given, Budget(LONG_TRAINING_STEPS - 1), **usual) == Widths(width=4, depth=3)
    assert resolve_defaults(given, Budget(LONG_TRAINING_STEPS), **usual) == Widths(width=64, depth=3)
    assert given == Widths(depth=3)
    with pytest.raises(ValidationError, match="width"):
        resolve_defaults(given, Budget(1), short={"width": 1}, long={})


class Presets(Widths):
    preset: Preset | None = None


@pytest.mark.parametrize(
    ("preset", "steps", "resolved", "width"),
    [
        (None, LONG_TRAINING_STEPS - 1, "microscopy", 4),
        (None, LONG_TRAINING_STEPS, "paper", 64),
        ("paper", 1, "paper", 64),
        ("microscopy", LONG_TRAINING_STEPS, "microscopy", 4),
    ],
)
def test_a_preset_follows_from_the_budget_unless_it_is_given(
    preset: Preset | None, steps: int, resolved: Preset, width: int
) -> None:
    config = Presets(preset=preset, depth=3)
    found = resolve_preset(config, Budget(steps), paper={"width": 64, "depth": 9}, microscopy={"width": 4, "depth": 2})
    assert found == Presets(preset=resolved, width=width, depth=3)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("budget", ["smoke", "quick", "standard", "paper"])
def test_no_size_is_open_once_the_budget_is_known(name: str, budget: str) -> None:
    cls = registry().load("generator", name)
    found, short = (cls.Config().resolve(cls.budgets[b]).model_dump() for b in (budget, "smoke"))
    opened = {k for k, v in cls.Config().model_dump().items() if v is None and short[k] is not None}
    assert opened
    assert all(found[k] is not None for k in opened)
    sizes = opened - {"norm"}  # follows from the patches of a step
    assert all((found[k] == short[k]) == (budget in ("smoke", "quick")) for k in sizes)
