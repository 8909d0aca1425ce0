"""pix2pix learns from pairs, draws what its masks say, and keeps the intensities of the training images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from helpers.trainings import SmallGenerator, pixels, same_weights
from synthbench import Context, Sample, SampleSet
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.plugin.precision import Precision, computing_in
from synthbench.study.provenance.plugin_settings import resolved_config
from synthbench.toolkit.intensity.pixel_noise import measure_noise
from synthbench.toolkit.intensity.texture import measure_texture
from synthbench.toolkit.training import checkpoints
from synthbench.toolkit.training.loop import Diverged
from synthbench_pix2pix import generator as generator_module
from synthbench_pix2pix.config import Pix2PixConfig
from synthbench_pix2pix.generator import Pix2Pix
from synthbench_pix2pix.losses import Losses, Term, l1
from synthbench_pix2pix.networks import BilinearUNet, UNet, patch_discriminator, set_dropout_generator

SMALL = {"ngf": 8, "ndf": 8, "num_downs": 3}


fitted = SmallGenerator(Pix2Pix, SMALL)


@pytest.fixture(scope="module")
def drawn_from(blob_set: SampleSet) -> Pix2Pix:
    return fitted(blob_set)


def test_a_sample_depends_on_seed_and_index_alone(drawn_from):
    expected = pixels(drawn_from, range(5))
    assert pixels(drawn_from, [4, 1, 3]) == [expected[4], expected[1], expected[3]]
    assert pixels(drawn_from, range(2, 4)) == expected[2:4]
    assert pixels(drawn_from, range(5), seed=1) != expected
    assert len(set(expected)) == 5


def test_what_was_saved_draws_the_same_bytes(drawn_from, tmp_path: Path):
    drawn_from.save(tmp_path)
    loaded = Pix2Pix.load(tmp_path, Context(seed=99))
    assert pixels(loaded, range(4)) == pixels(drawn_from, range(4))


def test_the_number_of_threads_changes_no_byte(blob_set):
    try:
        one = pixels(fitted(blob_set, context={"threads": 1}, steps=2), range(2))
        assert pixels(fitted(blob_set, context={"threads": 2}, steps=2), range(2)) == one
    finally:
        torch.set_num_threads(1)


def test_dropout_as_the_only_noise_is_drawn_from_the_seed(blob_set, monkeypatch):
    generator = fitted(blob_set, noise_planes=0, dropout=0.5)
    with_dropout = pixels(generator, range(3))
    torch.manual_seed(123)
    assert pixels(generator, range(3)) == with_dropout
    monkeypatch.setattr(generator_module, "set_dropout_generator", lambda *_: None)
    assert pixels(generator, range(3)) != with_dropout


def test_damaged_artifacts_are_refused(drawn_from, tmp_path: Path):
    drawn_from.save(tmp_path)
    (tmp_path / "intensity.json").write_text('{"numbers": 3}')
    with pytest.raises(StoreError, match=r"intensity\.json"):
        Pix2Pix.load(tmp_path, Context())


# -- training ---------------------------------------------------------------------------------------------------------


def reconstruction(generator: Pix2Pix, train: SampleSet) -> float:
    """Mean absolute difference between the drawn and the real image of each training mask."""
    total = 0.0
    for position, sample in enumerate(train):
        own = generator.conditioning.training_planes(sample.labels, position)
        drawn = generator.image_planes(sample.labels, own, np.random.default_rng(0))
        total += float(np.abs(drawn - generator.codec.encode(sample, position)[0]).mean())
    return total / len(train)


@pytest.fixture(scope="module")
def trained(blob_set: SampleSet) -> Pix2Pix:
    return fitted(blob_set, steps=60, batch=4, lr=2e-3)


def test_training_lowers_the_difference_to_the_real_images(blob_set, trained):
    before = reconstruction(fitted(blob_set, steps=1), blob_set)
    assert reconstruction(trained, blob_set) < 0.4 * before


def test_a_weight_without_a_structural_loss_is_refused():
    with pytest.raises(ValueError, match="lambda_structural: 3 has no effect"):
        Pix2PixConfig(structural_loss="none", lambda_structural=3)


def test_the_published_method_learns_too(blob_set):
    before = reconstruction(fitted(blob_set, steps=1, preset="paper"), blob_set)
    after = reconstruction(fitted(blob_set, steps=60, batch=4, preset="paper", lr=2e-3), blob_set)
    assert after < 0.5 * before


def test_training_works_with_instance_norm_too(blob_set):
    before = reconstruction(fitted(blob_set, steps=1, norm="instance"), blob_set)
    after = reconstruction(fitted(blob_set, steps=60, batch=4, norm="instance", lr=2e-3), blob_set)
    assert after < 0.4 * before


@pytest.mark.slow
def test_steps_of_one_patch_draw_as_well_as_they_train(blob_set):
    """By its running statistics a batch norm would draw otherwise than it was trained, one patch at a time."""
    alone = fitted(blob_set, steps=240, batch=1, lr=2e-3)
    assert (alone.config.norm, fitted(blob_set, steps=1).config.norm) == ("instance", "batch")
    assert reconstruction(alone, blob_set) < 0.4 * reconstruction(fitted(blob_set, steps=1, batch=1), blob_set)


@pytest.mark.parametrize("structural_loss", ["weighted", "ssim", "cldice"])
@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_structural_terms_train_and_are_logged(blob_set, semantic_set, tmp_path: Path, structural_loss, task):
    train = blob_set if task == "instances" else semantic_set
    fitted(train, steps=3, structural_loss=structural_loss, context={"folder": tmp_path})
    rows = [json.loads(line) for line in (tmp_path / "log" / "training.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row[structural_loss]) and row[structural_loss] > 0 for row in rows)
    none = fitted(train, steps=3).network.state_dict()
    weighed = fitted(train, steps=3, structural_loss=structural_loss).network.state_dict()
    assert not torch.equal(none["to_image.weight"], weighed["to_image.weight"])


def test_thin_classes_are_held_together_unless_it_is_said_otherwise(blob_set):
    labels = np.zeros((40, 40), np.int32)
    labels[10:13, 2:38] = 1
    lines = SampleSet.of([Sample("line", (labels * 200).astype(np.uint8), labels)], task="semantic")
    assert fitted(lines, steps=1).config.structural_loss == "cldice"
    assert fitted(lines, steps=1, structural_loss="none").config.structural_loss == "none"
    assert fitted(blob_set, steps=1).config.structural_loss == "none"


def test_a_weight_for_lines_is_none_where_there_are_no_lines(blob_set, tmp_path: Path):
    """What is saved can be loaded."""
    fitted(blob_set, steps=1, lambda_structural=3.0).save(tmp_path)
    config = Pix2Pix.load(tmp_path, Context()).config
    assert (config.structural_loss, config.lambda_structural) == ("none", None)


def test_terms_weigh_what_was_asked_for(blob_set, monkeypatch):
    weights = []
    monkeypatch.setattr(
        generator_module, "Losses", lambda terms: weights.append({t.name: t.weight for t in terms}) or Losses(terms)
    )
    fitted(blob_set, steps=1, lambda_l1=7.0, structural_loss="ssim", lambda_structural=3.0)
    fitted(blob_set, steps=1)
    assert weights == [{"l1": 7.0, "ssim": 3.0}, {"l1": 100.0}]


def test_terms_compare_under_masks_of_0_to_1(blob_set, monkeypatch):
    seen = []

    def watched(fake: torch.Tensor, real: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        seen.append(condition)
        return 0 * fake.mean()

    monkeypatch.setattr(generator_module, "structural", lambda *given: [Term("seen", 1.0, watched)])
    fitted(blob_set, steps=1)
    assert seen[0].shape[1] == 2
    assert set(seen[0][:, 1].unique().tolist()) == {0.0, 1.0}
    assert (seen[0].min(), seen[0].max()) == (0, 1)


def test_the_rate_falls_in_the_second_half_and_momentum_is_the_papers(blob_set, tmp_path: Path):
    """Of four steps the last has half of the rate."""
    fitted(blob_set, steps=4, lr=2e-3, context={"folder": tmp_path})
    parts = checkpoints.read(tmp_path / "training.pt")["state"]
    for name in ("opt_g", "opt_d"):
        (group,) = parts[name]["param_groups"]
        assert (group["lr"], tuple(group["betas"])) == (pytest.approx(1e-3), (0.5, 0.999))


@pytest.mark.parametrize("pixel_noise", [True, False])
def test_the_discriminator_sees_image_beside_mask_and_drawn_images_with_their_noise(blob_set, monkeypatch, pixel_noise):
    """Or it would know them by their lack of noise; without `pixel_noise` the generator's output is what it sees."""
    seen, drawn = [], []

    def watched(*sizes):
        discriminator = patch_discriminator(*sizes)
        discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
        return discriminator

    def smooth(network, condition, forward=BilinearUNet.forward):
        image = forward(network, condition)
        drawn.append(image.detach())
        return image

    monkeypatch.setattr(generator_module, "patch_discriminator", watched)
    monkeypatch.setattr(BilinearUNet, "forward", smooth)
    generator = fitted(blob_set, steps=1, pixel_noise=pixel_noise)
    real, fake, again = seen
    planes = generator.condition_planes
    assert torch.equal(real[:, :planes], fake[:, :planes])
    assert set(real[:, 1].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(fake, again)
    assert real[:, planes:].std() > 0.1
    added = fake[:, planes:] - drawn[0]
    assert (float(added.std()) > 0.01) == pixel_noise


def test_objects_are_drawn_where_the_mask_has_them(trained):
    for sample in trained.sample_batch(range(6), 0):
        inside = ndimage.binary_erosion(sample.labels > 0)
        outside = ~ndimage.binary_dilation(sample.labels > 0)
        assert np.median(sample.image[inside]) > np.median(sample.image[outside]) + 40


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_training_goes_on_to_the_same_weights(blob_set, tmp_path: Path, precision: Precision):
    options = {"steps": 8, "noise_planes": 1, "dropout": 0.3}
    with computing_in(precision):
        resumed = fitted.resumed(blob_set, tmp_path, at=5, **options)
        assert same_weights(fitted(blob_set, **options).network, resumed.network)


def test_training_that_goes_astray_is_a_failure(blob_set, tmp_path: Path):
    with pytest.raises(Diverged, match="learning rate"):
        fitted(blob_set, steps=12, lr=1.0, norm="none", context={"folder": tmp_path})


def test_flat_images_are_a_failure(blob_set):
    generator = fitted(blob_set)
    torch.nn.init.zeros_(generator.network.to_image.weight)
    with pytest.raises(Diverged, match="flat"):
        generator.check_images(blob_set, 0)


def test_an_empty_set_and_an_image_smaller_than_a_patch_are_refused(blob_set):
    with pytest.raises(DataError, match="no training samples"):
        fitted(blob_set[:0])
    with pytest.raises(DataError, match="smaller than a patch"):
        fitted(blob_set, patch=128)
    with pytest.raises(ConfigError, match="64 or more, or a smaller num_downs"):
        fitted(blob_set, patch=32, num_downs=5)
    with pytest.raises(ConfigError, match=r"give patches of 24 or more \(images"):
        fitted(blob_set, patch=16, num_downs=1)


# -- what is drawn ----------------------------------------------------------------------------------------------------


def blob(name: str, shape: tuple[int, int], dtype: str, channels: int, level: int) -> Sample:
    labels = np.zeros(shape, np.uint8)
    labels[8:20, 9:24], labels[26:36, 12:22] = 1, 2
    noise = np.random.default_rng(len(name)).normal(0, level / 50, shape)
    image = (np.where(labels > 0, level, level / 5) + noise).clip(0).astype(dtype)
    return Sample(name, image if channels == 1 else np.stack([image, image // 2, image // 3], axis=-1), labels)


@pytest.mark.parametrize(
    ("dtype", "channels", "level"), [("uint8", 1, 90), ("uint8", 3, 200), ("uint16", 1, 3000), ("uint16", 3, 40_000)]
)
def test_odd_sizes_colours_and_depths_are_drawn_like_the_training_images(dtype, channels, level):
    shapes = [(41, 57), (50, 43), (47, 47)]
    train = SampleSet.of([blob(f"b{'x' * i}", shape, dtype, channels, level) for i, shape in enumerate(shapes)])
    for sample in fitted(train).sample_batch(range(4), 0):
        assert sample.image.dtype == dtype
        assert sample.image.ndim == (2 if channels == 1 else 3)
        assert sample.labels.shape in shapes
        assert level / 20 < sample.image.max() <= 1.2 * level


def test_semantic_images_are_drawn_to_turned_class_maps(semantic_set):
    drawn = fitted(semantic_set).sample_batch(range(8), 0)
    assert sorted((s.labels == 1).sum() for s in drawn) == sorted((s.labels == 1).sum() for s in semantic_set)
    assert {s.image.dtype.name for s in drawn} == {"uint8"}


def test_images_are_drawn_beyond_their_edge_where_the_mask_is_mirrored(blob_set, drawn_from):
    """What the network's padding does to its border is cut off."""
    labels, seen = blob_set[0].labels, []
    hook = drawn_from.network.register_forward_hook(lambda _, given, found: seen.extend([given[0][0], found[0]]))
    image = drawn_from.image_planes(
        labels, drawn_from.conditioning.training_planes(labels, 0), np.random.default_rng(0)
    )
    hook.remove()
    mask = np.pad(drawn_from.codec.encode_mask(labels), [(0, 0), (16, 16), (16, 16)], mode="symmetric")
    assert np.array_equal(seen[0][: len(mask)], mask)
    assert np.array_equal(seen[1][:, 16:-16, 16:-16], image)


def test_masks_can_be_chosen(blob_set):
    sources = sorted((s.labels > 0).sum() for s in blob_set)
    turned = fitted(blob_set, mask_source="train")
    assert sorted((s.labels > 0).sum() for s in turned.sample_batch(range(12), 0)) == sources
    recombined = fitted(blob_set, mask_source="recombine")
    assert sorted((s.labels > 0).sum() for s in recombined.sample_batch(range(12), 0)) != sources
    assert recombined.counts["drawn"] == 12


# -- intensities ------------------------------------------------------------------------------------------------------


def test_drawn_images_are_as_noisy_as_real_ones(blob_set):
    def noisiness(samples, generator) -> np.ndarray:
        pairs = [(generator.codec.encode(s, 0)[0], s.labels > 0) for s in samples]
        return np.median([measure_noise(planes, inside, 2)[:, 0] for planes, inside in pairs], axis=0)

    generator = fitted(blob_set, steps=1)
    assert noisiness(generator.sample_batch(range(12), 0), generator) == pytest.approx(
        noisiness(blob_set, generator), rel=0.35
    )
    smooth = fitted(blob_set, steps=1, pixel_noise=False)
    assert (noisiness(smooth.sample_batch(range(12), 0), smooth) < 0.5 * noisiness(blob_set, smooth)).all()


def test_drawn_objects_get_the_texture_of_training_objects(blob_set):
    """Discs with spots are learned as smooth ones in one step."""

    def spotted(seed: int) -> Sample:
        plain = blob_set[seed]
        spots = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(plain.labels.shape), 1.5) * 150
        image = np.where(plain.labels > 0, 150 + spots, 26 + plain.image * 0.02)
        return Sample(plain.id, np.clip(image, 0, 255).astype(np.uint8), plain.labels)

    def roughness(samples, generator: Pix2Pix) -> float:
        found = [measure_texture(generator.codec.encode(sample, 0)[0], sample.labels) for sample in samples]
        return float(np.median(np.linalg.norm(np.concatenate(found), axis=1)))

    train = SampleSet.of([spotted(seed) for seed in range(12)])
    rough, smooth = (
        fitted(train, steps=1, texture=texture, pixel_noise=False, mask_source="train") for texture in (True, False)
    )
    wanted = roughness(train, rough)
    assert roughness(rough.sample_batch(range(12), 0), rough) == pytest.approx(wanted, rel=0.3)
    assert roughness(smooth.sample_batch(range(12), 0), smooth) < 0.5 * wanted


def test_without_intensity_conditioning_the_network_sees_the_mask_alone(blob_set):
    conditioned, alone = fitted(blob_set, steps=1), fitted(blob_set, steps=1, intensity_conditioning=False)
    assert alone.conditioning.planes == 0 < conditioned.conditioning.planes
    sample = blob_set[0]
    mask = torch.from_numpy(alone.codec.encode_mask(sample.labels))[None]
    intensities = torch.zeros(1, 0, *sample.labels.shape)
    assert torch.equal(alone.condition(mask, intensities), mask)


# -- networks and losses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [UNet, BilinearUNet])
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 64), (33, 31)])
def test_the_generator_draws_at_any_size(architecture, shape):
    network = architecture(4, 3, 8, 4, "batch", 0.0).eval()
    drawn = network(torch.zeros(1, 4, *shape))
    assert drawn.shape == (1, 3, *shape)
    assert drawn.abs().max() <= 1


def test_outlines_reach_the_image_at_full_resolution():
    network = BilinearUNet(1, 1, 8, 3, "none", 0.0).eval()
    point = torch.zeros(1, 1, 32, 32)
    point[..., 16, 16] = 1
    changed = (network(point) - network(torch.zeros_like(point))).abs()[0, 0]
    assert changed[14:19, 14:19].mean() > 2 * changed.mean()


def test_the_discriminator_classifies_patches():
    logits = patch_discriminator(3, 8, 3, "batch")(torch.zeros(2, 3, 128, 128))[-1]
    assert logits.shape == (2, 1, 14, 14)


def test_losses_are_those_of_the_paper():
    real, fake = torch.ones(2, 1, 8, 8), torch.full((2, 1, 8, 8), 0.75)
    logits = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    total, parts = Losses([Term("l1", 100.0, l1)]).generator(logits, fake, real, real)
    adversarial = functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    assert parts["l1"] == pytest.approx(0.25)
    assert total.item() == pytest.approx(adversarial.item() + 25.0, rel=1e-5)
    loss = Losses([]).discriminator(torch.zeros_like(logits), torch.zeros_like(logits))
    assert loss.item() == pytest.approx(np.log(2))
    right = Losses([]).discriminator(torch.full_like(logits, 3.0), torch.full_like(logits, -2.0))
    assert right.item() == pytest.approx((np.log1p(np.exp(-3)) + np.log1p(np.exp(-2))) / 2)


@pytest.mark.parametrize("budget", ["standard", "paper"])
def test_a_long_training_is_the_papers_method(budget):
    """Isola et al. 2017, sections 3.1, 3.3 and 6.1."""
    config = Pix2PixConfig().resolve(Pix2Pix.budgets[budget])
    assert (config.preset, config.upsampling, config.norm) == ("paper", "transposed", "instance")
    assert (config.ngf, config.ndf, config.num_downs, config.n_layers_d) == (64, 64, 8, 3)
    assert (config.dropout, config.noise_planes, config.structural_loss) == (0.5, 0, "none")
    assert (config.intensity_conditioning, config.pixel_noise, config.texture) == (False, False, False)
    assert (config.lr, config.beta1, config.lambda_l1) == (2e-4, 0.5, 100)
    assert (Pix2Pix.budgets["paper"].batch_size, Pix2Pix.budgets["paper"].patch_size) == (1, 256)


@pytest.mark.parametrize("budget", ["smoke", "quick"])
def test_a_short_training_has_this_projects_additions(budget):
    config = Pix2PixConfig().resolve(Pix2Pix.budgets[budget])
    assert (config.preset, config.upsampling, config.norm) == ("microscopy", "bilinear", "batch")
    assert (config.dropout, config.noise_planes, config.structural_loss) == (0, 1, "auto")
    assert (config.intensity_conditioning, config.pixel_noise, config.texture) == (True, True, True)


def test_texture_follows_intensity_conditioning_and_is_refused_without_it() -> None:
    assert Pix2PixConfig(intensity_conditioning=False).resolve(Pix2Pix.budgets["quick"]).texture is False
    with pytest.raises(ConfigError, match="texture: true requires intensity_conditioning"):
        resolved_config(
            Pix2Pix,
            {"config": {"preset": "paper", "texture": True}, "budget": asdict(Pix2Pix.budgets["quick"])},
            "generator 'pix2pix'",
        )


def test_a_preset_can_be_chosen_and_single_keys_beside_it(blob_set):
    generator = fitted(blob_set, preset="paper", noise_planes=1, steps=2)
    assert (generator.config.upsampling, generator.config.noise_planes, generator.margin) == ("transposed", 1, 0)
    assert generator.conditioning.planes == 0
    assert len(set(pixels(generator, range(3)))) == 3


def test_the_published_generator_has_the_published_layers():
    """Encoder C64-C128-C256-C512 ×5, decoder CD512 ×3-C512-C256-C128-C64, no norm first and innermost."""
    network = UNet(3, 1, 64, 8, "batch", 0.5)
    assert [block.convolution.out_channels for block in network.encoder] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert [block.convolution.out_channels for block in network.decoder] == [512, 512, 512, 512, 256, 128, 64]
    assert [block.convolution.in_channels for block in network.decoder] == [512, 1024, 1024, 1024, 1024, 512, 256]
    assert [block.dropout.p for block in network.decoder] == [0.5] * 3 + [0.0] * 4
    norms = [isinstance(block.norm, torch.nn.BatchNorm2d) for block in network.encoder]
    assert norms == [False] + [True] * 6 + [False]
    assert float(network.encoder[3].convolution.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    dropout = network.decoder[0].dropout
    set_dropout_generator(network, torch.Generator().manual_seed(0))
    assert (dropout.eval()(torch.ones(1, 1, 64, 64)) == 0).float().mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("old", "new"), list(Pix2PixConfig.renamed.items()))
def test_an_old_key_is_refused_with_the_new_one_named(old, new):
    with pytest.raises(ValueError, match=new):
        Pix2PixConfig.model_validate({old: 1})


def test_further_terms_can_compare_under_the_mask():
    def inside(fake: torch.Tensor, real: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return ((fake - real).abs() * condition).sum() / condition.sum()

    real, fake = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0] = 1
    total, parts = Losses([Term("inside", 3.0, inside)]).generator(torch.zeros(1, 1, 2, 2), fake, real, mask)
    assert parts["inside"] == 1
    assert total.item() == pytest.approx(np.log(2) + 3.0)
