"""InstanSeg: the library's network, losses and decoding, without unknown pixels, from its files and from the seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.trainings import SmallSegmenter, assert_same_predictions, assert_scored_without_gaps, same_weights
from synthbench import Budget, Context, SampleSet, TrainingMix
from synthbench.errors import ConfigError, PluginError, StoreError
from synthbench.metrics.matching import count, pooled
from synthbench.plugin.api import Init

pytest.importorskip("instanseg", reason="needs the extra 'instanseg'")
pytest.importorskip("edt", reason="needs the extra 'instanseg'")
pytest.importorskip("seaborn", reason="needs the extra 'instanseg'")

from synthbench_instanseg import library
from synthbench_instanseg.config import InstanSegConfig
from synthbench_instanseg.decoding import DEFAULT_THRESHOLDS, decode, score
from synthbench_instanseg.initial import read_file
from synthbench_instanseg.segmenter import InstanSeg
from synthbench_instanseg.training import HOT_LOSSES, MAIN_LOSSES, InstanceLoss

SMALL: dict[str, Any] = {"layers": (4, 4, 8, 8), "window_size": 32}
BUDGET = Budget(steps=2, batch_size=2, patch_size=32)
ZERO = Budget(steps=0, batch_size=2, patch_size=32)


fitted = SmallSegmenter(InstanSeg, SMALL, BUDGET)


def squares() -> torch.Tensor:
    """Return labels ``(2, 1, 48, 48)``: four squares in one image, one in the other."""
    labels = torch.zeros(2, 1, 48, 48, dtype=torch.int64)
    labels[0, 0, 4:14, 4:16], labels[0, 0, 4:14, 24:34] = 1, 2
    labels[0, 0, 24:40, 4:16], labels[0, 0, 20:34, 28:44] = 3, 4
    labels[1, 0, 10:30, 10:30] = 1
    return labels


def method(**config: Any) -> Any:
    torch.manual_seed(0)
    resolved = InstanSegConfig.model_validate({**SMALL, **config}).resolve(BUDGET)
    return library.method(library.build(resolved), resolved, "cpu")


@pytest.fixture(scope="module")
def trained(blob_set: SampleSet) -> InstanSeg:
    segmenter = fitted(blob_set, seed=7)
    segmenter.thresholds = {**DEFAULT_THRESHOLDS, "seed_threshold": 0.4, "mask_threshold": 0.45}
    return segmenter


@pytest.fixture(scope="module")
def model(trained: InstanSeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    trained.save(folder)
    return folder


def test_the_network_has_as_many_parameters_as_the_published_one() -> None:
    network = library.build(InstanSegConfig().resolve(InstanSeg.budget("paper")))
    numbers = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    classifier = numbers.pop("pixel_classifier")
    assert sum(numbers.values()) == 3_824_719
    assert classifier == 4 * 5 + 5 + 5 * 5 + 5 + 5 + 1


def test_its_weights_have_the_names_and_shapes_of_the_librarys() -> None:
    from instanseg.utils.model_loader import build_model_from_dict

    options = {
        "model_str": "InstanSeg_UNet",
        "dim_in": 3,
        "layers": [4, 4, 8, 8],
        "norm": "BATCH",
        "multihead": False,
        "cells_and_nuclei": False,
        "dim_coords": 2,
        "n_sigma": 2,
        "dim_seeds": 1,
    }
    theirs = library.losses().InstanSeg(n_sigma=2, device="cpu")
    theirs = theirs.initialize_pixel_classifier(build_model_from_dict(options), MLP_width=5)
    ours = library.build(InstanSegConfig.model_validate(SMALL).resolve(BUDGET))
    assert [(name, value.shape) for name, value in ours.state_dict().items()] == [
        (name, value.shape) for name, value in theirs.state_dict().items()
    ]


# -- losses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [HOT_LOSSES, MAIN_LOSSES], ids=["hot", "main"])
def test_the_loss_is_the_librarys(names: dict[str, str]) -> None:
    output = torch.randn(2, 5, 48, 48, generator=torch.Generator().manual_seed(1))
    theirs = method()
    theirs.update_seed_loss(names["seed_loss"])
    theirs.update_binary_loss(names["binary_loss"])
    torch.manual_seed(3)
    expected = theirs(output.clone(), squares())
    ours = InstanceLoss(method())
    ours.use(hot=names is HOT_LOSSES)
    torch.manual_seed(3)
    torch.testing.assert_close(ours(output, squares()), expected)


@pytest.mark.parametrize("hot", [True, False])
def test_unknown_pixels_have_no_part_in_the_loss(hot: bool) -> None:
    labels = squares()
    labels[0, 0, :, 30:] = -1
    output = torch.randn(2, 5, 48, 48, generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss_of = InstanceLoss(method())
    loss_of.use(hot=hot)
    torch.manual_seed(3)
    loss = loss_of(output, labels)
    loss.backward()
    assert not output.grad[0, :, :, 30:].any()
    assert output.grad[0, :, :, :30].any()
    assert output.grad[1, :, :, 30:].any()
    with torch.no_grad():
        other = output.clone()
        other[0, :, :, 30:] = 7
        torch.manual_seed(3)
        torch.testing.assert_close(loss_of(other, labels), loss.detach())


def test_pixels_that_are_left_out_are_as_if_they_were_cut_off() -> None:
    """The oracles are the Lovász hinge's own list of pixels to ignore, and Dice of the pixels that are known."""
    from instanseg.utils.loss.lovasz_losses import lovasz_hinge

    random = torch.Generator().manual_seed(2)
    logits, instances = torch.randn(3, 1, 8, 8, generator=random), torch.rand(3, 8, 8, generator=random) > 0.5
    unknown = torch.rand(8, 8, generator=random) > 0.7
    instances &= ~unknown
    loss_of = InstanceLoss(method())
    loss_of.method.feature_engineering = None
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    window = torch.stack([rows.flatten().repeat(3), columns.flatten().repeat(3)])
    left_out = logits.masked_fill(unknown[window[0], window[1]].view_as(logits), -1e4)
    loss_of.use(hot=False)
    hinge = loss_of.method.binary_loss_fn(left_out, instances.float())
    ignored = torch.where(unknown, 255, instances.long()).float()
    torch.testing.assert_close(hinge, lovasz_hinge(logits[:, 0], ignored, per_image=True, ignore=255))
    loss_of.use(hot=True)
    dice = loss_of.method.binary_loss_fn(left_out, instances.float())
    p, t = torch.sigmoid(logits[:, 0, ~unknown]), instances[:, ~unknown].float()
    by_hand = 1 - (2 * (p * t).sum(1) + 1e-5) / (p.sum(1) + t.sum(1) + 1e-5)
    torch.testing.assert_close(dice, 1.5 * by_hand.mean())


def test_an_image_of_unknown_pixels_teaches_nothing() -> None:
    output = torch.randn(1, 5, 48, 48, requires_grad=True)
    loss = InstanceLoss(method())(output, torch.full((1, 1, 48, 48), -1))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not output.grad.any()


def test_the_hot_start_is_a_fraction_of_the_steps(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    use = InstanceLoss.use

    def noted(self: InstanceLoss, *, hot: bool) -> None:
        asked.append(hot)
        use(self, hot=hot)

    monkeypatch.setattr(InstanceLoss, "use", noted)
    fitted(blob_set, budget=Budget(5, 2, 32), hot_start=0.4)
    assert asked[1:] == [True, True, False, False, False]  # the first is the constructor's
    paper = InstanSeg.budget("paper")
    assert round(InstanSegConfig().resolve(paper).hot_start * paper.steps) == round(paper.steps * 10 / 510)


def test_seeds_of_a_step_depend_on_the_seed_and_the_step_alone(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[torch.Tensor] = []
    call = InstanceLoss.__call__

    def noted(self: InstanceLoss, output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        drawn.append(torch.get_rng_state())
        torch.rand(len(drawn))  # whatever else draws from the global state, the next step isn't changed by it
        return call(self, output, labels)

    monkeypatch.setattr(InstanceLoss, "__call__", noted)
    for seed in (1, 1, 2):
        fitted(blob_set, seed=seed)
    first, second, other = drawn[:2], drawn[2:4], drawn[4:]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


# -- decoding ---------------------------------------------------------------------------------------------------------


def answer(labels: np.ndarray) -> torch.Tensor:
    """Return the output of a network that has learned everything: embeddings at the centres, seeds by distance."""
    height, width = labels.shape
    grid = library.losses().generate_coordinate_map("linear", 2, height, width, torch.device("cpu"))
    offsets, seeds = torch.zeros(2, height, width), torch.full((height, width), -7.5)
    for number in np.unique(labels[labels > 0]):
        inside = torch.from_numpy(labels == number)
        centre = grid[:, inside].mean(dim=1)[:, None]
        offsets[:, inside] = torch.logit((centre - grid[:, inside]) / 8 + 0.5)
        far = (grid[:, inside] - centre).norm(dim=0)
        seeds[inside] = 15 * (1 - 0.4 * far / far.max() - 0.5)
    outside = torch.from_numpy(labels == 0).float()
    return torch.cat([offsets, outside[None], torch.zeros(1, height, width), seeds[None]])


def knowing(**config: Any) -> tuple[Any, InstanSegConfig]:
    """Return a method whose classifier wants embeddings within half a unit of the seed's, and a first sigma of 0."""
    resolved = InstanSegConfig.model_validate({**SMALL, **config}).resolve(BUDGET)
    found = method(**config)
    with torch.no_grad():
        for parameter in found.pixel_classifier.parameters():
            parameter.zero_()
        for row, (column, sign) in enumerate([(0, 1), (0, -1), (1, 1), (1, -1)]):
            found.pixel_classifier.fc1.weight[row, column] = sign
        found.pixel_classifier.fc1.weight[4, 2] = 1
        found.pixel_classifier.fc2.weight.copy_(torch.eye(5))
        found.pixel_classifier.fc3.weight[0] = torch.tensor([-20.0, -20, -20, -20, -100])
        found.pixel_classifier.fc3.bias.fill_(10)
    return found, resolved


def test_perfect_outputs_are_decoded_to_the_label_map() -> None:
    labels = squares()[0, 0].numpy().astype(np.int32)
    found, config = knowing()
    decoded = decode(found, answer(labels), config, DEFAULT_THRESHOLDS)
    np.testing.assert_array_equal(decoded > 0, labels > 0)
    pairs = np.unique(np.stack([labels.ravel(), decoded.ravel()]), axis=1).T
    assert sorted(pairs[:, 1].tolist()) == [0, 1, 2, 3, 4]


def test_more_seeds_than_the_most_leave_the_strongest() -> None:
    labels = squares()[0, 0].numpy().astype(np.int32)
    output = answer(labels)
    output[-1][torch.from_numpy(labels == 2)] += 1
    found, config = knowing(max_seeds=1)
    decoded = decode(found, output, config, DEFAULT_THRESHOLDS)
    np.testing.assert_array_equal(decoded, labels == 2)


def test_small_instances_are_dropped_and_no_others() -> None:
    """A seed none of whose pixels is above the threshold counts as no instance and takes none with it."""
    labels = squares()[0, 0].numpy().astype(np.int32)
    labels[44:46, 2:5] = 5
    output = answer(labels)
    output[-1, 0, 20] = 7.0  # a seed in the background
    found, config = knowing()
    decoded = decode(found, output, config, DEFAULT_THRESHOLDS)
    expected = np.where(labels < 5, labels, 0)
    np.testing.assert_array_equal(decoded > 0, expected > 0)
    assert int(decoded.max()) == 4
    kept = decode(found, output, config.model_copy(update={"min_size": 5}), DEFAULT_THRESHOLDS)
    assert int(kept.max()) == 5


def test_a_score_is_the_strongest_seed_of_the_instance() -> None:
    labels = np.zeros((16, 16), np.int32)
    labels[2:6, 2:6], labels[8:12, 8:12] = 1, 2
    output = torch.full((5, 16, 16), -7.5)
    output[-1, 3, 3], output[-1, 9, 9] = 3.0, 30.0
    np.testing.assert_allclose(score(labels, output).scores, [0.7, 1.0], rtol=1e-6)
    assert score(np.zeros((16, 16), np.int32), output).scores.shape == (0,)


@pytest.mark.parametrize("shape", [(50, 41), (40, 33, 3), (1, 1), (3, 70)])
def test_predictions_of_any_image_number_their_objects_without_gaps(
    trained: InstanSeg, shape: tuple[int, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    found = trained.predict(np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8))
    assert_scored_without_gaps(found, shape)
    assert capfd.readouterr() == ("", "")


# -- saving and initial weights ---------------------------------------------------------------------------------------


def test_what_is_loaded_predicts_what_was_saved(trained: InstanSeg, model: Path, blob_set: SampleSet) -> None:
    loaded = InstanSeg.load(model, Context())
    assert (loaded.config, loaded.thresholds) == (trained.config, trained.thresholds)
    assert_same_predictions(trained, loaded, blob_set[3].image)


def test_a_damaged_folder_is_one_clear_error(trained: InstanSeg, tmp_path: Path) -> None:
    trained.save(tmp_path)
    (tmp_path / "network.safetensors").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="weights"):
        InstanSeg.load(tmp_path, Context())
    (tmp_path / "instanseg.json").write_text("{}")
    with pytest.raises(StoreError, match="fit again"):
        InstanSeg.load(tmp_path, Context())


def test_zero_steps_use_a_model_as_it_is(blob_set: SampleSet, trained: InstanSeg, model: Path) -> None:
    found = fitted(blob_set, Init(model=model), budget=ZERO)
    assert same_weights(found.network, trained.network)
    assert found.thresholds == trained.thresholds


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_of_the_library_holds_an_optimiser_too(
    blob_set: SampleSet, trained: InstanSeg, tmp_path: Path, prefix: str
) -> None:
    path = tmp_path / "model_weights.pth"
    network = trained.network
    content = {
        "f1_score": 0.5,
        "epoch": 3,
        "model_state_dict": {prefix + name: value for name, value in network.state_dict().items()},
        "optimizer_state_dict": torch.optim.Adam(network.parameters()).state_dict(),
    }
    torch.save(content, path)
    InstanSeg.check_init(InstanSegConfig(**SMALL), path)
    assert same_weights(fitted(blob_set, Init(file=path), budget=ZERO).network, network)
    assert not same_weights(fitted(blob_set, Init(file=path)).network, network)


def test_weights_of_another_network_are_refused_with_its_keys(blob_set: SampleSet, model: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"layers: \[4, 4, 8, 8\]"):
        fitted(blob_set, Init(model=model), budget=ZERO, layers=(8, 8, 8, 8))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(PluginError, match=r"other\.pth.*pixel_classifier"):
        read_file(tmp_path / "other.pth")
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), tmp_path / "program.pt")
    with pytest.raises(PluginError, match=r"program\.pt"):
        InstanSeg.check_init(InstanSegConfig(), tmp_path / "program.pt")


def test_open_layers_are_those_of_the_model_that_training_starts_from(
    blob_set: SampleSet, trained: InstanSeg, model: Path
) -> None:
    found = fitted(blob_set, Init(model=model), budget=ZERO, layers=None)
    assert found.config.layers == SMALL["layers"]
    assert same_weights(found.network, trained.network)


@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_a_file_of_another_network_is_refused_before_anything_is_trained(
    trained: InstanSeg, tmp_path: Path, damage: str
) -> None:
    tensors, name = dict(trained.network.state_dict()), "pixel_classifier.fc2.weight"
    if damage == "missing":
        del tensors[name]
    else:
        tensors[name] = torch.zeros(1) if damage == "shape" else torch.full_like(tensors[name], torch.nan)
    torch.save(tensors, tmp_path / "wrong.pth")
    with pytest.raises(PluginError, match=rf"wrong\.pth: .*{name}"):
        InstanSeg.check_init(InstanSegConfig(**SMALL), tmp_path / "wrong.pth")


def test_a_file_is_taken_for_the_published_network_unless_layers_are_given(tmp_path: Path) -> None:
    network = library.build(InstanSegConfig(layers=(32, 64, 128, 256)))
    torch.save(network.state_dict(), tmp_path / "published.pth")
    InstanSeg.check_init(InstanSegConfig(), tmp_path / "published.pth")
    with pytest.raises(PluginError, match=r"published\.pth.*set layers"):
        InstanSeg.check_init(InstanSegConfig(**SMALL), tmp_path / "published.pth")


def test_patches_that_dont_suit_the_network_are_refused() -> None:
    for size, hint in ((100, "--patch 96"), (8, "--patch 16")):
        with pytest.raises(ConfigError, match=hint):
            InstanSegConfig().resolve(Budget(1, 2, size))


def test_the_loss_falls(blob_set: SampleSet, tmp_path: Path) -> None:
    """With the losses of the hot start alone, since the main ones have another scale."""
    torch.manual_seed(0)
    segmenter = InstanSeg(InstanSegConfig.model_validate({**SMALL, "hot_start": 1.0, "learning_rate": 1e-2}))
    segmenter.fit(TrainingMix(blob_set), blob_set[:1], Context(seed=2, budget=Budget(40, 2, 32), folder=tmp_path))
    (log,) = (tmp_path / "log").glob("*.jsonl")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [row["loss"] for row in rows]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_a_short_training_finds_cells(blob_set: SampleSet) -> None:
    """The map of seeds has to reach values of -7.5 … 7.5, for which the published rate of Adam is too small here."""
    budget = Budget(steps=120, batch_size=4, patch_size=32)
    segmenter = InstanSeg(InstanSegConfig(layers=(8, 8, 16, 16), window_size=32))
    segmenter.fit(TrainingMix(blob_set[:8]), blob_set[8:10], Context(budget=budget, seed=0))
    counts = [count(sample.labels, segmenter.predict(sample.image).labels, (0.5,)) for sample in blob_set[10:]]
    assert pooled(counts)["f1"][0] > 0.6


def test_long_trainings_have_the_published_rate() -> None:
    assert InstanSegConfig().resolve(Budget(170_000, 3, 256)).learning_rate == 1e-3
