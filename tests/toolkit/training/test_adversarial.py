"""Adversarial losses, feature matching and the pool of earlier images, by hand."""

from __future__ import annotations

import pytest
import torch

from synthbench.toolkit.training.adversarial import (
    ImagePool,
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    lsgan,
)

LOGITS = torch.tensor([[-2.0, 0.0, 3.0]])


def test_lsgan_is_the_squared_distance_from_one_or_zero():
    assert float(lsgan(LOGITS, real=True)) == pytest.approx((9 + 1 + 4) / 3)
    assert float(lsgan(LOGITS, real=False)) == pytest.approx((4 + 0 + 9) / 3)


def test_hinge_counts_what_is_on_the_wrong_side_of_the_margin():
    assert float(hinge_discriminator(LOGITS, real=True)) == pytest.approx((3 + 1 + 0) / 3)
    assert float(hinge_discriminator(LOGITS, real=False)) == pytest.approx((0 + 1 + 4) / 3)
    assert float(hinge_generator(LOGITS)) == pytest.approx(-1 / 3)


def test_features_are_compared_by_layer_without_the_logits():
    """Summed over layers, averaged over resolutions; the real ones are constants."""
    real = [[torch.zeros(2, 2, requires_grad=True), torch.zeros(3), torch.zeros(1)] for _ in range(2)]
    fake = [[torch.full((2, 2), 2.0, requires_grad=True), torch.ones(3), torch.full((1,), 99.0)] for _ in range(2)]
    loss = feature_matching(fake, real)
    assert loss.item() == pytest.approx(((2 + 1) + (2 + 1)) / 2)
    assert feature_matching(fake, real, 0.8).item() == pytest.approx(0.8 * 3)
    loss.backward()
    assert fake[0][0].grad is not None
    assert real[0][0].grad is None


def test_a_pool_is_filled_and_then_exchanges_every_second_image():
    pool = ImagePool(5, torch.Generator().manual_seed(0))
    first = torch.arange(5.0)[:, None, None, None]
    assert torch.equal(pool.exchange(first), first)
    returned = [float(pool.exchange(torch.full((1, 1, 1, 1), float(value)))) for value in range(5, 1005)]
    earlier = [old < new for old, new in zip(returned, range(5, 1005), strict=True)]
    assert 0.45 < sum(earlier) / len(earlier) < 0.55
    assert len(pool.images) == 5
    kept = {float(image) for image in pool.images}
    assert sorted([*returned, *kept]) == sorted(float(value) for value in range(1005)), "no image is lost or doubled"


def test_a_pool_without_places_passes_images_on():
    pool = ImagePool(0, torch.Generator())
    image = torch.rand(2, 1, 3, 3, requires_grad=True)
    assert torch.equal(pool.exchange(image), image)
    assert not pool.exchange(image).requires_grad


def test_a_pool_that_was_saved_goes_on_alike():
    pools = [ImagePool(3, torch.Generator().manual_seed(1)) for _ in range(2)]
    pools[0].exchange(torch.rand(4, 1, 2, 2))
    pools[1].load_state_dict(pools[0].state_dict())
    pools[1].random.set_state(pools[0].random.get_state())
    new = torch.rand(8, 1, 2, 2)
    assert torch.equal(pools[0].exchange(new), pools[1].exchange(new))
