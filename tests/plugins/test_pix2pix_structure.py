"""The structural candidates: hand-worked values, and that each rewards lines where the mask has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from skimage.metrics import structural_similarity

from synthbench import Sample, SampleSet
from synthbench_pix2pix.structure import (
    SIGMAS,
    WEIGHTS,
    cldice_loss,
    foreground,
    ridges,
    ssim_loss,
    structural,
    suited,
    weighted_l1,
)


def line(height: int = 32, width: int = 40, row: int = 15) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright line, three pixels wide and soft, on a dark ground, and its mask."""
    rows = torch.arange(height, dtype=torch.float32)[:, None].expand(height, width)
    image = -0.8 + 1.4 * torch.exp(-((rows - row) ** 2) / 2)
    return image[None, None].contiguous(), ((rows - row).abs() <= 1).float()[None, None]


def test_the_foreground_is_what_is_not_background() -> None:
    labels = torch.tensor([[0, 1], [2, 0]])
    planes = torch.stack([(labels == k).float() for k in range(3)])[None]
    assert foreground(planes, semantic=True)[0, 0].tolist() == [[0, 1], [1, 0]]
    distances = torch.tensor([[0.0, 0.3], [1.0, 0.0]])[None, None]
    assert foreground(distances, semantic=False)[0, 0].tolist() == [[0, 1], [1, 0]]


def test_weighted_l1_counts_the_foreground_and_its_boundary_alone() -> None:
    """5 × 5 pixels, one of them foreground: it has weight 2, its eight neighbours 1, the others none."""
    mask = torch.zeros(1, 1, 5, 5)
    mask[..., 2, 2] = 1
    real, fake = torch.zeros(1, 3, 5, 5), torch.zeros(1, 3, 5, 5)
    fake[:, 0, 2, 2], fake[:, :, 1, 1], fake[:, :, 0, 0] = 3.0, 0.5, 9.0
    assert weighted_l1(fake, real, mask).item() == pytest.approx((2 * 1.0 + 0.5) / (2 + 8))
    assert weighted_l1(fake, real, torch.zeros_like(mask)).item() == 0


def test_ssim_loss_is_scikit_images_similarity_where_the_mask_is() -> None:
    rng = np.random.default_rng(0)
    real = rng.uniform(-1, 1, (24, 24))
    fake = np.clip(real + rng.normal(0, 0.2, real.shape), -1, 1)
    images = [torch.from_numpy(a)[None, None] for a in (fake, real)]
    everywhere = torch.ones_like(images[0])
    expected = structural_similarity(
        *(np.pad(a, 5, "reflect") for a in (fake, real)),
        data_range=2.0,
        gaussian_weights=True,
        use_sample_covariance=False,
        full=True,
    )[1][5:-5, 5:-5]
    assert ssim_loss(*images, everywhere).item() == pytest.approx(1 - expected.mean(), abs=1e-6)
    spot = torch.zeros_like(everywhere)
    spot[..., 12, 12] = 1
    assert ssim_loss(*images, spot).item() == pytest.approx(1 - expected[10:15, 10:15].mean(), abs=1e-6)


def test_ridges_are_the_negative_lower_eigenvalue_of_the_hessian() -> None:
    rng = np.random.default_rng(1)
    plane = torch.nn.functional.avg_pool2d(torch.from_numpy(rng.normal(size=(1, 1, 48, 48))), 5, 1, 2)
    expected = []
    for sigma in SIGMAS:
        hessian = hessian_matrix(plane[0, 0].numpy(), sigma, mode="mirror", order="rc", use_gaussian_derivatives=True)
        expected.append(np.maximum(-hessian_matrix_eigvals(hessian)[1], 0) * sigma**2)
    inner = (slice(12, -12), slice(12, -12))
    ours, theirs = ridges(plane)[0, 0].numpy()[inner], np.max(expected, axis=0)[inner]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.1)
    assert ridges(torch.full((1, 1, 20, 20), 0.7)).max() < 1e-4


@pytest.mark.parametrize("dark", [False, True])
def test_cldice_loss_rewards_whole_lines_of_either_sign(dark: bool) -> None:
    image, mask = line()
    image = -image if dark else image
    gap = image.clone()
    gap[..., 14:26] = image[..., :1, :1]
    whole, cut, flat = (cldice_loss(fake, image, mask).item() for fake in (image, gap, torch.zeros_like(image)))
    assert whole < 0.25
    assert whole + 0.1 < cut < flat


@pytest.mark.parametrize("name", WEIGHTS)
def test_each_candidate_has_a_gradient_and_no_nan(name: str) -> None:
    image, mask = line()
    planes = torch.cat([1 - mask, mask], dim=1)
    (term,) = structural(name, None, semantic=True)
    assert (term.name, term.weight) == (name, WEIGHTS[name])
    for condition in (planes, torch.cat([torch.ones_like(mask), torch.zeros_like(mask)], dim=1)):
        fake = torch.zeros_like(image).requires_grad_()
        term.compare(fake, image, condition).backward()
        assert torch.isfinite(fake.grad).all()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    fake = (0.5 * image + 0.05 * noise).requires_grad_()
    before = term.compare(fake, image, planes)
    before.backward()
    assert term.compare(fake - 0.002 * fake.grad / fake.grad.abs().max(), image, planes) < before


def test_patches_without_foreground_say_nothing_of_lines() -> None:
    """Beside real ones they would drown them: nothing is known of how much a line stands out."""
    image, mask = line()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    fake = (0.5 * image + 0.05 * noise).requires_grad_()
    blank = torch.zeros_like(mask)
    assert cldice_loss(fake, noise, blank).item() == 0
    alone = cldice_loss(fake, image, mask)
    both = cldice_loss(torch.cat([fake, fake]), torch.cat([image, noise]), torch.cat([mask, blank]))
    assert both.item() == pytest.approx(alone.item(), abs=1e-6)
    (gradient,) = torch.autograd.grad(cldice_loss(fake, 1e-4 * image, mask), fake)
    assert gradient.norm() < 1


def test_none_is_no_term_and_a_weight_can_be_given() -> None:
    assert structural("none", None, semantic=True) == []
    assert structural("ssim", 3.0, semantic=False)[0].weight == 3.0


def classes(width: int, task: str) -> SampleSet:
    """Two images, one of them empty, with one stripe of a width in pixels."""
    labels = np.zeros((2, 64, 64), np.int32)
    labels[1, 10 : 10 + width, 2:62] = 1
    return SampleSet.of([Sample(f"{k}", np.zeros((64, 64), np.uint8), labels[k]) for k in range(2)], task=task)


def test_lines_are_held_together_and_nothing_else_is() -> None:
    assert suited(classes(3, "semantic")) == "cldice"
    assert suited(classes(30, "semantic")) == "none"
    assert suited(classes(0, "semantic")) == "none"
    assert suited(classes(3, "instances")) == "none"
