"""Differentiable augmentations: light of the image alone, geometry of both, and gradients that get through."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from synthbench.toolkit.training import augmentation
from synthbench.toolkit.training.augmentation import POLICIES, ada_augment, adjust_colours, diff_augment


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 16, channels: int = 3, masks: int = 2, side: int = 32) -> torch.Tensor:
    return torch.rand((count, channels + masks, side, side), generator=chance(9)) * 2 - 1


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("augment", ["diff", "ada"])
def test_stains_do_not_leak_into_each_other(channels, augment):
    planes = pictures(channels=channels)
    if augment == "diff":
        changed = diff_augment(planes, channels, policies=["colour"], random=chance())
    else:
        changed = adjust_colours(planes[:, :channels], 1.0, chance())
    for before, after in zip(planes[:, :channels].flatten(0, 1), changed[:, :channels].flatten(0, 1), strict=True):
        assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.9999
    assert not torch.equal(planes, changed)


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_of_the_image_change_and_the_mask_does_not(channels):
    planes = pictures(channels=channels)
    changed = diff_augment(planes, channels, policies=["colour"], random=chance())
    assert torch.equal(changed[:, channels:], planes[:, channels:])
    assert ((changed - planes)[:, :channels].abs().amax(dim=(1, 2, 3)) > 0.01).all()


def test_colours_change_by_what_the_paper_says():
    """An image of one grey only gets brighter or darker; of a grey image, the spread around its mean is scaled."""
    flat = torch.full((500, 3, 4, 4), 0.25)
    moved = diff_augment(flat, 3, policies=["colour"], random=chance()) - flat
    assert moved.std(dim=(1, 2, 3)).max() < 1e-6
    assert moved.min() == pytest.approx(-0.5, abs=0.02)
    assert moved.max() == pytest.approx(0.5, abs=0.02)
    grey = pictures(500, channels=1, masks=0, side=4)
    ratio = diff_augment(grey, 1, policies=["colour"], random=chance()).std(dim=(1, 2, 3)) / grey.std(dim=(1, 2, 3))
    assert ratio.min() == pytest.approx(0.5, abs=0.02)
    assert ratio.max() == pytest.approx(1.5, abs=0.02)


def test_saturation_scales_colours_by_up_to_twice():
    """Contrast scales them too, by another number; the two are independent and have a mean of 1."""
    colour = torch.tensor([0.4, -0.1, 0.3]).reshape(1, 3, 1, 1).expand(2000, 3, 2, 2)
    changed = diff_augment(colour, 3, policies=["colour"], random=chance())
    scaled = (changed[:, 0] - changed[:, 1]) / 0.5
    assert scaled.mean() == pytest.approx(1, abs=0.05)
    assert scaled[:, 0, 0].std() == pytest.approx((4 / 3 * 13 / 12 - 1) ** 0.5, rel=0.05)


def test_image_and_mask_move_together_and_leave_nothing_behind():
    image = torch.arange(1.0, 16 * 24 + 1).reshape(1, 1, 16, 24).expand(200, 1, -1, -1)
    moved = diff_augment(torch.cat([image, 2 * image], dim=1), 1, policies=["translation"], random=chance())
    assert torch.equal(moved[:, 1], 2 * moved[:, 0])
    shifts = set()
    for one in moved[:, 0]:
        down, right = min(
            ((d, r) for d in range(-2, 3) for r in range(-3, 4)),
            key=lambda by: (torch.roll(image[0, 0], by, (0, 1)) != one).sum().item(),
        )
        expected = torch.zeros_like(one)
        kept = image[0, 0, max(0, -down) : 16 - max(0, down), max(0, -right) : 24 - max(0, right)]
        expected[max(0, down) : 16 + min(0, down), max(0, right) : 24 + min(0, right)] = kept
        assert torch.equal(one, expected)
        shifts.add((down, right))
    assert len(shifts) == 5 * 7


def test_a_square_of_half_the_side_is_cut_out_of_all_planes():
    cut = diff_augment(torch.ones(300, 2, 32, 32), 1, policies=["cutout"], random=chance()) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    rows, columns = cut[:, 0].any(dim=2).sum(dim=1), cut[:, 0].any(dim=1).sum(dim=1)
    assert torch.equal(cut[:, 0].sum(dim=(1, 2)), rows * columns)
    assert (rows.max(), columns.max()) == (16, 16)
    assert rows.min() < 10


@pytest.mark.parametrize("policy", POLICIES)
def test_each_image_is_changed_with_the_chance_it_is_given(policy):
    planes = pictures(1000, 1, 1, 8)
    changed = (diff_augment(planes, 1, policies=[policy], p=0.2, random=chance()) != planes).flatten(1).any(dim=1)
    assert changed.float().mean() == pytest.approx(0.2, abs=0.04)
    assert torch.equal(diff_augment(planes, 1, policies=[policy], p=0.0), planes)


def test_a_mask_alone_keeps_its_values():
    mask = (pictures(64, 0, 1) > 0).float() + 1
    assert set(diff_augment(mask, 0, random=chance()).unique().tolist()) == {0.0, 1.0, 2.0}
    assert set(ada_augment(mask, 0, 1.0, random=chance()).unique().tolist()) == {1.0, 2.0}


@pytest.mark.parametrize("change", [diff_augment, partial(ada_augment, p=1.0)])
def test_the_seed_decides_and_gradients_get_through(change):
    planes = pictures(4).requires_grad_()
    changed = change(planes, 3, random=chance(3))
    assert torch.equal(changed, change(planes, 3, random=chance(3)))
    assert not torch.equal(changed, change(planes, 3, random=chance(4)))
    changed.square().sum().backward()
    assert planes.grad.isfinite().all()
    assert (planes.grad != 0).any(dim=3).any(dim=2).all()


# -- ADA --------------------------------------------------------------------------------------------------------------


def test_ada_without_chance_changes_nothing_and_with_chance_a_share():
    planes = pictures(600, 1, 1, 8)
    assert ada_augment(planes, 1, 0.0) is planes
    changed = ((ada_augment(planes, 1, 0.1, random=chance()) - planes).abs() > 1e-4).flatten(2).any(dim=2)
    assert changed[:, 1].float().mean() < changed[:, 0].float().mean()
    assert changed[:, 0].float().mean() == pytest.approx(1 - 0.9**6, abs=0.08)


def test_ada_moves_image_and_mask_alike():
    """A bright disc of the image stays where the mask has it, and turning keeps its middle on the way."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(48), indexing="ij")
    disc = 2 * (((rows - 25) ** 2 + (columns - 20) ** 2) < 64).float() - 1
    planes = ada_augment(torch.stack([disc, disc]).expand(40, 2, 64, 48), 1, 0.8, random=chance())
    inside, outside = planes[:, 1] > 0, planes[:, 1] < 0
    for image, within, without in zip(planes[:, 0], inside, outside, strict=True):
        assert within.sum() > 20
        assert image[within].mean() > image[without].mean() + 0.5
    shapes = {int(within.sum()) for within in inside}
    assert len(shapes) > 20


def test_ada_scales_and_stretches_by_what_the_paper_says_whatever_the_shape_of_the_image():
    """In pixels the map is a turn, a stretch and a turn: its singular values are s·f and s/f."""
    image = torch.zeros(4000, 1, 20, 40)
    pixels = torch.diag(torch.tensor([20.0, 10.0]))
    maps = pixels @ augmentation.affine_transforms(image, 1.0, chance())[:, :2, :2] @ torch.linalg.inv(pixels)
    large, small = torch.linalg.svdvals(maps).log2().unbind(dim=1)
    assert ((large + small) / 2).square().mean().sqrt() == pytest.approx(0.2, rel=0.05)
    assert ((large - small) / 2).square().mean().sqrt() == pytest.approx(0.2, rel=0.05)
    turned = torch.atan2(maps[:, 1, 0] - maps[:, 0, 1], maps[:, 0, 0] + maps[:, 1, 1])
    assert turned.abs().median() == pytest.approx(torch.pi / 2, rel=0.1)


def test_ada_moves_by_an_eighth_of_the_side():
    maps = augmentation.affine_transforms(torch.zeros(4000, 1, 20, 40), 1.0, chance())
    moved = torch.linalg.solve(maps[:, :2, :2], maps[:, :2, 2]) / 2
    assert moved.square().mean(dim=0).sqrt().tolist() == pytest.approx([1 / 8, 1 / 8], rel=0.05)


def test_ada_changes_light_by_what_the_paper_says():
    """Two levels tell brightness and contrast apart."""
    levels = torch.tensor([-0.5, 0.5]).expand(4000, 1, 1, 2)
    dark, light = augmentation.adjust_colours(levels, 1.0, chance()).flatten(1).unbind(dim=1)
    contrast = light - dark
    assert contrast.log2().square().mean().sqrt() == pytest.approx(0.5, rel=0.05)
    assert ((dark + light) / 2 / contrast).square().mean().sqrt() == pytest.approx(0.2, rel=0.05)


def test_hue_turns_around_grey_and_keeps_brightness():
    """Grey planes go the way that the mean of coloured ones goes, and colours keep their distance among each other."""
    planes = pictures(200, 3, 0, 4)
    tinted, grey = (augmentation.adjust_colours(x, 1.0, chance(5)) for x in (planes, planes.mean(dim=1, keepdim=True)))
    assert torch.allclose(tinted.mean(dim=1, keepdim=True), grey, atol=1e-4)
    before, after = (x.var(dim=1).flatten(1) for x in (planes, tinted))
    ratio = after / before
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-2)
    assert ratio.std() > 0.5
