"""The cycle: gradients reach both networks, and every term the ones that it is made of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from synthbench.toolkit.intensity.texture import BANDS, measure_texture
from synthbench_cganseg.losses import dice

TERMS = {"image_gan", "mask_gan", "image_cycle", "image_identity", "mask_cycle", "mask_identity"}


def pull(term: torch.Tensor, network: nn.Module) -> float:
    """Return the norm of a term's gradient in a network's parameters; NaN where it doesn't depend on them."""
    found = torch.autograd.grad(term, list(network.parameters()), retain_graph=True, allow_unused=True)
    known = [g.square().sum() for g in found if g is not None]
    return float(torch.stack(known).sum().sqrt()) if known else math.nan


@pytest.mark.parametrize("task", ["instances", "semantic"])
@pytest.mark.parametrize("mask_gradient", ["straight-through", "soft"])
def test_adversarial_and_cycle_terms_reach_the_segmenter(cycle, blob_set, semantic_set, task, mask_gradient):
    """Every layer of it: a term that ends at a hard mask would leave nothing."""
    around, batch = cycle(blob_set if task == "instances" else semantic_set, mask_gradient=mask_gradient)
    terms, _ = around.terms(batch)
    assert set(terms) == TERMS
    for name in ("mask_gan", "image_cycle", "mask_cycle", "mask_identity"):
        gradients = torch.autograd.grad(terms[name], list(around.segmenter.parameters()), retain_graph=True)
        pairs = zip(gradients, around.segmenter.parameters(), strict=True)
        assert all(float(g.abs().max()) > 0 for g, p in pairs if p.ndim > 1), name
        assert all(bool(g.isfinite().all()) for g in gradients)


def test_each_term_reaches_the_networks_it_is_made_of(cycle, blob_set):
    around, batch = cycle(blob_set)
    terms, fake = around.terms(batch)
    of_images = {name for name in TERMS if pull(terms[name], around.generator) > 0}
    of_masks = {name for name in TERMS if pull(terms[name], around.segmenter) > 0}
    assert of_images == {"image_gan", "image_cycle", "image_identity", "mask_cycle"}
    assert of_masks == {"mask_gan", "image_cycle", "mask_cycle", "mask_identity"}
    judging = around.discriminator_loss({"image": batch.image, "mask": batch.mask}, fake)
    assert math.isnan(pull(judging, around.segmenter))
    assert pull(judging, around.discriminators) > 0


def test_no_distance_is_asked_back_from_a_drawn_image(cycle, blob_set):
    around, batch = cycle(blob_set, pixel_noise=False, texture=False)
    around.image_of = lambda mask, intensities: batch.image
    first = around.terms(batch)[0]
    changed = batch.mask.clone()
    changed[:, 0] = 0.3
    second = around.terms(replace(batch, mask=changed))[0]
    assert torch.equal(first["mask_cycle"], second["mask_cycle"])
    assert not torch.equal(first["mask_identity"], second["mask_identity"])
    changed[:, 1] *= -1
    assert not torch.equal(first["mask_cycle"], around.terms(replace(batch, mask=changed))[0]["mask_cycle"])


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_a_mask_handed_straight_through_is_hard_and_has_the_soft_ones_gradient(cycle, blob_set, semantic_set, task):
    train = blob_set if task == "instances" else semantic_set
    logits = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    towards = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    gradients, values = [], []
    for mask_gradient in ("soft", "straight-through"):
        found = cycle(train, mask_gradient=mask_gradient)[0].mask_of(logits)
        gradients.append(torch.autograd.grad((found * towards).sum(), logits)[0])
        values.append(found.detach())
    assert torch.allclose(*gradients)
    soft, hard = values
    if task == "instances":
        assert torch.allclose(hard[:, 0], soft[:, 0])
        hard, soft = hard[:, 1:], soft[:, 1:]
        assert torch.equal(hard > 0, soft >= 0)
    else:
        assert torch.equal(hard.argmax(dim=1), logits.argmax(dim=1))
        assert torch.allclose(hard.sum(dim=1), torch.zeros(2, 5, 5), atol=1e-6)
    assert torch.allclose(hard.abs(), torch.ones_like(hard), atol=1e-6)


def test_a_step_moves_all_four_networks_by_its_own_term_alone(cycle, blob_set):
    """With one weight alone, a step moves just the networks that the term reaches, and the discriminators."""
    moved = {}
    for name in TERMS:
        around, batch = cycle(blob_set, **{f"{term}_weight": float(term == name) for term in TERMS})
        networks = {
            "generator": around.generator,
            "segmenter": around.segmenter,
            "discriminators": around.discriminators,
        }
        before = {key: [p.detach().clone() for p in net.parameters()] for key, net in networks.items()}
        optimisers = [
            torch.optim.SGD([*around.generator.parameters(), *around.segmenter.parameters()], 0.1),
            torch.optim.SGD(around.discriminators.parameters(), 0.1),
        ]
        around.step(batch, *optimisers)
        moved[name] = {
            key
            for key, net in networks.items()
            if not all(torch.equal(old, new) for old, new in zip(before[key], net.parameters(), strict=True))
        }
    assert moved == {
        "image_gan": {"generator", "discriminators"},
        "mask_gan": {"segmenter", "discriminators"},
        "image_cycle": {"generator", "segmenter", "discriminators"},
        "image_identity": {"generator", "discriminators"},
        "mask_cycle": {"generator", "segmenter", "discriminators"},
        "mask_identity": {"segmenter", "discriminators"},
    }


def test_discriminators_see_changed_planes_and_the_gradient_still_arrives(cycle, blob_set):
    around, batch = cycle(blob_set, p_diff=1.0)
    seen = {}

    def keep(discriminator: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen["image" if discriminator is around.discriminators["image"] else "mask"] = inputs[0].detach()

    for discriminator in around.discriminators.values():
        discriminator.register_forward_pre_hook(keep)
    terms, fake = around.terms(batch)
    for name in ("image", "mask"):
        assert not torch.equal(seen[name], fake[name].detach())
    assert pull(terms["mask_gan"], around.segmenter) > 0
    assert pull(terms["image_gan"], around.generator) > 0
    levels = set(seen["mask"][:, 1].unique().tolist())
    assert levels <= {-1.0, 0.0, 1.0}


def test_what_the_other_networks_see_of_a_drawn_image_has_the_noise_of_its_training_image(cycle, blob_set):
    """Or the discriminator knows drawn images by their lack of it, and asks for nothing else."""
    around, batch = cycle(blob_set, texture=False)
    assert batch.texture.shape[1] == 0
    asked: list[torch.Tensor] = []
    segments = around.segmenter.forward
    around.segmenter.forward = lambda planes: (asked.append(planes.detach()), segments(planes))[1]
    around.image_of = lambda mask, intensities: torch.zeros_like(batch.image)
    seen = around.terms(batch)[1]["image"]
    assert any(torch.equal(planes, seen) for planes in asked)
    noise = batch.pixel_noise
    shares = seen[noise > 0] / noise[noise > 0]
    assert float(shares.std()) == pytest.approx(1, abs=0.1)
    assert not cycle(blob_set, pixel_noise=False, texture=False)[1].pixel_noise.any()


def test_what_they_see_of_it_has_the_texture_of_its_objects(cycle, blob_set):
    around, batch = cycle(blob_set, pixel_noise=False)
    assert batch.texture.shape[1] == batch.image.shape[1] * BANDS
    around.image_of = lambda mask, intensities: torch.zeros_like(batch.image)
    seen = around.terms(batch)[1]["image"]
    for k in range(2):
        labels = blob_set[k].labels
        assert not seen[k, :, torch.from_numpy(labels == 0)].any()
        wanted, found = measure_texture(batch.image[k].numpy(), labels), measure_texture(seen[k].numpy(), labels)
        assert np.sqrt((found**2).mean()) == pytest.approx(np.sqrt((wanted**2).mean()), rel=0.3)


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_terms_are_those_of_the_paper(cycle, blob_set, semantic_set, task):
    """LSGAN, half the absolute difference, cross-entropy with Dice; of two images that are given instead of drawn."""
    train, semantic = (blob_set, False) if task == "instances" else (semantic_set, True)
    around, batch = cycle(train, p_diff=0.0, pixel_noise=False, texture=False)
    drawn, again = torch.rand((2, *batch.image.shape), generator=torch.Generator().manual_seed(0))
    given = iter((drawn, again))
    around.image_of = lambda mask, intensities: next(given)
    terms, fake = around.terms(batch)
    logits, back = around.segmenter(batch.image), around.segmenter(drawn)
    found, target = around.mask_of(logits), (batch.mask + 1) / 2

    def of_masks(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if semantic:
            return functional.cross_entropy(logits, target.argmax(dim=1)) + dice(logits.softmax(dim=1), target)
        return functional.binary_cross_entropy_with_logits(logits, target) + dice(logits.sigmoid(), target)

    seen = slice(0 if semantic else 1, None)
    expected = {
        "image_gan": (around.discriminators["image"](drawn) - 1).square().mean(),
        "mask_gan": (around.discriminators["mask"](found) - 1).square().mean(),
        "image_cycle": (again - batch.image).abs().mean() / 2,
        "image_identity": (drawn - batch.image).abs().mean() / 2,
        "mask_cycle": of_masks(back[:, seen], target[:, seen]),
        "mask_identity": of_masks(logits, target),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in expected.items()}, rel=1e-4
    )
    sides = (
        (around.discriminators["image"], batch.image, drawn),
        (around.discriminators["mask"], batch.mask, found),
    )
    expected_loss = sum(
        ((network(real) - 1).square().mean() + network(shown).square().mean()) / 2 for network, real, shown in sides
    )
    loss = around.discriminator_loss({"image": batch.image, "mask": batch.mask}, fake)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-4)


def test_the_perceptual_difference_is_added_to_the_absolute_one(cycle, blob_set):
    around, batch = cycle(blob_set, pixel_noise=False, texture=False)
    drawn, again = torch.rand((2, *batch.image.shape), generator=torch.Generator().manual_seed(0))

    class Means:
        """Tells images apart by their means."""

        def features_of(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [images.mean()]

        def __call__(self, images: torch.Tensor, seen: list[torch.Tensor]) -> torch.Tensor:
            return 5 * (images.mean() - seen[0]).abs()

    around.perceptual = Means()
    given = iter((drawn, again))
    around.image_of = lambda mask, intensities: next(given)
    terms, _ = around.terms(batch)
    for name, shown in (("image_identity", drawn), ("image_cycle", again)):
        expected = (shown - batch.image).abs().mean() / 2 + 5 * (shown.mean() - batch.image.mean()).abs()
        assert terms[name].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("mixed_prob", "mixed"), [(0.0, 0), (1.0, 1)])
def test_styles_are_mixed_as_often_as_was_asked_for(cycle, blob_set, mixed_prob, mixed):
    around, batch = cycle(blob_set, mixed_prob=mixed_prob)
    styles: list[torch.Tensor] = []
    around.generator.register_forward_pre_hook(lambda _, given: styles.append(given[1]))
    around.image_of(batch.mask, batch.intensities)
    assert (styles[0].diff(dim=1) != 0).any(dim=2).sum(dim=1).tolist() == [mixed, mixed]


def test_as_published_a_mask_is_handed_over_without_a_gradient_and_only_images_are_augmented(cycle, blob_set):
    around, batch = cycle(blob_set, mask_gradient="none", diff_augment="batch", p_diff=1.0)
    discriminated = {}

    def keep(discriminator: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        discriminated["image" if discriminator is around.discriminators["image"] else "mask"] = inputs[0].detach()

    for discriminator in around.discriminators.values():
        discriminator.register_forward_pre_hook(keep)
    terms, fake = around.terms(batch)
    assert not fake["mask"].requires_grad
    assert math.isnan(pull(terms["image_cycle"], around.segmenter))
    assert torch.equal(discriminated["mask"], fake["mask"])
    assert not torch.equal(discriminated["image"], fake["image"].detach())
    around.config = around.config.model_copy(update={"p_diff": 0.0})
    _, fake = around.terms(batch)
    assert torch.equal(discriminated["image"], fake["image"].detach())
