"""Diffusion: what is drawn is a function of seed and index, and objects are where the masks have them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

pytest.importorskip("einops")


from helpers.trainings import SmallGenerator, assert_draws_bright_objects, pixels, same_weights
from synthbench import Context, Sample, SampleSet
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.toolkit.generators.diffusion_processes import GaussianDiffusion
from synthbench.toolkit.intensity.pixel_noise import measure_noise
from synthbench.toolkit.intensity.texture import measure_texture
from synthbench.toolkit.training import checkpoints
from synthbench.toolkit.training.loop import Diverged
from synthbench_diffusion.conditional import ConditionalDiffusion
from synthbench_diffusion.config import DiffusionConfig
from synthbench_diffusion.generator import Diffusion
from synthbench_diffusion.network import Denoiser
from synthbench_diffusion.training import drop_conditions

SMALL: dict[str, Any] = {"model_channels": 8, "channel_mult": (1, 2), "sampling_steps": 4}

MODES = ("joint", "conditional")


fitted = SmallGenerator(Diffusion, SMALL)


@pytest.fixture(scope="module", params=MODES)
def drawn_from(request: pytest.FixtureRequest, blob_set: SampleSet) -> Diffusion:
    return fitted(blob_set, mode=request.param)


def test_more_drawing_steps_than_times_are_refused() -> None:
    with pytest.raises(ValueError, match="sampling_steps: 80"):
        DiffusionConfig(timesteps=60, sampling_steps=80)


def test_sizes_follow_from_the_budget_where_they_are_left_open() -> None:
    short, long = (DiffusionConfig().resolve(Diffusion.budgets[name]) for name in ("quick", "paper"))
    assert short.sampling_steps < long.sampling_steps == 50
    assert short.pixel_unshuffle_factor > long.pixel_unshuffle_factor == 1
    assert (short.prediction_type, long.prediction_type) == ("sample", "epsilon")
    assert (short.preset, long.preset) == ("microscopy", "paper")
    chosen = DiffusionConfig(pixel_unshuffle_factor=2, sampling_steps=7).resolve(Diffusion.budgets["paper"])
    assert (chosen.pixel_unshuffle_factor, chosen.sampling_steps, chosen.channel_mult) == (2, 7, long.channel_mult)
    assert DiffusionConfig(preset="paper").resolve(Diffusion.budgets["quick"]) == long


def test_a_former_key_is_refused_with_the_present_one_named() -> None:
    for former, present in DiffusionConfig.renamed.items():
        with pytest.raises(ValueError, match=present):
            DiffusionConfig(**{former: 1})


@pytest.mark.parametrize("mode", MODES)
def test_the_published_method_trains_and_draws(blob_set: SampleSet, mode: str) -> None:
    generator = fitted(blob_set, mode=mode, preset="paper", channel_mult=(1, 1, 2))
    assert len(set(pixels(generator, range(2)))) == 2
    blocks = generator.method.network.unet.down_blocks
    assert [hasattr(block, "attentions") for block in blocks] == [False, True, False]


def test_a_sample_depends_on_seed_and_index_alone(drawn_from: Diffusion) -> None:
    expected = pixels(drawn_from, range(4))
    assert pixels(drawn_from, [3, 1]) == [expected[3], expected[1]]
    assert pixels(drawn_from, range(4), seed=1) != expected
    assert len(set(expected)) == 4


def test_what_was_saved_draws_the_same_bytes(drawn_from: Diffusion, tmp_path: Path) -> None:
    drawn_from.save(tmp_path)
    assert pixels(Diffusion.load(tmp_path, Context(seed=9)), range(2)) == pixels(drawn_from, range(2))
    (tmp_path / "patch_size.txt").write_text("wide")
    with pytest.raises(StoreError, match=r"patch_size\.txt"):
        Diffusion.load(tmp_path, Context())


def test_samples_have_the_size_of_patches_or_masks_and_valid_masks(drawn_from: Diffusion, blob_set: SampleSet) -> None:
    before = drawn_from.counts["drawn"]
    side = blob_set[0].labels.shape[0] if drawn_from.config.mode == "conditional" else 32
    for sample in drawn_from.sample_batch(range(6), 0):
        assert sample.image.shape == sample.labels.shape == (side, side)
        ids, areas = np.unique(sample.labels[sample.labels > 0], return_counts=True)
        assert ids.tolist() == list(range(1, len(ids) + 1))
        assert (areas >= drawn_from.method.codec.min_area).all()
    assert drawn_from.counts["drawn"] == before + 6


def test_conditions_are_dropped_with_the_given_probability() -> None:
    kept = drop_conditions(torch.ones(4000, 2, 1, 1), 0.25, torch.Generator().manual_seed(0))
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert float((kept.sum(dim=(1, 2, 3)) == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(drop_conditions(-torch.ones(50, 2, 1, 1), 0.25, torch.Generator()).abs().sum()) < 100


@pytest.mark.parametrize(("dropped", "some"), [(0.5, True), (0.0, False)])
def test_a_network_that_guidance_needs_sees_no_condition_at_times(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch, dropped: float, some: bool
) -> None:
    forward, blank = Denoiser.forward, []

    def watched(
        network: Denoiser, x_t: torch.Tensor, t: torch.Tensor, condition: torch.Tensor, values: None = None
    ) -> torch.Tensor:
        if network.training:
            blank.extend((condition == 0).flatten(1).all(dim=1).tolist())
        return forward(network, x_t, t, condition, values)

    monkeypatch.setattr(Denoiser, "forward", watched)
    fitted(blob_set, steps=8, mode="conditional", cond_drop_prob=dropped)
    assert len(blank) == 16
    assert (0 < sum(blank) < 16) == some
    assert some or not any(blank)


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({"mode": "joint"}, [1] * (2 + 4)),
        ({"mode": "conditional"}, [1] * 3),
        ({"mode": "conditional", "cond_drop_prob": 0.5, "guidance_scale": 2}, [2] * 3),
    ],
)
def test_a_drawing_takes_the_steps_that_were_asked_for(
    blob_set: SampleSet, config: dict[str, Any], asked: list[int]
) -> None:
    """Three, the last one evened out at four places where there is no mask; with guidance two images in each."""
    generator, seen = fitted(blob_set, steps=1, sampling_steps=3, pixel_unshuffle_factor=4, **config), []
    generator.method.network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    first = pixels(generator, [0])
    assert seen == asked
    if "guidance_scale" in config:
        generator.method.config = generator.method.config.model_copy(update={"guidance_scale": 3})
        assert pixels(generator, [0]) != first


def test_errors_weigh_what_was_asked_for(blob_set: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask's by its weight, both by that of their time; in the first step all trainings are alike."""

    def first(name: str, **config: Any) -> dict[str, float]:
        fitted(blob_set, steps=1, prediction_type="sample", context={"folder": tmp_path / name}, **config)
        return json.loads((tmp_path / name / "log" / "training.jsonl").read_text(encoding="utf-8"))

    one, three = first("one"), first("three", mask_weight=3.0)
    monkeypatch.setattr(GaussianDiffusion, "loss_weights", lambda process, t: torch.full((len(t), 1, 1, 1), 5.0))
    fives = first("fives")
    monkeypatch.setattr(GaussianDiffusion, "loss_weights", lambda process, t: torch.ones((len(t), 1, 1, 1)))
    ones = first("ones")
    assert three["mask"] == pytest.approx(3 * one["mask"], rel=1e-5)
    assert three["image"] == pytest.approx(one["image"], rel=1e-5)
    for name in ("image", "mask"):
        assert fives[name] == pytest.approx(5 * ones[name], rel=1e-5)


def test_the_rate_falls_to_its_end_and_the_process_is_the_one_asked_for(blob_set: SampleSet, tmp_path: Path) -> None:
    config: dict[str, Any] = {"timesteps": 200, "beta_schedule": "cosine", "learning_rate": 2e-3}
    process = fitted(blob_set, context={"folder": tmp_path}, **config).method.process
    (group,) = checkpoints.read(tmp_path / "training.pt")["state"]["optimiser"]["param_groups"]
    assert group["lr"] == pytest.approx(2e-3 * 1e-4)
    clean, noise, times = torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1), torch.tensor([5, 120])
    expected = GaussianDiffusion(200, "cosine", "sample").q_sample(clean, noise, times)
    assert torch.equal(process.q_sample(clean, noise, times), expected)


def test_the_published_rate_rises_at_the_beginning(blob_set: SampleSet, tmp_path: Path) -> None:
    fitted(blob_set, learning_rate=2e-3, lr_schedule="warmup", context={"folder": tmp_path})
    (group,) = checkpoints.read(tmp_path / "training.pt")["state"]["optimiser"]["param_groups"]
    assert group["lr"] == pytest.approx(2e-3 * 5 / 5000)


def test_a_long_training_has_the_figures_of_the_papers() -> None:
    found = DiffusionConfig(mode="conditional").resolve(Diffusion.budgets["paper"])
    assert (found.timesteps, found.beta_schedule, found.prediction_type) == (1000, "linear_beta", "epsilon")
    assert (found.learning_rate, found.cond_drop_prob, found.guidance_scale, found.sampling_steps) == (1e-4, 0.2, 2, 50)
    assert (found.model_channels, found.channel_mult, found.num_res_blocks) == (128, (1, 1, 2, 2, 4, 4), 2)
    assert (found.attention_resolution, found.ema_decay) == (16, 0.9999)
    assert (found.intensity_conditioning, found.texture, found.pixel_noise) == (False, False, False)


@pytest.mark.parametrize("mode", MODES)
def test_class_maps_are_drawn_too(semantic_set: SampleSet, mode: str) -> None:
    for sample in fitted(semantic_set, mode=mode).sample_batch(range(3), 0):
        assert sample.image.shape[:2] == sample.labels.shape
        assert set(np.unique(sample.labels)) <= {0, 1}


@pytest.mark.parametrize("mode", MODES)
def test_a_stopped_training_goes_on_to_the_same_weights(blob_set: SampleSet, tmp_path: Path, mode: str) -> None:
    resumed = fitted.resumed(blob_set, tmp_path, at=5, steps=8, mode=mode)
    assert same_weights(fitted(blob_set, steps=8, mode=mode).method.network, resumed.method.network)


def test_what_draws_is_the_average_of_the_weights(blob_set: SampleSet) -> None:
    """Without an average the last weights draw, with one those of before: the same training, other pictures."""
    assert pixels(fitted(blob_set, ema_decay=0.0), [0]) != pixels(fitted(blob_set, ema_decay=0.99), [0])


@pytest.mark.slow
def test_objects_are_drawn_where_the_masks_have_them(blob_set: SampleSet) -> None:
    """After half a minute, discs are brighter than the ground in both modes, and drawn ones like those learned from."""
    for mode in MODES:
        trained = fitted(
            blob_set,
            steps=300,
            batch=8,
            mode=mode,
            model_channels=16,
            pixel_unshuffle_factor=2,
            sampling_steps=10,
            learning_rate=2e-3,
        )
        assert_draws_bright_objects(trained)


class Unbounded(Diffusion):
    """Takes a learning rate that the configuration refuses."""

    class Config(Diffusion.Config):
        learning_rate: float = 1e18


@pytest.mark.parametrize("mode", MODES)
def test_training_that_goes_astray_is_a_failure(blob_set: SampleSet, tmp_path: Path, mode: str) -> None:
    with pytest.raises(Diverged, match="learning rate"):
        SmallGenerator(Unbounded, SMALL)(blob_set, steps=12, mode=mode, context={"folder": tmp_path})


@pytest.mark.parametrize("mode", MODES)
def test_flat_images_are_a_failure(blob_set: SampleSet, mode: str) -> None:
    generator = fitted(blob_set, mode=mode, prediction_type="sample")
    torch.nn.init.zeros_(generator.method.network.unet.out[-1].conv.weight)
    torch.nn.init.constant_(generator.method.network.unet.out[-1].conv.bias, -50.0)
    real = np.stack([np.concatenate(generator.method.encode(s, k))[:, :32, :32] for k, s in enumerate(blob_set)])
    method = generator.method
    conditional = isinstance(method, ConditionalDiffusion)
    check = partial(method.check_images, blob_set) if conditional else partial(method.check_samples, real)
    with pytest.raises(Diverged, match="flat"):
        check(0)


@pytest.mark.parametrize("mode", MODES)
def test_smooth_drawings_get_the_grain_of_training_images(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    def grains(samples: Iterable[Sample]) -> float:
        return float(np.median([measure_noise(s.image[None].astype(np.float32), s.labels > 0, 2) for s in samples]))

    generator = fitted(blob_set, mode=mode)
    smooth = ndimage.gaussian_filter(np.concatenate(generator.method.codec.encode(blob_set[0], 0)), (0, 6, 6))
    shown, method = (smooth[:, :32, :32], "draw_planes") if mode == "joint" else (smooth[:1], "draw_image")
    monkeypatch.setattr(generator.method, method, lambda *given: shown)
    assert grains(generator.sample_batch(range(12), 0)) == pytest.approx(grains(blob_set), rel=0.2)
    generator.method.config = generator.method.config.model_copy(update={"pixel_noise": False})
    assert grains(generator.sample_batch(range(12), 0)) < 0.2 * grains(blob_set)


def test_images_to_masks_get_light_and_texture_of_training_objects(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that repeats the brightness it is told draws smooth objects; they come out as rough as real ones."""

    def spotted(sample: Sample, seed: int) -> Sample:
        spots = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(sample.labels.shape), 1.5) * 150
        image = np.where(sample.labels > 0, 150 + spots, 26 + sample.image * 0.02)
        return Sample(sample.id, np.clip(image, 0, 255).astype(np.uint8), sample.labels)

    def roughness(samples: Iterable[Sample]) -> float:
        found = [measure_texture(generator.method.codec.encode(sample, 0)[0], sample.labels) for sample in samples]
        return float(np.median(np.linalg.norm(np.concatenate(found), axis=1)))

    train = SampleSet.of([spotted(sample, seed) for seed, sample in enumerate(blob_set)])
    generator = fitted(train, steps=1, mode="conditional", pixel_noise=False)
    monkeypatch.setattr(
        generator.method, "draw_image", lambda mask, intensities, rng: np.where(mask[1] > 0, intensities[0], -0.8)[None]
    )
    assert roughness(generator.sample_batch(range(12), 0)) == pytest.approx(roughness(train), rel=0.3)
    generator.method.config = generator.method.config.model_copy(update={"texture": False})
    assert roughness(generator.sample_batch(range(12), 0)) < 0.5 * roughness(train)


def test_a_network_to_masks_is_told_the_light_in_a_short_training(blob_set: SampleSet) -> None:
    conditioned, alone = (
        fitted(blob_set, mode="conditional", steps=1, intensity_conditioning=choice) for choice in (None, False)
    )
    long = DiffusionConfig(mode="conditional").resolve(Diffusion.budgets["paper"])
    assert (conditioned.method.config.intensity_conditioning, long.intensity_conditioning) == (True, False)
    inputs = [generator.method.network.unet.conv_in.conv.in_channels for generator in (conditioned, alone)]
    planes = [conditioned.method.codec.image_planes + conditioned.method.condition_planes, alone.method.codec.planes]
    assert inputs == [count * alone.method.network.factor**2 for count in planes]
    assert planes[0] > planes[1]


def test_a_mask_that_is_too_large_is_cut_after_it_has_become_planes(blob_set: SampleSet) -> None:
    """So that cells at the edge are told as in training; specks that the cut leaves are background in both."""
    generator = fitted(blob_set, mode="conditional", mask_source="train", max_side=32)
    for index in range(20):
        drawn = generator.method.sampler.sample_mask(index, 0)
        labels, planes, _ = generator.method.encode_sampled(drawn, np.random.default_rng(index))
        rng, whole = np.random.default_rng(index), drawn.labels
        top, left = (int(rng.integers(side - 32 + 1)) for side in whole.shape)
        expected = generator.method.codec.encode_mask(whole)[:, top : top + 32, left : left + 32]
        specks = (whole[top : top + 32, left : left + 32] > 0) & (labels == 0)
        assert np.array_equal(planes[:, ~specks], expected[:, ~specks])
        assert (planes[:, specks] == -1).all()


@pytest.mark.parametrize("max_side", [1024, 40])
def test_images_have_the_size_of_masks_of_any_size(blob_set: SampleSet, max_side: int) -> None:
    """Sides that no block of the network fits."""
    cut = [Sample(s.id, s.image[:59, :37].copy(), s.labels[:59, :37].copy()) for s in blob_set]
    generator = fitted(SampleSet.of(cut), mode="conditional", max_side=max_side)
    for sample in generator.sample_batch(range(4), 0):
        assert sample.image.shape == sample.labels.shape
        assert sorted(sample.labels.shape) == [37, min(59, max_side)]


def test_guidance_without_what_it_compares_with_is_refused() -> None:
    with pytest.raises(ValueError, match="guidance_scale: 2"):
        DiffusionConfig(mode="conditional", cond_drop_prob=0, guidance_scale=2)
    assert DiffusionConfig(mode="conditional", cond_drop_prob=0, guidance_scale=1).cond_drop_prob == 0


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        ("joint", {"guidance_scale": 1}),
        ("joint", {"max_side": 64}),
        ("joint", {"foreground_fraction": 0.5}),
        ("conditional", {}),
    ],
)
def test_options_of_the_other_mode_are_refused(mode: str, asked: dict[str, float]) -> None:
    asked = asked or {"mask_weight": 2.0}
    other = MODES[mode == "joint"]
    with pytest.raises(ValueError, match=f"{next(iter(asked))}: .* mode: {other}"):
        DiffusionConfig(mode=mode, **asked)
    DiffusionConfig(mode=other, **asked)


@pytest.mark.parametrize(
    ("budget", "asked", "guidance", "dropped"),
    [
        ("quick", {}, 1, 0),
        ("quick", {"guidance_scale": 2}, 2, 0.2),
        ("quick", {"cond_drop_prob": 0.1}, 1, 0.1),
        ("paper", {}, 2, 0.2),
        ("paper", {"cond_drop_prob": 0}, 1, 0),
        ("paper", {"guidance_scale": 1}, 1, 0),
    ],
)
def test_conditions_are_dropped_where_guidance_needs_it(
    budget: str, asked: dict[str, float], guidance: float, dropped: float
) -> None:
    found = DiffusionConfig(mode="conditional", **asked).resolve(Diffusion.budgets[budget])
    assert (found.guidance_scale, found.cond_drop_prob) == (guidance, dropped)


def test_a_patch_of_odd_size_is_refused(blob_set: SampleSet) -> None:
    with pytest.raises(ConfigError, match="use --patch 32"):
        fitted(blob_set, patch=30)


@pytest.mark.parametrize("mode", MODES)
def test_without_objects_there_is_nothing_to_learn(mode: str) -> None:
    train = SampleSet.of([Sample("a", np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.int32))])
    with pytest.raises(DataError, match="no objects"):
        fitted(train, mode=mode)
