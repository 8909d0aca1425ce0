"""The U-Net: it learns, it is the same again, it copes with what images there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss
from torch import nn

from synthbench.errors import DataError, StoreError
from synthbench.metrics.matching import count, pooled
from synthbench.plugin.api import Budget, Context, Stopped, TrainingMix
from synthbench.plugin.precision import Precision, computing_in
from synthbench.samples import Sample, SampleSet, read_array
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.masks.distance import Thresholds
from synthbench_unet.config import UNetConfig
from synthbench_unet.heads import SemanticHead, default_thresholds, dice_loss, head_for
from synthbench_unet.network import FLIPS, Predictor, build, fuse_batch_norm, pad_to_multiple
from synthbench_unet.segmenter import UNet

SMALL = {"features": (4, 4, 8, 8, 8, 4)}
BUDGET = Budget(steps=3, batch_size=2, patch_size=32)


def fitted(
    samples: SampleSet,
    validation: SampleSet | None = None,
    *,
    context: Context | None = None,
    **config: Any,
) -> UNet:
    unet = UNet(UNetConfig(**{**SMALL, **config}))
    unet.fit(TrainingMix(samples), samples[:2] if validation is None else validation, context or Context(budget=BUDGET))
    return unet


def picture(shape: Sequence[int], objects: int = 2, dtype: str = "uint8") -> Sample:
    rng = np.random.default_rng((objects, *shape))
    labels = np.zeros(shape[:2], np.uint8)
    for label in range(1, objects + 1):
        labels[3:9, 12 * label - 9 : 12 * label - 2] = label
    light = rng.integers(10, 30, shape) + 150 * (labels > 0).reshape(labels.shape + (1,) * (len(shape) - 2))
    return Sample(f"p{objects}", (light * (1 if dtype == "uint8" else 256)).astype(dtype), labels)


def as_input(sample: Sample) -> np.ndarray:
    return to_channels(normalise(sample.image), 1)


def weights(unet: UNet) -> list[torch.Tensor]:
    return list(unet.network.state_dict().values())


# -- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("decoding", ["distance", "binary"])
def test_it_learns_to_find_discs(blob_set: SampleSet, decoding: str) -> None:
    budget = Budget(steps=120, batch_size=4, patch_size=64)
    unet = fitted(
        blob_set[:8], blob_set[8:], context=Context(budget=budget), decoding=decoding, features=(8, 8, 16, 16, 16, 8)
    )
    counts = [count(sample.labels, unet.predict(sample.image).labels) for sample in blob_set]
    f1 = pooled(counts)["f1"]
    assert f1[0] > (0.9 if decoding == "distance" else 0.3)


@pytest.mark.slow
def test_it_learns_classes_of_pixels(semantic_set: SampleSet) -> None:
    unet = fitted(semantic_set, context=Context(budget=Budget(60, 4, 64)), features=(8, 8, 16, 16, 16, 8))
    for sample in semantic_set:
        found = unet.predict(sample.image)
        assert found.scores is None
        assert (found.labels == sample.labels).mean() > 0.97


@pytest.mark.slow
def test_a_little_training_finds_real_nuclei(real_data: Path) -> None:
    folder = real_data / "fluo_nuclei_dsb2018" / "train"
    paths = sorted((folder / "images").glob("*.png"))[::12]
    samples = SampleSet.of(Sample(p.stem, read_array(p), read_array(folder / "labels" / p.name)) for p in paths)
    unet = UNet()
    unet.fit(TrainingMix(samples[:30]), samples[30:], Context(budget=Budget(60, 4, 128), threads=2))
    f1 = pooled(count(sample.labels, unet.predict(sample.image).labels) for sample in samples[30:])["f1"]
    assert f1[0] > 0.45


# -- the same again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "precision"), [(0, "fp32"), (2, "fp32"), (2, "bf16")])
def test_interrupted_training_ends_in_the_same_weights(
    blob_set: SampleSet, tmp_path: Path, after: int, precision: Precision
) -> None:
    asked = iter(range(10**6))
    context = Context(budget=BUDGET, folder=tmp_path, should_stop=lambda: next(asked) >= after)
    with computing_in(precision):
        whole = fitted(blob_set)
        with pytest.raises(Stopped):
            fitted(blob_set, context=context)
        rest = fitted(blob_set, context=Context(budget=BUDGET, folder=tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(rest), strict=True))
    assert whole.thresholds == rest.thresholds


def test_what_is_saved_predicts_the_same(blob_set: SampleSet, tmp_path: Path) -> None:
    unet = fitted(blob_set)
    unet.thresholds["area"] = 3
    unet.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "network.safetensors", "unet.json"}
    again = UNet.load(tmp_path, Context(budget=BUDGET, seed=9))
    found, expected = again.predict(blob_set[3].image), unet.predict(blob_set[3].image)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("file", ["network.safetensors", "unet.json"])
def test_a_damaged_save_is_a_clear_error(blob_set: SampleSet, tmp_path: Path, file: str) -> None:
    fitted(blob_set).save(tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:20])
    with pytest.raises(StoreError, match=file):
        UNet.load(tmp_path, Context())


def test_another_seed_is_another_network(blob_set: SampleSet) -> None:
    one, two = (fitted(blob_set, context=Context(seed=seed, budget=BUDGET)) for seed in (1, 2))
    assert any(not torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))


def test_the_arms_of_a_seed_start_from_the_same_weights(blob_set: SampleSet) -> None:
    untrained = Context(seed=3, budget=Budget(steps=0, batch_size=2, patch_size=32))
    found = []
    for mix in (TrainingMix(blob_set[:6]), TrainingMix(blob_set[:4], blob_set[4:8], 0.5)):
        unet = UNet(UNetConfig(**SMALL))
        unet.fit(mix, blob_set[:2], untrained)
        found.append(weights(unet))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


# -- all sorts of images ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decoding", "shape", "dtype"),
    [
        ("distance", (33, 47), "uint16"),
        ("distance", (40, 33, 3), "uint8"),
        ("binary", (33, 47), "uint8"),
        ("binary", (40, 33, 3), "uint16"),
    ],
)
def test_all_sorts_of_images_are_learned_from(decoding: str, shape: tuple[int, ...], dtype: str) -> None:
    unet = fitted(SampleSet.of([picture(shape, 2, dtype)]), decoding=decoding)
    for size in ((1, 1), (1, 40), (40, 1), (31, 33), (70, 20)):
        for image in (np.zeros(size, dtype), np.full((*size, 3), 200, dtype)):
            found = unet.predict(image)
            assert found.labels.shape == size
            assert found.scores is not None
            assert len(found.scores) == found.labels.max()
            assert set(np.unique(found.labels)) | {0} == set(range(found.labels.max() + 1))


@pytest.mark.parametrize("objects", [0, 1])
def test_few_objects_or_none_are_no_reason_to_fail(objects: int) -> None:
    samples = SampleSet.of([picture((40, 40), objects)])
    unet = fitted(samples)
    assert unet.predict(samples[0].image).labels.shape == (40, 40)


def test_no_validation_samples_leave_the_default_thresholds(blob_set: SampleSet) -> None:
    unet = fitted(blob_set, SampleSet.of([]))
    assert unet.thresholds == default_thresholds(unet.head) == asdict(Thresholds())


def test_thresholds_are_chosen_on_the_validation_samples(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    unet = fitted(blob_set)
    faint = np.array([1, 0.35], np.float32)[:, None, None]
    drawn = {as_input(sample).tobytes(): faint * unet.head.encode(sample) for sample in blob_set}
    monkeypatch.setattr(unet, "predictor", lambda image: drawn[image.tobytes()])
    unet.tune_thresholds(blob_set, Context(budget=BUDGET))
    assert unet.thresholds["foreground"] == 0.3


def test_a_synthetic_share_is_trained_on(blob_set: SampleSet) -> None:
    synthetic = SampleSet.of([picture((40, 40, 3))])
    unet = UNet(UNetConfig(**SMALL))
    unet.fit(TrainingMix(blob_set, synthetic, synthetic_ratio=0.5), blob_set[:2], Context(budget=BUDGET))
    assert unet.channels == 1


@pytest.mark.parametrize("side", [8, 40])
def test_patches_of_any_size_are_taken(blob_set: SampleSet, side: int) -> None:
    fitted(blob_set, context=Context(budget=Budget(2, 1, side)))


def test_a_class_without_a_name_is_a_clear_error(semantic_set: SampleSet) -> None:
    wrong = Sample("odd", semantic_set[0].image, np.full((64, 64), 5, np.uint8))
    samples = SampleSet.of([wrong], task="semantic", classes=semantic_set.classes)
    with pytest.raises(DataError, match=r"'odd'.*class 5"):
        fitted(samples)


def test_classes_without_names_are_counted_in_the_masks(semantic_set: SampleSet) -> None:
    samples = SampleSet.of([Sample("a", semantic_set[0].image, semantic_set[0].labels * 4)], task="semantic")
    assert fitted(samples).classes == 5


# -- parts ------------------------------------------------------------------------------------------------------------


def test_dice_agrees_with_monai() -> None:
    generator = torch.Generator().manual_seed(0)
    shares = torch.rand(3, 4, 8, 8, generator=generator)
    targets = (torch.rand(3, 4, 8, 8, generator=generator) > 0.5).float()
    oracle = DiceLoss(batch=True, smooth_nr=1.0, smooth_dr=1.0)
    assert float(dice_loss(shares, targets, torch.ones(()))) == pytest.approx(float(oracle(shares, targets)), abs=1e-6)


@pytest.mark.parametrize("decoding", ["distance", "binary"])
def test_perfect_logits_have_almost_no_loss_and_decode_to_the_truth(blob_set: SampleSet, decoding: str) -> None:
    head = head_for(UNetConfig(decoding=decoding), "instances", 0)
    sample = picture((32, 32))
    targets = torch.from_numpy(head.encode(sample)[None].astype(np.float32))
    logits = torch.logit(targets, eps=1e-5)
    assert sum(head.losses(logits, targets).values()) < 0.01
    found = head.decode(head.activation(logits)[0].numpy(), {"area": 1})
    np.testing.assert_array_equal(found.labels, sample.labels)
    np.testing.assert_allclose(found.scores, 1, atol=1e-3)


def test_perfect_classes_have_almost_no_loss(semantic_set: SampleSet) -> None:
    head = SemanticHead(UNetConfig(), 3)
    targets = torch.from_numpy(head.encode(semantic_set[0])[None])
    logits = 20 * nn.functional.one_hot(targets[:, 0].long(), 3).movedim(-1, 1).float()
    losses = head.losses(logits, targets)
    blurred = head.losses(logits / 20, targets)
    assert float(blurred["ce"]) == pytest.approx(float(nn.functional.cross_entropy(logits / 20, targets[:, 0].long())))
    assert losses["ce"] < 1e-4
    assert losses["dice"] < 1e-3
    np.testing.assert_array_equal(head.decode(logits[0].numpy(), {}).labels, semantic_set[0].labels)


def test_a_prediction_over_flips_turns_with_the_image() -> None:
    torch.manual_seed(0)
    network = build(1, 2, SMALL["features"])
    image = np.random.default_rng(0).random((1, 48, 32), dtype=np.float32)
    predictor = Predictor(network, "cpu", nn.Sigmoid(), flips=True)
    for axes in FLIPS[1:]:
        np.testing.assert_allclose(predictor(np.flip(image, axes)), np.flip(predictor(image), axes), atol=1e-5)


def test_folding_batch_norm_changes_no_prediction() -> None:
    torch.manual_seed(0)
    network = build(1, 2, SMALL["features"])
    network(torch.randn(4, 1, 32, 32))
    image = torch.randn(1, 1, 48, 32)
    fast = fuse_batch_norm(network)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
    with torch.no_grad():
        torch.testing.assert_close(fast(image), network.eval()(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "expected"), [(1, 32), (16, 32), (32, 32), (33, 48), (128, 128)])
def test_patches_are_fitted_to_the_network(side: int, expected: int) -> None:
    patches = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)
    fit = pad_to_multiple(patches)
    assert fit.shape == (1, 1, expected, expected)
    assert torch.equal(fit[..., :side, :side], patches)
    assert (fit[..., side:] == side - 1).all()


def test_the_documented_features_have_the_size_of_cgan_segs_network() -> None:
    """Its layout: two 3 × 3 convolutions with batch norm a level, transposed convolutions, 64 to 1,024 planes."""
    planes = [64, 128, 256, 512, 1024]

    def two(inputs: int, outputs: int) -> int:
        return 9 * outputs * (inputs + outputs) + 6 * outputs

    down = sum(two(inputs, outputs) for inputs, outputs in pairwise([1, *planes]))
    up = sum(4 * below * above + above + two(2 * above, above) for above, below in pairwise(planes))
    with torch.device("meta"):
        network = build(1, 1, (*planes, 64))
    ours = sum(parameter.numel() for parameter in network.parameters())
    assert ours == pytest.approx(down + up + 64 + 1, rel=5e-3)


# -- ignore regions ---------------------------------------------------------------------------------------------------

KINDS = [("instances", "distance"), ("instances", "binary"), ("semantic", "distance")]


def region_of(shape: tuple[int, ...]) -> np.ndarray:
    """Return a region: the right third."""
    region = np.zeros(shape, bool)
    region[:, 2 * shape[1] // 3 :] = True
    return region


@pytest.mark.parametrize("loss", ["ce", "ce+dice"])
@pytest.mark.parametrize(("task", "decoding"), KINDS)
def test_unknown_pixels_have_no_part_in_any_loss(task: str, decoding: str, loss: str) -> None:
    """Losses are those of the known pixels alone, and no gradient comes from the others, whatever the network says."""
    labels = np.random.default_rng(0).integers(0, 3, (24, 30)).astype(np.uint8)
    region = region_of(labels.shape)
    image = np.zeros(labels.shape, np.uint8)
    head = head_for(UNetConfig(decoding=decoding, loss=loss), task, 3)
    targets = torch.from_numpy(head.encode(Sample("a", image, labels, ignore=region)))[None]
    assert bool((targets[0][:, torch.from_numpy(region)] == -1).all())
    logits = torch.randn(1, head.planes, 24, 30, generator=torch.Generator().manual_seed(0), requires_grad=True)
    losses = head.losses(logits, targets)
    sum(losses.values()).backward()
    unknown = torch.from_numpy(region)
    assert not logits.grad[..., unknown].any()
    assert logits.grad[..., ~unknown].any()
    alone = head.losses(logits[..., :20], targets[..., :20])
    assert losses.keys() == alone.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value, alone[name])


def test_class_losses_with_unknown_pixels_are_torchs() -> None:
    labels = np.random.default_rng(1).integers(0, 3, (16, 16)).astype(np.uint8)
    sample = Sample("a", np.zeros((16, 16), np.uint8), labels, ignore=region_of(labels.shape))
    head = head_for(UNetConfig(loss="ce"), "semantic", 3)
    logits = torch.randn(1, 3, 16, 16)
    wanted = torch.from_numpy(np.where(sample.ignore, 255, labels).astype(np.int64))[None]
    theirs = nn.functional.cross_entropy(logits, wanted, ignore_index=255)
    torch.testing.assert_close(head.losses(logits, torch.from_numpy(head.encode(sample))[None])["ce"], theirs)


@pytest.mark.parametrize(("task", "decoding"), KINDS)
def test_a_batch_of_unknown_pixels_teaches_nothing(task: str, decoding: str) -> None:
    labels = np.ones((16, 16), np.uint8)
    head = head_for(UNetConfig(decoding=decoding), task, 3)
    sample = Sample("a", labels, labels, ignore=np.ones(labels.shape, bool))
    logits = torch.randn(1, head.planes, 16, 16, requires_grad=True)
    total = sum(head.losses(logits, torch.from_numpy(head.encode(sample))[None]).values())
    total.backward()
    assert total.item() == 0.0
    assert not logits.grad.any()


@pytest.mark.parametrize(("task", "decoding"), KINDS)
def test_labels_within_the_region_change_nothing_and_the_region_does(task: str, decoding: str) -> None:
    region = region_of((48, 48))
    fits = []
    for inside in (0, 1, None):
        train = []
        for i in range(3):
            sample = picture((48, 48), 3)
            labels = sample.labels > 0 if task == "semantic" else sample.labels
            labels = np.where(region, inside or 0, labels).astype(np.uint8)
            ignore = None if inside is None else region
            train.append(Sample(f"p{i}", sample.image, labels, ignore=ignore))
        unet = fitted(SampleSet.of(train, task=task, classes=("a", "b") * (task == "semantic")), decoding=decoding)
        fits.append((weights(unet), unet.thresholds))
    assert all(torch.equal(a, b) for a, b in zip(fits[0][0], fits[1][0], strict=True))
    assert fits[0][1] == fits[1][1]
    assert not all(torch.equal(a, b) for a, b in zip(fits[0][0], fits[2][0], strict=True))


def test_thresholds_are_tuned_without_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def tuned(decode: Any, truths: Any, grid: Any, start: Any, *, ignores: Any, before_trial: Any) -> Any:
        given.extend(ignores)
        return start

    monkeypatch.setattr("synthbench.toolkit.training.threshold_tuning.tune", tuned)
    sample = picture((48, 48))
    region = region_of((48, 48))
    fitted(SampleSet.of([sample]), SampleSet.of([Sample("a", sample.image, sample.labels, ignore=region), sample]))
    assert np.array_equal(given[0], region)
    assert given[1] is None
