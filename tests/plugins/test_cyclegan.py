"""CycleGAN learns from masks and images that don't belong together, and from images without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers.trainings import SmallGenerator, pixels, same_weights, stop
from synthbench import Budget, Context, Sample, SampleSet
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.mask_to_image import ConditionedBatch
from synthbench.toolkit.training import checkpoints
from synthbench_cyclegan.config import CycleGanConfig
from synthbench_cyclegan.cycle import Cycle, as_planes
from synthbench_cyclegan.generator import CycleGan
from synthbench_cyclegan.unpaired import UnpairedBatches, unpaired_codec

SMALL = {"ngf": 4, "ndf": 4, "n_blocks": 1, "pool_size": 2}


fitted = SmallGenerator(CycleGan, SMALL, steps=2)


@pytest.fixture(scope="module")
def trained(blob_set: SampleSet) -> CycleGan:
    return fitted(blob_set)


def without_labels(train: SampleSet, prefix: str) -> SampleSet:
    return SampleSet.of(
        [
            Sample(f"{prefix}{s.id}", s.image, np.zeros_like(s.labels), ignore=np.ones(s.labels.shape, bool))
            for s in train
        ]
    )


def test_what_was_saved_draws_the_same_bytes(trained, tmp_path: Path):
    trained.save(tmp_path)
    loaded = CycleGan.load(tmp_path, Context(seed=99))
    assert pixels(loaded, [2, 0]) == pixels(trained, range(3))[::-2]


def test_a_stopped_training_goes_on_to_the_same_weights(blob_set, tmp_path: Path):
    """With full pools, whose images are part of the checkpoint."""
    stop(lambda **context: fitted(blob_set, steps=6, context=context), tmp_path, at=3)
    stored = checkpoints.read(tmp_path / "training.pt")["state"]
    assert len(stored["image_pool"]["images"]) == len(stored["mask_pool"]["images"]) == 2
    resumed = fitted(blob_set, steps=6, context={"folder": tmp_path})
    assert same_weights(fitted(blob_set, steps=6).network, resumed.network)


# -- nothing is learned from pairs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numbered() -> SampleSet:
    """Six samples whose image and mask both say which one it is: by how many columns are bright, and by the area."""
    samples = []
    for k, bright in enumerate((4, 8, 12, 20, 24, 28)):
        labels, image = np.zeros((32, 32), np.int32), np.full((32, 32), 20, np.uint8)
        labels[2 : 6 + 4 * k, 3:29], image[:, :bright] = 1, 200
        samples.append(Sample(f"{k}", image, labels))
    return SampleSet.of(samples)


def test_masks_and_images_of_a_batch_are_drawn_independently(numbered):
    context = Context(seed=0, budget=Budget(60, 6, 32))
    batches = UnpairedBatches(unpaired_codec(numbered), numbered, context)
    pairs = []
    for number in range(60):
        batch = batches[number]
        areas = (batch.mask[:, 1] > 0).float().mean(dim=(1, 2)).numpy()
        pairs += list(zip(areas.round(3), batch.image.mean(dim=(1, 2, 3)).numpy().round(3), strict=True))
        assert len(set(areas.round(3))) == 6, "each epoch has every mask once"
    assert len(set(pairs)) == 36, "every mask has met every image"


def test_images_are_the_same_whatever_their_masks_are(numbered):
    other = SampleSet.of([Sample(s.id, s.image, np.ascontiguousarray(s.labels[::-1, ::-1].T)) for s in numbered])
    context = Context(seed=0, budget=Budget(4, 3, 32))
    codecs = [unpaired_codec(train) for train in (numbered, other)]
    for name in ("normalisations", "pixel_noise", "exponent"):
        assert getattr(codecs[0], name) == getattr(codecs[1], name)
    one, two = (UnpairedBatches(*pair, context) for pair in zip(codecs, (numbered, other), strict=True))
    for number in range(4):
        assert torch.equal(one[number].image, two[number].image)
        assert torch.equal(one[number].pixel_noise, two[number].pixel_noise)
        assert not torch.equal(one[number].mask, two[number].mask)


def test_a_drawn_image_gets_the_range_of_any_training_image(trained, blob_set):
    mask = trained.sampler.sample_mask(0, 0)
    donors = {trained.donor(mask, np.random.default_rng(seed)) for seed in range(200)}
    assert donors == set(range(len(blob_set)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("intensity_conditioning", True),
        ("texture", True),
        ("condition_on", ["stage"]),
        ("draw", {"stage": {"early": 1.0}}),
    ],
)
def test_what_would_need_pairs_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: needs images with their masks"):
        CycleGanConfig.model_validate({name: value, "preset": "microscopy"})
    assert CycleGanConfig(condition_on=[]).resolve(CycleGan.budgets["quick"]).texture is False


# -- images without labels --------------------------------------------------------------------------------------------


def test_images_without_labels_are_seen_as_often_as_training_images(numbered):
    striped = np.where(np.arange(32) % 2, 20, 200).astype(np.uint8) * np.ones((32, 1), np.uint8)
    unlabelled = without_labels(SampleSet.of([Sample(f"{k}", striped, np.ones_like(striped)) for k in range(12)]), "u")
    context = Context(seed=0, budget=Budget(30, 6, 32), unlabelled=unlabelled)
    codec = unpaired_codec(numbered)
    batches = UnpairedBatches(codec, numbered, context)
    plain = UnpairedBatches(codec, numbered, replace(context, unlabelled=None))
    means = torch.cat([batches[number].image for number in range(30)]).mean(dim=(1, 2, 3))
    assert float((means.abs() < 1e-3).float().mean()) == pytest.approx(2 / 3, abs=0.02)
    assert len(set(means.numpy().round(3).tolist())) == 7, "of both kinds, all are seen"
    assert all(torch.equal(batches[number].mask, plain[number].mask) for number in range(30))


def test_the_generator_learns_from_images_without_labels(blob_set):
    assert CycleGan.uses_unlabelled
    half = blob_set[:6]
    alone = fitted(half)
    assert same_weights(alone.network, fitted(half, context={"unlabelled": None}).network)
    more = fitted(half, context={"unlabelled": without_labels(blob_set[6:], "u")})
    assert not same_weights(alone.network, more.network)
    sample = more.sample(0, 0)
    assert (sample.image.dtype, sample.image.ndim) == (half[0].image.dtype, 2)
    assert sample.labels.max() > 0
    assert len(more.codec.normalisations) == len(half)


# -- losses -----------------------------------------------------------------------------------------------------------


class Scaled(nn.Module):
    """A network without weights: the mean of its planes, times a factor."""

    def __init__(self, factor: float, planes: int) -> None:
        super().__init__()
        self.factor, self.planes = factor, planes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * as_planes(x, self.planes)


def test_terms_are_the_published_ones():
    torch.manual_seed(0)
    logits = nn.ModuleDict({name: Logits() for name in ("image", "mask")})
    config = CycleGanConfig(noise_planes=0).resolve(Budget(4, 1, 64))
    cycle = Cycle(Scaled(0.5, 1), Scaled(0.25, 2), logits, config, torch.Generator().manual_seed(0))
    image, mask = torch.rand(2, 1, 8, 8), torch.rand(2, 2, 8, 8)
    empty = mask[:, :0]
    terms, fake = cycle.terms(ConditionedBatch(image, mask, empty, torch.zeros_like(image), empty))
    mean = mask.mean(dim=1, keepdim=True)
    assert torch.equal(fake["image"], 0.5 * mean)
    assert torch.equal(fake["mask"], 0.25 * image.expand(-1, 2, -1, -1))
    expected = {
        "image_gan": (0.5 * mean - 1).square().mean(),
        "mask_gan": (0.25 * image - 1).square().mean(),
        "mask_cycle": functional.l1_loss(0.125 * mean.expand(-1, 2, -1, -1), mask),
        "image_cycle": functional.l1_loss(0.125 * image, image),
        "image_identity": functional.l1_loss(0.5 * image, image),
        "mask_identity": functional.l1_loss(0.25 * mean.expand(-1, 2, -1, -1), mask),
    }
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {name: float(term) for name, term in expected.items()}, rel=1e-5
    )
    total = sum(w * expected[name] for w, name in zip((1, 1, 10, 10, 5, 5), expected, strict=True))
    assert float(cycle.weighted(terms)) == pytest.approx(float(total), rel=1e-5)
    own = cycle.discriminator_loss({"image": image, "mask": mask}, fake)
    each = [(real.mean(dim=1) - 1).square().mean() for real in (image, mask)]
    each += [drawn.mean(dim=1).square().mean() for drawn in fake.values()]
    assert float(own) == pytest.approx(float(sum(each)) / 2, rel=1e-5)


class Logits(nn.Module):
    """A discriminator without weights: the mean of the planes, as the last of its features."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x, x.mean(dim=1, keepdim=True)]


def test_without_an_identity_loss_nothing_is_drawn_for_it(blob_set):
    config = CycleGanConfig(noise_planes=0, lambda_identity=0).resolve(Budget(4, 1, 64))
    logits = nn.ModuleDict({name: Logits() for name in ("image", "mask")})
    cycle = Cycle(Scaled(1, 1), Scaled(1, 2), logits, config, torch.Generator().manual_seed(0))
    image, mask = torch.rand(1, 1, 8, 8), torch.rand(1, 2, 8, 8)
    terms, _ = cycle.terms(ConditionedBatch(image, mask, mask[:, :0], torch.zeros_like(image), mask[:, :0]))
    assert not any("identity" in name for name in terms)


@pytest.mark.parametrize(("have", "want"), [(1, 3), (3, 1), (2, 3), (3, 3)])
def test_planes_are_averaged_and_repeated(have, want):
    planes = torch.rand(2, have, 4, 5)
    found = as_planes(planes, want)
    assert found.shape == (2, want, 4, 5)
    assert torch.equal(found, planes) if have == want else torch.allclose(found.mean(1), planes.mean(1))


def test_a_fake_image_has_pixel_noise_before_it_becomes_a_mask_again():
    config = CycleGanConfig(noise_planes=0).resolve(Budget(4, 1, 64))
    logits = nn.ModuleDict({name: Logits() for name in ("image", "mask")})
    cycle = Cycle(Scaled(0.0, 1), Scaled(1.0, 2), logits, config, torch.Generator().manual_seed(0))
    image, mask = torch.zeros(1, 1, 64, 64), torch.ones(1, 2, 64, 64)
    _, fake = cycle.terms(ConditionedBatch(image, mask, mask[:, :0], torch.full_like(image, 0.1), mask[:, :0]))
    assert float(fake["image"].std()) == pytest.approx(0.1, rel=0.05)


# -- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["standard", "paper"])
def test_a_long_training_is_the_papers_method(budget):
    config = CycleGanConfig().resolve(CycleGan.budgets[budget])
    assert (config.preset, config.upsampling, config.noise_planes) == ("paper", "transposed", 0)
    assert (config.ngf, config.n_blocks, config.ndf, config.n_layers_d) == (64, 9, 64, 3)
    assert (config.lambda_a, config.lambda_b, config.lambda_identity, config.pool_size) == (10, 10, 0.5, 50)
    assert (config.lr, config.beta1) == (2e-4, 0.5)
    assert CycleGan.budgets["paper"].batch_size == 1


def test_the_rate_falls_in_the_second_half(blob_set, tmp_path: Path):
    fitted(blob_set, steps=4, lr=2e-3, context={"folder": tmp_path})
    parts = checkpoints.read(tmp_path / "training.pt")["state"]
    for name in ("opt_g", "opt_d"):
        (group,) = parts[name]["param_groups"]
        assert (group["lr"], tuple(group["betas"])) == (pytest.approx(1e-3), (0.5, 0.999))


def test_patches_that_are_too_small_are_refused():
    with pytest.raises(ConfigError, match="48 or more"):
        CycleGanConfig(n_layers_d=4).resolve(Budget(2, 2, 40))
    with pytest.raises(ConfigError, match="24 or more"):
        CycleGanConfig(n_layers_d=1).resolve(Budget(2, 2, 16))
