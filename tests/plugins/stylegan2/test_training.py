"""A step of training: penalties, classes, mixed styles, augmentation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from synthbench_stylegan2.config import StyleGan2MaskConfig
from synthbench_stylegan2.discriminator import Discriminator
from synthbench_stylegan2.generator import StyleGan2Mask
from synthbench_stylegan2.networks import Drawer, Mapping, Synthesis
from synthbench_stylegan2.training import Training

SMALL = {"mask": "grey", "path": 2.0, "channels": 16, "base": 256, "latent": 32, "embedding": 16}


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def training(*, classes: int = 1, **config: object) -> Training:
    wanted = {"r1_every": 4, "path_every": 3, "path": 2.0, "ada": False, "apa": False, "diff_augment": False}
    settled = StyleGan2MaskConfig(**{**SMALL, "latent": 16, **wanted, **config})
    named = classes if classes > 1 else 0
    torch.manual_seed(0)
    drawer = Drawer(Mapping(16, named, 2), Synthesis(32, 1, 16, 256, 16, 1, 1, classes=False))
    judge = Discriminator(32, 1, 16, 256, 2, named, 16)
    shares = [1 / classes] * classes
    return Training(settled, drawer, judge, channels=1, shares=shares, batch=4, seed=0, random=chance())


def patches(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 2, 32, 32, generator=chance(seed))


def test_penalties_join_the_losses_of_their_steps_times_the_steps_between() -> None:
    for number in range(7):
        seen = training().step(number, patches(), torch.zeros(4, dtype=torch.int64))
        expected = {"judge", "draw", *(["r1"] if number % 4 == 0 else []), *(["path"] if number % 3 == 0 else [])}
        assert set(seen) == expected
    once, twice = (training(**c).step(0, patches(), torch.zeros(4, dtype=torch.int64)) for c in ({}, {"r1": 0.4}))
    assert twice["r1"].item() == pytest.approx(2 * once["r1"].item(), rel=1e-4)
    rare = training(r1_every=8, path_every=6).step(0, patches(), torch.zeros(4, dtype=torch.int64))
    for name in ("r1", "path"):
        assert float(rare[name]) == pytest.approx(2 * float(once[name]), rel=1e-4)
    without = training(r1=0, path=0.0).step(0, patches(), torch.zeros(4, dtype=torch.int64))
    assert set(without) == {"judge", "draw"}


def test_classes_are_told_apart_where_there_are_any() -> None:
    members = torch.tensor([0, 1, 1, 0])
    seen = training(classes=2).step(1, patches(), members)
    assert set(seen) == {"judge", "draw", "judged", "drawn"}
    heavy = training(classes=2, d2d=1.0).step(1, patches(), members)
    assert float(heavy["judged"]) == pytest.approx(2 * float(seen["judged"]), rel=1e-4)


@pytest.mark.parametrize(("mixing", "mixed"), [(0.0, False), (1.0, True)])
def test_styles_are_mixed_in_the_share_of_the_steps_that_was_asked_for(mixing: float, mixed: bool) -> None:
    made, told = training(mixing=mixing), []
    styles = made.network.styles

    def watched(*given: object) -> torch.Tensor:
        told.append(len(given) == 4)
        return styles(*given)

    made.network.styles = watched
    made.step(1, patches(), torch.zeros(4, dtype=torch.int64))
    assert set(told) == {mixed}


@pytest.mark.parametrize(("p", "kept"), [(0.0, 4), (1.0, 1)])
def test_drawn_patches_are_shown_among_the_real_ones_as_often_as_p_says(p: float, kept: int) -> None:
    made, seen = training(apa=True), []
    made.adaptive.p = p
    made.judge.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    real = patches()
    made.step(1, real, torch.zeros(4, dtype=torch.int64))
    shown = seen[0]
    assert len(shown) == 4
    assert sum(bool((patch == real).flatten(1).all(dim=1).any()) for patch in shown) == kept


def test_the_discriminator_learns_to_tell_and_the_other_network_to_pass() -> None:
    """Worked out from the verdicts on what each was shown: real patches, drawn ones, and drawn ones anew."""
    made, shown = training(), []
    made.judge.register_forward_hook(
        lambda _, given, verdict: shown.append((given[0].detach(), verdict.logit.detach()))
    )
    real = patches()
    losses = made.step(1, real, torch.zeros(4, dtype=torch.int64))
    (first, of_real), (_, of_fake), (_, of_drawn) = shown
    assert torch.equal(first, real)
    assert losses["judge"].item() == pytest.approx((F.softplus(-of_real).mean() + F.softplus(of_fake).mean()).item())
    assert losses["draw"].item() == pytest.approx(F.softplus(-of_drawn).mean().item())


def test_all_that_the_discriminator_sees_is_augmented() -> None:
    made, shown = training(), []
    made._augmented = lambda planes: 0 * planes + 7
    made.judge.register_forward_pre_hook(lambda _, given: shown.append(given[0].detach()))
    made.step(1, patches(), torch.zeros(4, dtype=torch.int64))
    assert [bool((planes == 7).all()) for planes in shown] == [True] * 3


@pytest.mark.parametrize("config", [{"diff_augment": True}, {"ada": True}])
def test_augmentation_leaves_the_values_of_masks(config: dict[str, bool]) -> None:
    made = training(**config)
    made.adaptive.p = 1.0
    planes = torch.cat([patches()[:, :1], patches(1)[:, 1:].sign()], dim=1)
    found = made._augmented(planes)
    assert set(found[:, 1].unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert not torch.allclose(found[:, 0], planes[:, 0], atol=0.1)


def test_drawn_patches_among_the_real_ones_keep_their_class_and_say_nothing_of_how_sure_it_is() -> None:
    made, told = training(classes=2, apa=True), {}
    made.adaptive.p = 1.0
    made._classes = lambda count: torch.ones(count, dtype=torch.int64)
    apart = made._told_apart

    def watched(name: str, verdict: Any, classes: torch.Tensor) -> dict[str, torch.Tensor]:
        told[name] = classes.tolist()
        return apart(name, verdict, classes)

    made._told_apart = watched
    made.adaptive.update = lambda logit: told.update(sure=len(logit))
    made.step(1, patches(), torch.zeros(4, dtype=torch.int64))
    assert told == {"judged": [1, 1, 1, 0], "drawn": [1, 1, 1, 1], "sure": 1}


def test_the_average_follows_the_network() -> None:
    made = training(decay=0.0)
    before = [weights.clone() for weights in made.average.module.parameters()]
    made.step(1, patches(), torch.zeros(4, dtype=torch.int64))
    pairs = zip(made.average.module.parameters(), made.network.parameters(), strict=True)
    assert all(torch.allclose(mine, theirs) for mine, theirs in pairs)
    assert not all(torch.equal(a, b) for a, b in zip(before, made.average.module.parameters(), strict=True))


def test_the_papers_figures_are_the_defaults() -> None:
    budget = StyleGan2Mask.budgets["paper"]
    found = StyleGan2MaskConfig().resolve(budget)
    assert (found.latent, found.mapping_layers, found.embedding, found.levels) == (512, 2, 2048, 4)
    assert (found.d2d, found.margin, found.temperature) == (0.5, 0.9, 0.25)
    assert (found.r1, found.r1_every, found.path, found.path_every, found.mixing) == (0.2, 16, 2, 4, 0.9)
    assert (found.diff_augment, found.ada, found.apa, found.check_every) == (True, True, True, 500)
    assert (budget.batch_size, budget.steps) == (16, 60_000)
    made = training()
    for optimiser in (made.draws, made.judges):
        assert (optimiser.defaults["lr"], optimiser.defaults["betas"]) == (2.5e-3, (0.0, 0.99))
