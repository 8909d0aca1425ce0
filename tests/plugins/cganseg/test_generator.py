"""The generator: images follow seed and index, objects are where the mask has them, a training goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from helpers.trainings import pixels, same_weights
from synthbench import Context, Sample, SampleSet
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.toolkit.intensity.texture import measure_texture
from synthbench.toolkit.training import checkpoints
from synthbench.toolkit.training.loop import Diverged
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.generator import CGanSeg


@pytest.fixture(scope="module")
def drawn_from(fitted, blob_set: SampleSet) -> CGanSeg:
    return fitted(blob_set)


def test_a_long_training_is_conditioned_on_the_mask_alone(fitted, blob_set):
    quick, paper = (CGanSegConfig().resolve(CGanSeg.budgets[name]) for name in ("quick", "paper"))
    assert (quick.intensity_conditioning, quick.norm, quick.mask_cycle_weight) == (True, "pixel", 10)
    assert (paper.intensity_conditioning, paper.norm, paper.mask_cycle_weight) == (False, "batch", 100)
    alone = fitted(blob_set, intensity_conditioning=False)
    assert alone.network.encoders[0][0].convolution.in_channels == alone.codec.mask_planes


def test_a_sample_depends_on_seed_and_index_alone(drawn_from):
    expected = pixels(drawn_from, range(5))
    assert pixels(drawn_from, [4, 1, 3]) == [expected[4], expected[1], expected[3]]
    assert pixels(drawn_from, range(5), seed=1) != expected
    assert len(set(expected)) == 5
    assert drawn_from.counts["drawn"] >= 10


def test_what_was_saved_draws_the_same_bytes(drawn_from, tmp_path: Path):
    drawn_from.save(tmp_path)
    loaded = CGanSeg.load(tmp_path, Context(seed=99))
    assert pixels(loaded, range(3)) == pixels(drawn_from, range(3))
    assert loaded.perceptual == "off"
    (tmp_path / "training.json").write_text("[]")
    with pytest.raises(StoreError, match=r"training\.json"):
        CGanSeg.load(tmp_path, Context())


def test_a_stopped_training_goes_on_to_the_same_weights(fitted, blob_set, tmp_path: Path):
    resumed = fitted.resumed(blob_set, tmp_path, at=3, steps=5)
    assert same_weights(fitted(blob_set, steps=5).network, resumed.network)


def test_the_mapping_network_learns_more_slowly(fitted, blob_set):
    """Adam's first step is as long as the rate: a tenth for the mapping."""
    before = fitted(blob_set, steps=1, lr=1e-12).network.state_dict()
    after = fitted(blob_set, steps=1, lr=1e-3).network.state_dict()
    moved = {key: float((after[key] - before[key]).abs().max()) for key in before}
    assert moved["to_image.weight"] == pytest.approx(1e-3, rel=0.01)
    assert moved["mapping.layers.0.weight"] == pytest.approx(1e-4, rel=0.01)


def test_rates_fall_in_the_second_half_and_are_those_asked_for(fitted, blob_set, tmp_path: Path):
    """Of four steps the last has half of the rate; the mapping a tenth of that, the discriminators their share."""
    config = {"lr": 2e-3, "d_lr_ratio": 0.3, "beta1": 0.7}
    fitted(blob_set, steps=4, context={"folder": tmp_path}, **config)
    parts = checkpoints.read(tmp_path / "training.pt")["state"]
    groups = [*parts["opt_g"]["param_groups"], *parts["opt_d"]["param_groups"]]
    assert [group["lr"] for group in groups] == pytest.approx([1e-3, 1e-4, 3e-4])
    assert {tuple(group["betas"]) for group in groups} == {(0.7, 0.999)}


def test_each_image_is_drawn_in_one_style_of_its_own(drawn_from, blob_set):
    labels, styles = blob_set[0].labels, []
    intensities = drawn_from.conditioning.training_planes(labels, 0)
    hook = drawn_from.network.register_forward_pre_hook(lambda _, given: styles.append(given[1][0]))
    for seed in range(2):
        drawn_from.image_planes(labels, intensities, np.random.default_rng(seed))
    hook.remove()
    assert all(torch.equal(style, style[:1].expand_as(style)) for style in styles)
    assert not torch.allclose(*styles)


@pytest.mark.parametrize("budget", ["standard", "paper"])
def test_a_long_training_is_the_published_method(budget):
    """As the published code has it."""
    config = CGanSegConfig().resolve(CGanSeg.budgets[budget])
    assert (config.preset, config.architecture, config.norm, config.perceptual) == ("paper", "paper", "batch", "vgg19")
    assert (config.gen_filters, config.seg_filters, config.ndf, config.gen_depth) == (64, 64, 64, 4)
    assert (config.attention_heads, config.attention_dim_head) == (8, 64)
    assert (config.intensity_conditioning, config.pixel_noise, config.texture) == (False, False, False)
    assert (config.mask_gradient, config.diff_augment, config.p_diff, config.mixed_prob) == ("none", "batch", 0.2, 0.9)
    assert (config.image_gan_weight, config.mask_gan_weight) == (1, 1)
    assert (config.image_cycle_weight, config.image_identity_weight) == (100, 50)
    assert (config.mask_cycle_weight, config.mask_identity_weight) == (100, 50)
    assert (config.lr, config.lr_decay, config.d_lr_ratio, config.beta1) == (1e-4, False, 1, 0.9)
    assert CGanSeg.budgets["paper"].batch_size == 2


@pytest.mark.parametrize("style", [True, False])
def test_the_published_networks_train_and_sample(fitted, blob_set, style):
    generator = fitted(blob_set, preset="paper", style=style, steps=2)
    assert (generator.margin, generator.conditioning.planes) == (0, 0)
    expected = pixels(generator, range(3))
    assert pixels(generator, [2, 0]) == [expected[2], expected[0]]


@pytest.mark.parametrize(("old", "new"), list(CGanSegConfig.renamed.items()))
def test_an_old_key_is_refused_with_the_new_one_named(old, new):
    with pytest.raises(ValueError, match=new):
        CGanSegConfig.model_validate({old: 1})


def test_pixel_norm_needs_the_architecture_that_has_it(fitted, blob_set):
    with pytest.raises(ConfigError, match="norm: pixel"):
        fitted(blob_set, preset="paper", norm="pixel")


@pytest.mark.parametrize("steps", [2, 8])
def test_the_first_steps_stay_in_the_range_of_the_images(fitted, blob_set, steps):
    """Without any norm the features grew a hundredfold in two steps, and images were blank."""
    generator = fitted(blob_set, steps=steps, patch=64, norm="pixel", gen_filters=8, gen_depth=4, image_gan_weight=50.0)
    for k in range(3):
        labels = blob_set[k].labels
        image = generator.image_planes(
            labels, generator.conditioning.training_planes(labels, k), np.random.default_rng(k)
        )
        assert -2 < image.min() < image.max() < 2


def test_batch_norms_are_measured_on_real_masks_alone(fitted, blob_set):
    """In a step of training they see two masks, the real one and the one found in the image."""
    network = fitted(blob_set, steps=3, norm="batch").network
    assert {int(norm.num_batches_tracked) for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)} == {3}
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fitted(blob_set, norm="pixel").network.modules())


def test_drawn_objects_have_the_texture_of_training_objects(fitted):
    """Which a few steps don't teach; without it they are smoother."""
    rng = np.random.default_rng(0)
    down, right = np.mgrid[:64, :64]
    centres = [(16, 16), (16, 48), (48, 30)]
    labels = sum(k * (np.hypot(down - y, right - x) < 11) for k, (y, x) in enumerate(centres, 1))
    spots = [100 * ndimage.gaussian_filter(rng.standard_normal((64, 64)), 1) for _ in range(4)]
    images = [np.where(labels, 150 + part, 20).clip(0, 255).astype(np.uint8) for part in spots]
    train = SampleSet.of(Sample(str(k), image, labels) for k, image in enumerate(images))

    def roughness(samples, generator):
        found = [measure_texture(generator.codec.encode(sample, 0)[0], sample.labels) for sample in samples]
        return np.median(found, axis=(0, 1))

    textured = fitted(train, mask_source="train", pixel_noise=False)
    smooth = fitted(train, mask_source="train", pixel_noise=False, texture=False)
    real = roughness(train, textured)
    assert roughness(textured.sample_batch(range(4), 0), textured) == pytest.approx(real, rel=0.25)
    assert roughness(smooth.sample_batch(range(4), 0), smooth).max() < 0.5 * real.min()


@pytest.mark.slow
def test_objects_are_drawn_where_the_mask_has_them(fitted, blob_set):
    generator = fitted(blob_set, steps=80, patch=64, lr=3e-3)
    for sample in generator.sample_batch(range(6), 0):
        inside = ndimage.binary_erosion(sample.labels > 0)
        outside = ~ndimage.binary_dilation(sample.labels > 0)
        assert np.median(sample.image[inside]) > np.median(sample.image[outside]) + 40


@pytest.mark.slow
def test_objects_are_as_bright_as_their_conditioning(fitted):
    rng = np.random.default_rng(0)
    labels = np.zeros((32, 48), np.uint8)
    labels[8:24, 4:20], labels[12:22, 30:40] = 3, 7
    levels = [np.array([20, 0, 0, left, 0, 0, 0, right]) for left, right in rng.integers(60, 240, (12, 2))]
    train = SampleSet.of([Sample(f"{k}", level[labels].astype(np.uint8), labels) for k, level in enumerate(levels)])
    generator = fitted(train, steps=150, patch=32, batch=4, lr=3e-3, mask_source="train")
    wanted, drawn = [], []
    for k in range(12):
        own = generator.conditioning.training_planes(labels, k)
        image = generator.image_planes(labels, own, np.random.default_rng(k))[0]
        wanted += [float(own[0][labels == i][0]) for i in (3, 7)]
        drawn += [float(np.median(image[labels == i])) for i in (3, 7)]
    assert np.corrcoef(wanted, drawn)[0, 1] > 0.8


@pytest.mark.slow
def test_the_ablation_without_style_learns_too(fitted, blob_set):
    generator = fitted(blob_set, steps=80, patch=64, lr=3e-3, style=False)
    labels = blob_set[0].labels
    intensities = generator.conditioning.training_planes(labels, 0)
    first, second = (generator.image_planes(labels, intensities, np.random.default_rng(k)) for k in range(2))
    assert np.array_equal(first, second)
    sample = generator.sample(1, 0)
    inside = ndimage.binary_erosion(sample.labels > 0)
    assert np.median(sample.image[inside]) > np.median(sample.image[sample.labels == 0]) + 40


def test_training_that_goes_astray_is_a_failure(fitted, blob_set, tmp_path: Path):
    with pytest.raises(Diverged, match="learning rate"):
        fitted(blob_set, steps=6, lr=1.0, context={"folder": tmp_path})


@pytest.mark.parametrize("level", [0.0, -9.0])
def test_flat_images_are_a_failure(fitted, blob_set, level):
    generator = fitted(blob_set, steps=1)
    if level == 0:
        for layer in (generator.network.to_image, generator.network.blur):
            nn.init.zeros_(layer.weight)
    nn.init.constant_(generator.network.to_image.bias, level)
    with pytest.raises(Diverged, match="flat"):
        generator.check_images(blob_set, 0)


def test_what_cannot_be_learned_from_is_refused(fitted, blob_set):
    with pytest.raises(DataError, match="no training samples"):
        fitted(blob_set[:0])
    with pytest.raises(DataError, match="smaller than a patch"):
        fitted(blob_set, patch=128)
    with pytest.raises(ConfigError, match="64 or more, or a smaller gen_depth"):
        fitted(blob_set, patch=32, gen_depth=5)
    with pytest.raises(ConfigError, match=r"mixed_prob: 0\.5 has no effect"):
        fitted(blob_set, style=False, mixed_prob=0.5)
    empty = SampleSet.of([Sample("a", np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.int32))])
    with pytest.raises(DataError, match="no objects"):
        fitted(empty)


@pytest.mark.parametrize(("depth", "patch"), [(3, 24), (2, 28)])
def test_patches_need_not_be_multiples_of_what_the_segmenter_halves(fitted, blob_set, depth, patch):
    sample = fitted(blob_set, gen_depth=depth, patch=patch).sample(0, 0)
    assert sample.image.std() > 0


def test_dense_masks_and_colonies_are_recombined_from_training_objects(fitted, blob_set):
    usual = np.mean([(s.labels > 0).mean() for s in blob_set])
    dense = fitted(blob_set, mask_source="recombine", foreground_fraction=min(0.9, 1.5 * usual))
    shares = [(s.labels > 0).mean() for s in dense.sample_batch(range(6), 0)]
    assert np.mean(shares) > 1.2 * usual
    colonies = fitted(blob_set, mask_source="recombine", object_layout="discs", foreground_fraction=0.5 * usual)
    for sample in colonies.sample_batch(range(4), 0):
        assert sample.labels.max() == len(np.unique(sample.labels)) - 1
    with pytest.raises(ConfigError, match="mask_source: recombine"):
        fitted(SampleSet.of(list(blob_set), task="semantic"), mask_source="recombine")


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("uint16", 1)])
def test_colours_and_depths_are_drawn_like_the_training_images(fitted, dtype, channels):
    rng = np.random.default_rng(0)
    labels = np.zeros((41, 57), np.uint8)
    labels[8:20, 9:24], labels[26:36, 12:22] = 1, 2
    level = 200 if dtype == "uint8" else 40_000
    image = np.where(labels > 0, level, level / 5) * (1 + rng.normal(0, 0.02, labels.shape))
    image = image.astype(dtype)
    picture = image if channels == 1 else np.stack([image, image // 2, image // 3], axis=-1)
    sample = fitted(SampleSet.of([Sample("a", picture, labels)]), steps=1).sample(0, 0)
    assert sample.image.dtype == dtype
    assert sample.image.ndim == (2 if channels == 1 else 3)
    assert level / 20 < sample.image.max() <= 1.2 * level


def test_semantic_images_are_drawn_to_turned_class_maps(fitted, semantic_set):
    drawn = fitted(semantic_set).sample_batch(range(8), 0)
    assert sorted((s.labels == 1).sum() for s in drawn) == sorted((s.labels == 1).sum() for s in semantic_set)
