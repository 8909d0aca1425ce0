"""A step of training: penalties, classes, mixed styles, augmentation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from synthbench_stylegan2.config import StyleGan2MaskConfig
from synthbench_stylegan2.discriminator import Discriminator
from synthbench_stylegan2.generator import StyleGan2Mask
from synthbench_stylegan2.networks import GeneratorNetwork, MappingNetwork, SynthesisNetwork
from synthbench_stylegan2.training import StyleGan2Training

SMALL = {"mask_encoding": "grey", "channel_max": 16, "channel_base": 256, "z_dim": 16, "w_dim": 16, "d_embed_dim": 16}


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def training(*, classes: int = 1, **config: object) -> StyleGan2Training:
    regularised = {"d_reg_interval": 4, "g_reg_interval": 3, "pl_weight": 2.0, "r1_images": "augmented"}
    alone = {"ada": False, "apa": False, "diff_augment": False}
    resolved = StyleGan2MaskConfig(**{**SMALL, **regularised, **alone, **config})
    named = classes if classes > 1 else 0
    torch.manual_seed(0)
    synthesis = SynthesisNetwork(32, 1, 16, 256, 16, 1, 1, classes=False)
    return StyleGan2Training(
        resolved,
        GeneratorNetwork(MappingNetwork(16, 16, named, 2), synthesis),
        Discriminator(32, 1, 16, 256, 2, named, 16),
        image_planes=1,
        class_fractions=[1 / classes] * classes,
        batch_size=4,
        seed=0,
        random=chance(),
    )


def patches(seed: int = 0) -> torch.Tensor:
    return torch.randn(4, 2, 32, 32, generator=chance(seed))


def test_penalties_join_the_losses_of_their_steps_times_the_steps_between() -> None:
    for number in range(7):
        seen = training().step(number, patches(), torch.zeros(4, dtype=torch.int64))
        penalties = {name for name, every in (("r1_penalty", 4), ("pl_penalty", 3)) if number % every == 0}
        expected = {"d_loss", "g_loss"} | penalties
        assert set(seen) == expected
    once, twice = (training(**c).step(0, patches(), torch.zeros(4, dtype=torch.int64)) for c in ({}, {"r1_gamma": 0.4}))
    assert twice["r1_penalty"].item() == pytest.approx(2 * once["r1_penalty"].item(), rel=1e-4)
    rare = training(d_reg_interval=8, g_reg_interval=6).step(0, patches(), torch.zeros(4, dtype=torch.int64))
    for name in ("r1_penalty", "pl_penalty"):
        assert float(rare[name]) == pytest.approx(2 * float(once[name]), rel=1e-4)
    without = training(r1_gamma=0, pl_weight=0.0).step(0, patches(), torch.zeros(4, dtype=torch.int64))
    assert set(without) == {"d_loss", "g_loss"}


def test_classes_are_told_apart_where_there_are_any() -> None:
    members = torch.tensor([0, 1, 1, 0])
    seen = training(classes=2).step(1, patches(), members)
    assert set(seen) == {"d_loss", "g_loss", "d_class", "g_class"}
    heavy = training(classes=2, cond_lambda=1.0).step(1, patches(), members)
    assert float(heavy["d_class"]) == pytest.approx(2 * float(seen["d_class"]), rel=1e-4)


@pytest.mark.parametrize(("mixing", "mixed"), [(0.0, False), (1.0, True)])
def test_styles_are_mixed_in_the_share_of_the_steps_that_was_asked_for(mixing: float, mixed: bool) -> None:
    made, told = training(style_mixing_prob=mixing), []
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
    made.augmentation.p = p
    made.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    real = patches()
    made.step(1, real, torch.zeros(4, dtype=torch.int64))
    shown = seen[0]
    assert len(shown) == 4
    assert sum(bool((patch == real).flatten(1).all(dim=1).any()) for patch in shown) == kept


def test_the_discriminator_learns_to_tell_and_the_other_network_to_pass() -> None:
    """Worked out from the verdicts on what each was shown: real patches, drawn ones, and drawn ones anew."""
    made, shown = training(), []
    made.discriminator.register_forward_hook(
        lambda _, given, logits: shown.append((given[0].detach(), logits.logit.detach()))
    )
    real = patches()
    losses = made.step(1, real, torch.zeros(4, dtype=torch.int64))
    (first, of_real), (_, of_fake), (_, of_drawn) = shown
    assert torch.equal(first, real)
    assert losses["d_loss"].item() == pytest.approx((F.softplus(-of_real).mean() + F.softplus(of_fake).mean()).item())
    assert losses["g_loss"].item() == pytest.approx(F.softplus(-of_drawn).mean().item())


def test_all_that_the_discriminator_sees_is_augmented() -> None:
    made, shown = training(), []
    made.augment = lambda planes: 0 * planes + 7
    made.discriminator.register_forward_pre_hook(lambda _, given: shown.append(given[0].detach()))
    made.step(1, patches(), torch.zeros(4, dtype=torch.int64))
    assert [bool((planes == 7).all()) for planes in shown] == [True] * 3


@pytest.mark.parametrize("config", [{"diff_augment": True}, {"ada": True}])
def test_augmentation_leaves_the_values_of_masks(config: dict[str, bool]) -> None:
    made = training(**config)
    made.augmentation.p = 1.0
    planes = torch.cat([patches()[:, :1], patches(1)[:, 1:].sign()], dim=1)
    found = made.augment(planes)
    assert set(found[:, 1].unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert not torch.allclose(found[:, 0], planes[:, 0], atol=0.1)


def test_drawn_patches_among_the_real_ones_keep_their_class_and_say_nothing_of_how_sure_it_is() -> None:
    made, seen = training(classes=2, apa=True), {}
    made.augmentation.p = 1.0
    made.sample_classes = lambda count: torch.ones(count, dtype=torch.int64)
    class_loss = made.class_loss

    def watched(name: str, logits: Any, classes: torch.Tensor) -> dict[str, torch.Tensor]:
        seen[name] = classes.tolist()
        return class_loss(name, logits, classes)

    made.class_loss = watched
    made.augmentation.update = lambda logit: seen.update(r_t=len(logit))
    made.step(1, patches(), torch.zeros(4, dtype=torch.int64))
    assert seen == {"d_class": [1, 1, 1, 0], "g_class": [1, 1, 1, 1], "r_t": 1}


@pytest.mark.parametrize(("r1_images", "scale"), [("original", 9.0), ("augmented", 1.0)])
def test_r1_is_taken_by_the_images_before_or_after_augmentation(r1_images: str, scale: float) -> None:
    """An augmentation that multiplies by 3 makes the squared gradient by what was before it 9 times as large."""

    def penalty(factor: float) -> float:
        made = training(r1_images=r1_images)
        made.augment = lambda planes: factor * planes
        return float(made.step(0, patches() / factor, torch.zeros(4, dtype=torch.int64))["r1_penalty"])

    assert penalty(3.0) == pytest.approx(scale * penalty(1.0), rel=1e-4)


def test_r1_by_the_original_images_passes_through_all_augmentations() -> None:
    made = training(r1_images="original", diff_augment=True, ada=True)
    made.augmentation.p = 1.0
    losses = made.step(0, patches(), torch.zeros(4, dtype=torch.int64))
    assert 0 < float(losses["r1_penalty"]) < float("inf")


def test_the_average_follows_the_network() -> None:
    made = training(ema_decay=0.0)
    before = [weights.clone() for weights in made.average.module.parameters()]
    made.step(1, patches(), torch.zeros(4, dtype=torch.int64))
    pairs = zip(made.average.module.parameters(), made.network.parameters(), strict=True)
    assert all(torch.allclose(mine, theirs) for mine, theirs in pairs)
    assert not all(torch.equal(a, b) for a, b in zip(before, made.average.module.parameters(), strict=True))


def test_the_papers_figures_are_the_defaults() -> None:
    budget = StyleGan2Mask.budgets["paper"]
    found = StyleGan2MaskConfig().resolve(budget)
    assert (found.z_dim, found.w_dim, found.mapping_layers, found.d_embed_dim, found.grey_levels) == (
        512,
        512,
        2,
        2048,
        4,
    )
    assert (found.cond_lambda, found.m_p, found.temperature) == (0.5, 0.9, 0.25)
    assert (found.r1_gamma, found.d_reg_interval, found.pl_weight, found.g_reg_interval) == (0.2, 16, 2, 4)
    assert (found.style_mixing_prob, found.pl_batch_shrink, found.pl_decay) == (0.9, 2, 0.01)
    assert (found.diff_augment, found.ada, found.apa, found.selection_interval) == (True, True, True, 500)
    assert (budget.batch_size, budget.steps) == (16, 60_000)
    made = training()
    for optimiser in (made.opt_g, made.opt_d):
        assert (optimiser.defaults["lr"], optimiser.defaults["betas"]) == (2.5e-3, (0.0, 0.99))
