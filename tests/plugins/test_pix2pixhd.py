"""pix2pixHD sees boundaries between objects, learns from features at three scales, and resumes to the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from helpers.trainings import SmallGenerator, pixels, same_weights
from synthbench import Budget, Context, Sample, SampleSet
from synthbench.errors import ConfigError
from synthbench.plugin.api import LOG
from synthbench.toolkit.masks.objects import boundaries
from synthbench.toolkit.training import checkpoints
from synthbench_pix2pixhd import generator as generator_module
from synthbench_pix2pixhd.config import Pix2PixHDConfig
from synthbench_pix2pixhd.generator import Pix2PixHD
from synthbench_pix2pixhd.training import Pix2PixHDTraining, adversarial

SMALL = {"ngf": 4, "ndf": 4, "n_downsample_global": 2, "n_blocks_global": 1}


fitted = SmallGenerator(Pix2PixHD, SMALL, steps=2)


@pytest.fixture(scope="module")
def trained(blob_set: SampleSet) -> Pix2PixHD:
    return fitted(blob_set)


def test_what_was_saved_draws_the_same_bytes(trained, tmp_path: Path):
    trained.save(tmp_path)
    loaded = Pix2PixHD.load(tmp_path, Context(seed=99))
    assert pixels(loaded, [2, 0]) == pixels(trained, range(3))[::-2]


def test_a_stopped_training_goes_on_to_the_same_weights(blob_set, tmp_path: Path):
    resumed = fitted.resumed(blob_set, tmp_path, at=2, steps=4)
    assert same_weights(fitted(blob_set, steps=4).network, resumed.network)


def test_networks_see_the_boundaries_between_touching_objects(trained, blob_set, semantic_set):
    labels = np.zeros((16, 16), np.int32)
    labels[2:9, 2:8], labels[2:9, 8:14] = 1, 2
    planes = trained.encode_mask(labels)
    assert len(planes) == trained.mask_planes == trained.codec.mask_planes + 1
    assert np.array_equal(planes[-1] > 0, boundaries(labels))
    assert set(np.unique(planes[-1])) == {-1, 1}
    seen = []
    hook = trained.network.register_forward_hook(lambda _, given, found: seen.append(given[0]))
    trained.image_planes(labels, np.zeros((trained.conditioning.planes, 16, 16), np.float32), np.random.default_rng(0))
    hook.remove()
    assert np.array_equal(seen[0][0, 2, 16:-16, 16:-16] > 0, boundaries(labels))
    without = fitted(blob_set, steps=1, instance_map=False)
    assert without.mask_planes == without.encode_mask(labels).shape[0] == 2
    assert fitted(semantic_set, steps=1).mask_planes == 2


def test_training_patches_hold_the_boundaries(blob_set, monkeypatch):
    seen = []
    step = Pix2PixHDTraining.step

    def watched(self, number):
        seen.append(self.batches[number].mask)
        return step(self, number)

    monkeypatch.setattr(Pix2PixHDTraining, "step", watched)
    fitted(blob_set, steps=1)
    (mask,) = seen
    assert mask.shape[1] == 3
    assert set(mask[:, 2].unique().tolist()) == {-1.0, 1.0}
    inside = mask[:, 2] > 0
    assert float((mask[:, 0][inside] > -1).float().mean()) > 0.3, "half of a boundary is within the objects"


def test_losses_are_the_published_ones(blob_set, tmp_path: Path, monkeypatch):
    """LSGAN over three scales; features · 10 · 4/(3 + 1), averaged over the scales; the discriminators' is halved."""
    made, totals = [], []

    def watched(*sizes, **kwargs):
        made.append(generator_module_discriminator(*sizes, **kwargs))
        made[0].register_forward_hook(lambda _, given, found: features.append(found))
        return made[0]

    def backward(loss, *args, plain=torch.Tensor.backward, **kwargs):
        totals.append(float(loss.detach()))
        plain(loss, *args, **kwargs)

    features: list[list[list[torch.Tensor]]] = []
    generator_module_discriminator = generator_module.MultiscaleDiscriminator
    monkeypatch.setattr(generator_module, "MultiscaleDiscriminator", watched)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    fitted(blob_set, steps=1, context={"folder": tmp_path})
    (row,) = [json.loads(line) for line in (tmp_path / LOG / "training.jsonl").read_text().splitlines()]
    real, fake, again = ([[f.detach() for f in scale] for scale in scales] for scales in features)
    assert len(real) == 3
    gan = sum(float((scale[-1] - 1).square().mean()) for scale in fake)
    pairs = [
        (a, b) for ours, theirs in zip(fake, real, strict=True) for a, b in zip(ours[:-1], theirs[:-1], strict=True)
    ]
    assert len(pairs) == 12
    matching = sum(float(functional.l1_loss(a, b)) for a, b in pairs) / 3
    assert row["gan"] == pytest.approx(gan, rel=1e-4)
    assert row["features"] == pytest.approx(matching, rel=1e-4)
    assert totals[0] == pytest.approx(gan + 10 * matching, rel=1e-4)
    own = sum(float((r[-1] - 1).square().mean() + f[-1].square().mean()) for r, f in zip(real, again, strict=True)) / 2
    assert totals[1] == pytest.approx(own, rel=1e-4)
    assert float(adversarial(fake, real=True)) == pytest.approx(gan, rel=1e-4)


def test_the_rate_falls_in_the_second_half_and_momentum_is_the_papers(blob_set, tmp_path: Path):
    fitted(blob_set, steps=4, lr=2e-3, context={"folder": tmp_path})
    parts = checkpoints.read(tmp_path / "training.pt")["state"]
    for name in ("opt_g", "opt_d"):
        (group,) = parts[name]["param_groups"]
        assert (group["lr"], tuple(group["betas"])) == (pytest.approx(1e-3), (0.5, 0.999))


@pytest.mark.parametrize("budget", ["standard", "paper"])
def test_a_long_training_is_the_papers_method(budget):
    config = Pix2PixHDConfig().resolve(Pix2PixHD.budgets[budget])
    assert (config.preset, config.upsampling, config.noise_planes) == ("paper", "transposed", 0)
    assert (config.ngf, config.n_downsample_global, config.n_blocks_global) == (64, 4, 9)
    assert (config.ndf, config.n_layers_d, config.num_discriminators) == (64, 3, 3)
    assert (config.lambda_feat, config.lambda_vgg, config.perceptual) == (10, 10, "vgg19")
    assert (config.intensity_conditioning, config.texture) == (False, False)
    assert (config.lr, config.beta1) == (2e-4, 0.5)


def test_a_short_training_has_this_projects_additions():
    config = Pix2PixHDConfig().resolve(Pix2PixHD.budgets["quick"])
    assert (config.preset, config.upsampling, config.noise_planes) == ("microscopy", "bilinear", 1)
    assert (config.intensity_conditioning, config.pixel_noise, config.texture) == (True, True, True)
    assert (config.perceptual, config.files()) == ("off", {})
    assert Pix2PixHDConfig(intensity_conditioning=False).resolve(Pix2PixHD.budgets["quick"]).texture is False


def test_patches_that_are_too_small_are_refused():
    with pytest.raises(ConfigError, match="16 or more"):
        Pix2PixHDConfig(n_downsample_global=3).resolve(Budget(2, 2, 8))
    with pytest.raises(ConfigError, match="num_discriminators: 4"):
        Pix2PixHDConfig(n_downsample_global=1, num_discriminators=4).resolve(Budget(2, 2, 8))
    Pix2PixHDConfig(n_downsample_global=3, num_discriminators=4).resolve(Budget(2, 2, 16))


def test_the_smallest_patches_train(blob_set):
    generator = Pix2PixHD(Pix2PixHDConfig(**{**SMALL, "n_downsample_global": 3, "num_discriminators": 4}))
    generator.fit(blob_set, Context(seed=1, budget=Budget(1, 1, 16)))
    assert generator.sample(0, 0).image.std() > 0


def test_colour_and_16_bit_images_are_drawn_like_the_training_images():
    labels = np.zeros((41, 57), np.uint8)
    labels[8:20, 9:24], labels[20:36, 12:22] = 1, 2
    noise = np.random.default_rng(0).normal(0, 500, (41, 57, 3))
    image = (np.where(labels > 0, 40_000, 8000)[..., None] + noise).astype(np.uint16)
    generator = fitted(SampleSet.of([Sample("a", image, labels), Sample("b", image[::-1], labels[::-1])]), steps=1)
    sample = generator.sample(0, 0)
    assert (sample.image.dtype, sample.image.shape[2:]) == (np.uint16, (3,))
