"""StyleGAN2 with masks: what is drawn follows from seed and index, and a training goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from helpers.trainings import SmallGenerator, pixels, same_weights
from synthbench import Budget, Context, Sample, SampleSet
from synthbench.errors import ConfigError, DataError, StoreError
from synthbench.toolkit.training.loop import Diverged
from synthbench_stylegan2.config import StyleGan2MaskConfig
from synthbench_stylegan2.generator import StyleGan2Mask
from synthbench_stylegan2.selection import BestWeights

SMALL = {
    "mask_encoding": "grey",
    "pl_weight": 2.0,
    "channel_max": 16,
    "channel_base": 256,
    "z_dim": 32,
    "w_dim": 32,
    "d_embed_dim": 16,
}


fitted = SmallGenerator(StyleGan2Mask, SMALL, batch=4)


@pytest.fixture(scope="module")
def typed_set(blob_set: SampleSet) -> SampleSet:
    """Discs of two kinds: four bright on dark, eight dark on bright."""
    kinds = ["bright"] * 4 + ["dark"] * 8
    turned = [s.image if kind == "bright" else 255 - s.image for s, kind in zip(blob_set, kinds, strict=True)]
    return SampleSet.of(
        Sample(s.id, image, s.labels, {"cell_type": kind, "well": "a"})
        for s, image, kind in zip(blob_set, turned, kinds, strict=True)
    )


@pytest.fixture(scope="module")
def drawn_from(blob_set: SampleSet) -> StyleGan2Mask:
    return fitted(blob_set)


@pytest.mark.parametrize(
    ("config", "unused"),
    [
        ({"mask_encoding": "distance", "grey_levels": 3}, "grey_levels: 3"),
        ({"ada": False, "apa": False, "ada_kimg": 9}, "ada_kimg: 9"),
        ({"g_reg_interval": 7}, "g_reg_interval: 7"),
        ({"r1_gamma": 0, "d_reg_interval": 3}, "d_reg_interval: 3"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(config: dict[str, object], unused: str) -> None:
    with pytest.raises(ConfigError, match=unused):
        StyleGan2MaskConfig(**config).resolve(Budget(10, 4, 64))


def test_networks_are_as_wide_as_the_budget_has_time() -> None:
    def sizes(budget: Budget, **given: object) -> tuple[object, ...]:
        found = StyleGan2MaskConfig(**given).resolve(budget)
        sizes = found.channel_max, found.channel_base, found.pixel_unshuffle_factor
        return *sizes, found.diff_augment, found.mask_encoding, found.pl_weight, found.r1_images, found.resampling

    microscopy = (64, 1024, 4, False, "distance", 0, "augmented", "cheap")
    paper = (512, 16_384, 1, True, "grey", 2, "original", "filtered")
    for name in ("smoke", "quick"):
        assert sizes(StyleGan2Mask.budgets[name]) == microscopy
    assert sizes(StyleGan2Mask.budgets["standard"]) == paper
    assert sizes(StyleGan2Mask.budgets["paper"]) == (512, 32_768, *paper[2:])  # for images of 512²
    assert sizes(StyleGan2Mask.budgets["quick"], preset="paper") == paper
    given = {"pixel_unshuffle_factor": 2, "channel_base": 512, "mask_encoding": "none", "pl_weight": 1}
    assert sizes(Budget(5, 1, 64), **given) == (64, 512, 2, False, "none", 1, "augmented", "cheap")


def test_a_former_key_is_refused_with_the_present_one_named() -> None:
    for former, present in StyleGan2MaskConfig.renamed.items():
        with pytest.raises(ValueError, match=present):
            StyleGan2MaskConfig(**{former: 1})


@pytest.mark.parametrize(("patch", "fitting"), [(48, 32), (16, 32), (96, 64)])
def test_a_patch_that_is_no_power_of_two_is_refused(blob_set: SampleSet, patch: int, fitting: int) -> None:
    with pytest.raises(ConfigError, match=f"use --patch {fitting}"):
        fitted(blob_set, patch=patch)


def test_a_sample_depends_on_seed_and_index_alone(drawn_from: StyleGan2Mask) -> None:
    expected = pixels(drawn_from, range(4))
    assert pixels(drawn_from, [3, 1]) == [expected[3], expected[1]]
    assert pixels(drawn_from, range(4), seed=1) != expected
    assert len(set(expected)) == 4


def test_what_was_saved_draws_the_same_bytes(typed_set: SampleSet, tmp_path: Path) -> None:
    generator = fitted(typed_set)
    generator.save(tmp_path)
    loaded = StyleGan2Mask.load(tmp_path, Context(seed=9))
    assert pixels(loaded, range(3)) == pixels(generator, range(3))
    assert [s.groups for s in loaded.sample_batch(range(3), 0)] == [
        s.groups for s in generator.sample_batch(range(3), 0)
    ]
    for name in ("conditions.json", "patch_size.txt"):
        kept = (tmp_path / name).read_text()
        (tmp_path / name).write_text("{}")
        with pytest.raises(StoreError, match=name.replace(".", r"\.")):
            StyleGan2Mask.load(tmp_path, Context())
        (tmp_path / name).write_text(kept)


def test_classes_are_drawn_by_their_shares(typed_set: SampleSet) -> None:
    drawn = Counter(sample.groups["cell_type"] for sample in fitted(typed_set, steps=1).sample_batch(range(90), 0))
    assert set(drawn) == {"bright", "dark"}
    assert drawn["dark"] == pytest.approx(60, abs=14)


def test_classes_are_drawn_as_asked(typed_set: SampleSet) -> None:
    generator = fitted(typed_set, steps=1, draw={"cell_type": {"bright": 0.75, "dark": 0.25}})
    drawn = Counter(sample.groups["cell_type"] for sample in generator.sample_batch(range(24), 0))
    assert drawn == {"bright": 18, "dark": 6}


def test_without_masks_there_are_images_alone(blob_set: SampleSet) -> None:
    generator = fitted(blob_set, mask_encoding="none")
    drawn = generator.sample_batch(range(3), 0)
    assert all(not s.labels.any() and s.image.shape == (32, 32) and np.ptp(s.image) > 0 for s in drawn)
    assert generator.network.synthesis.mask_head is None


def test_instances_can_be_drawn_as_distances_and_classes_as_planes(
    blob_set: SampleSet, semantic_set: SampleSet
) -> None:
    assert fitted(blob_set, mask_encoding="distance", steps=1).mask_planes == 2
    semantic = fitted(semantic_set, steps=1)
    assert semantic.mask_planes == 2
    assert max(int(s.labels.max()) for s in semantic.sample_batch(range(3), 0)) <= 1


def test_a_stopped_training_goes_on_to_the_same_weights(
    typed_set: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With augmentation at work, drawn samples among the real ones, and weights kept on the way."""
    monkeypatch.setattr("synthbench_stylegan2.generator.COMPARED", 8)
    config = {"steps": 12, "ada_target": -1.0, "ada_kimg": 0.02, "selection_interval": 5, "diff_augment": True}
    resumed = fitted.resumed(typed_set, tmp_path, at=7, **config)
    assert same_weights(fitted(typed_set, **config).network, resumed.network)


def test_the_best_of_the_averages_that_were_looked_at_draws(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the first of three, because what is drawn later is made worse before it is compared."""
    seen: list[dict[str, torch.Tensor]] = []

    class Watched(BestWeights):
        def update(self, drawn: torch.Tensor, network: nn.Module) -> None:
            super().update(drawn + 9 * len(seen), network)
            seen.append({name: value.clone() for name, value in network.state_dict().items()})

    monkeypatch.setattr("synthbench_stylegan2.generator.COMPARED", 4)
    monkeypatch.setattr("synthbench_stylegan2.generator.BestWeights", Watched)
    found = fitted(blob_set, steps=6, selection_interval=2).network.state_dict()
    assert len(seen) == 3
    assert all(torch.equal(value, seen[0][name]) for name, value in found.items())
    assert not all(torch.equal(value, seen[2][name]) for name, value in found.items())


def test_training_that_goes_astray_is_a_failure(blob_set: SampleSet) -> None:
    with pytest.raises(Diverged):
        fitted(blob_set, steps=12, learning_rate=1.0)


@pytest.mark.parametrize(("head", "what"), [("image_head", "images"), ("mask_head", "masks")])
def test_flat_planes_and_one_and_the_same_picture_are_failures(
    blob_set: SampleSet, drawn_from: StyleGan2Mask, head: str, what: str
) -> None:
    generator = fitted(blob_set, steps=1)
    real = np.stack([np.concatenate(generator.codec.encode(s, 0)) for s in blob_set])
    generator.check_samples(real, 0)
    with torch.no_grad():
        for parameter in generator.network.mapping.parameters():
            parameter.zero_()
        for name, parameter in generator.network.named_parameters():
            if name.endswith("strength"):
                parameter.fill_(0.3)
    with pytest.raises(Diverged, match="all the same"):
        generator.check_samples(real, 0)
    generator = fitted(blob_set, steps=1)
    nn.init.zeros_(getattr(generator.network.synthesis, head).out.conv.weight)
    with pytest.raises(Diverged, match=f"{what} that the network generates are flat"):
        generator.check_samples(real, 0)


def test_objects_for_which_there_is_no_level_are_counted() -> None:
    """Four squares that meet in a point need four levels."""
    labels = np.kron(np.array([[1, 2], [3, 4]]), np.ones((16, 16), int))
    noise = np.random.default_rng(0).integers(0, 200, (3, 32, 32)).astype(np.uint8)
    train = SampleSet.of(Sample(f"s{i}", image, labels) for i, image in enumerate(noise))
    assert [fitted(train, steps=1, grey_levels=levels).counts["lost"] for levels in (2, 4)] == [6, 0]


def test_without_objects_there_is_nothing_to_learn() -> None:
    train = SampleSet.of([Sample("a", np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.int32))])
    with pytest.raises(DataError, match="no objects"):
        fitted(train)


@pytest.mark.slow
def test_the_class_decides_what_is_drawn_and_masks_go_with_images(typed_set: SampleSet) -> None:
    """So short a training is far from its end: what counts is how bright a class is, and its objects against that."""
    training = {"steps": 250, "batch": 8, "context": {"seed": 3}}
    generator = fitted(typed_set, **training, pl_weight=0, pixel_unshuffle_factor=2, diff_augment=True)
    light, together = [], []
    for which in range(2):
        donor = generator.conditions.classes.index(which)
        planes = [generator.draw_planes(donor, np.random.default_rng((9, which, i))) for i in range(24)]
        image, mask = np.stack(planes)[:, :2].swapaxes(0, 1).reshape(2, -1)
        light.append(float(image.mean()))
        together.append(float(np.corrcoef(image, mask)[0, 1]))
    assert generator.conditions.values == (("bright", "dark"),)
    assert light[0] + 0.5 < light[1]
    assert together[0] > together[1] + 0.1
