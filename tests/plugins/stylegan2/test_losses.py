"""Losses have the values of a calculation by hand, and what watches a training does as it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from synthbench.toolkit.training.loop import Diverged
from synthbench_stylegan2.adaptive import AdaptiveProbability
from synthbench_stylegan2.losses import PathLengthPenalty, d2d_ce, discriminator_loss, generator_loss, r1_penalty
from synthbench_stylegan2.selection import BestWeights


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_d2d_ce_by_hand() -> None:
    """Cosines: image 0 to its proxy 1, image 1 to its proxy .6, the two to one another .8."""
    embedding, proxies = torch.tensor([[1.0, 0.0], [0.8, 0.6]]), torch.eye(2)
    loss = d2d_ce(embedding, proxies, torch.tensor([0, 1]), 0.9, 0.25)
    push, pull = np.exp((0.8 - 0.1) / 0.25), np.exp((0.6 - 0.9) / 0.25)
    assert loss.item() == pytest.approx((-np.log(1 / (1 + push)) - np.log(pull / (pull + push))) / 2, rel=1e-5)
    same = d2d_ce(embedding, proxies, torch.tensor([0, 0]), 0.9, 0.25)
    assert same.item() == pytest.approx(0, abs=1e-6)


def test_easy_images_have_no_gradient() -> None:
    embedding = torch.tensor([[0.95, 0.3122, 0.0], [-0.95, 0.0, 0.3122]], requires_grad=True)
    proxies = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    d2d_ce(embedding, proxies, torch.tensor([0, 1]), 0.9, 0.25).backward()
    assert embedding.grad.abs().max() == 0


def test_adversarial_losses_and_r1_by_hand() -> None:
    logit = torch.tensor([0.0, 2.0])
    assert generator_loss(logit).item() == pytest.approx((np.log(2) + np.log1p(np.exp(-2))) / 2)
    assert discriminator_loss(logit, -logit).item() == pytest.approx(2 * generator_loss(logit).item())
    slope, planes = torch.randn(1, 2, 4, 4), torch.randn(3, 2, 4, 4, requires_grad=True)
    penalty = r1_penalty((slope * planes).sum(dim=(1, 2, 3)), planes)
    assert penalty.item() == pytest.approx(0.5 * slope.square().sum().item(), rel=1e-5)


def test_path_length_by_hand() -> None:
    """Planes that are all k times one number of the style: a step in it is k · Σ noise / √(H W) long."""
    path_length, k = PathLengthPenalty(torch.device("cpu"), 0.01), torch.tensor(3.0, requires_grad=True)
    styles = torch.ones(2, 2, 5, requires_grad=True)
    planes = (k * styles[:, 0, 0])[:, None, None, None].expand(2, 1, 4, 4)
    noise = torch.randn((2, 1, 4, 4), generator=chance())
    expected = (3 * noise.sum(dim=(1, 2, 3)) / 4).abs() / 2**0.5
    penalty = path_length(planes, styles, chance())
    assert path_length.pl_mean.item() == pytest.approx(0.01 * expected.mean().item(), rel=1e-5)
    assert penalty.item() == pytest.approx((expected - path_length.pl_mean).square().mean().item(), rel=1e-5)
    penalty.backward()
    assert k.grad > 0


def test_the_chance_of_augmentation_follows_how_sure_the_discriminator_is() -> None:
    adaptive = AdaptiveProbability(0.6, 0.05)
    for _ in range(8):
        adaptive.update(torch.ones(5))
    assert adaptive.p == pytest.approx(0.4)
    for _ in range(4):
        adaptive.update(torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0, -1.0]))
    assert adaptive.p == pytest.approx(0.2)
    adaptive.update(-torch.ones(5))
    again = AdaptiveProbability(0.6, 0.05)
    again.load_state_dict(adaptive.state_dict())
    for one in (adaptive, again):
        for _ in range(3):
            one.update(torch.ones(5))
        assert one.p == 0.0
        for _ in range(48):
            one.update(torch.ones(5))
        assert one.p == 1.0


def test_the_weights_nearest_to_the_training_patches_are_kept() -> None:
    real = torch.randn(32, 2, 16, 16, generator=chance())
    kept, best, seen = nn.Linear(1, 1), BestWeights(lambda: real, 1), []
    for value, shift in enumerate([2.0, 0.1, 1.0]):
        nn.init.constant_(kept.weight, value)
        best.update(real.flip(0) + shift, kept)
        seen.append(best.last)
    assert best.distance == min(seen) == seen[1]
    again = BestWeights(lambda: real, 1)
    again.load_state_dict(best.state_dict())
    again.restore(kept)
    assert (kept.weight.item(), again.last) == (1.0, seen[2])
    best.update(real, kept)
    assert best.last == pytest.approx(0, abs=1e-6)
    with pytest.raises(Diverged, match="aren't finite"):
        best.update(real * torch.nan, kept)


@pytest.mark.parametrize("channels", [1, 2])
def test_blurred_images_are_seen_even_beside_good_masks(channels: int) -> None:
    """The mask's planes vary far more than the image's; each counts by its own floor."""
    grain = torch.randn(64, 2, 32, 32, generator=chance())
    mask = F.avg_pool2d(torch.randn(64, 2, 32, 32, generator=chance(1)), 9, 1, 4).sign()
    real, drawn = (torch.cat([0.05 * grain[:, :channels], mask], dim=1), torch.cat([grain[:, :channels], mask], dim=1))
    drawn[:, :channels] = 0.05 * F.avg_pool2d(drawn[:, :channels], 5, 1, 2)
    best, network = BestWeights(lambda: real, channels), nn.Linear(1, 1)
    best.update(real.flip(0), network)
    same = best.last
    best.update(drawn, network)
    assert best.last > same + 2
