"""The losses have the values of a calculation by hand, and are lowest where their target is met."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from synthbench_cganseg.losses import cross_entropy, dice, discriminator_loss, half_l1, lsgan


def test_terms_have_the_values_of_a_calculation_by_hand():
    logits = torch.tensor([[[[0.5, 2.0]]]])
    assert lsgan(logits, real=True) == pytest.approx((0.25 + 1) / 2)
    assert discriminator_loss(logits, logits) == pytest.approx(((0.25 + 1) / 2 + (0.25 + 4) / 2) / 2)
    assert discriminator_loss(logits, logits - 1) == pytest.approx(((0.25 + 1) / 2 + (0.25 + 1) / 2) / 2)
    assert half_l1(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.5])) == pytest.approx(0.375)
    mask, shares = torch.tensor([[[[1.0, 0.0, 1.0]]]]), torch.tensor([[[[0.5, 0.5, 1.0]]]])
    assert dice(shares, mask) == pytest.approx(1 - (2 * 1.5 + 1) / (1.5 + 2 + 1))


def test_cross_entropy_and_dice_are_lowest_where_a_distance_is_met():
    mask = torch.tensor([0.1, 0.4, 0.9, 1.0]).reshape(1, 1, 2, 2)
    right = torch.logit(mask, eps=1e-6)
    for off in (-0.5, 0.5):
        assert cross_entropy(right, mask, semantic=False) < cross_entropy(right + off, mask, semantic=False)
        assert dice(right.sigmoid(), mask) < dice((right + off).sigmoid(), mask)
    assert dice(mask, mask) == pytest.approx(0, abs=1e-6)


def test_cross_entropy_of_classes_is_that_of_the_pixels():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    mask = functional.one_hot(classes, 3).movedim(-1, 1).float()
    assert cross_entropy(logits, mask, semantic=True) == pytest.approx(functional.cross_entropy(logits, classes).item())
