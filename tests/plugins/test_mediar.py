"""MEDIAR: its network, mirrored predictions, what it starts from, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers.trainings import SmallSegmenter, assert_same_predictions, assert_scored_without_gaps, same_weights
from synthbench import Budget, Context, Sample, SampleSet
from synthbench.errors import ConfigError, PluginError, StoreError
from synthbench.plugin.api import Init
from synthbench.toolkit.masks import flows

pytest.importorskip("segmentation_models_pytorch", reason="needs the extra 'mediar'")
pytest.importorskip("cellpose", reason="needs the extra 'mediar'")

from synthbench_mediar.config import MediarConfig
from synthbench_mediar.initial import read_file
from synthbench_mediar.network import MediarFormer
from synthbench_mediar.segmenter import Mediar, predict_mirrored

SMALL: dict[str, Any] = {"decoder_channels": (8, 8, 4, 4, 4), "decoder_pab_channels": 4}
BUDGET = Budget(steps=2, batch_size=2, patch_size=32)
ZERO = Budget(steps=0, batch_size=2, patch_size=32)


fitted = SmallSegmenter(Mediar, SMALL, BUDGET)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.fixture(scope="module")
def trained(blob_set: SampleSet) -> Mediar:
    segmenter = fitted(blob_set, seed=7)
    segmenter.thresholds = {"cellprob_threshold": -2.0, "flow_threshold": 0.0}
    return segmenter


@pytest.fixture(scope="module")
def model(trained: Mediar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    trained.save(folder)
    return folder


# -- network ----------------------------------------------------------------------------------------------------------


def test_the_small_network_has_the_parts_of_the_published_one(trained: Mediar) -> None:
    kinds = {type(module) for module in trained.network.modules()}
    assert nn.Mish in kinds
    assert nn.ReLU not in kinds
    heads = [trained.network.gradflow_head, trained.network.cellprob_head]
    assert [[type(layer).__name__ for layer in head] for head in heads] == [
        ["Conv2d", "Mish", "BatchNorm2d", "Conv2d"]
    ] * 2
    assert [head[-1].out_channels for head in heads] == [2, 1]


@pytest.mark.slow
def test_the_published_network_has_as_many_parameters_as_the_authors() -> None:
    """121,303,587 are those of the authors' class, with segmentation_models_pytorch 0.3.3."""
    network = MediarFormer(MediarConfig().resolve(Budget(64_000, 9, 256)))
    assert sum(parameter.numel() for parameter in network.parameters()) == 121_303_587


def test_mirrored_predictions_are_turned_back_as_published() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 3, padding=1).eval()
    images = torch.rand(2, 3, 8, 10)
    with torch.no_grad():
        base, across, down = network(images), network(images.flip(3)).flip(3), network(images.flip(2)).flip(2)
        expected = torch.stack(
            [
                (base[:, 0] + across[:, 0] - down[:, 0]) / 3,
                (base[:, 1] - across[:, 1] + down[:, 1]) / 3,
                (base[:, 2] + across[:, 2] + down[:, 2]) / 3,
            ],
            dim=1,
        )
        torch.testing.assert_close(predict_mirrored(network, images, tta=True), expected)
        torch.testing.assert_close(predict_mirrored(network, images, tta=False), base)


def test_a_flow_that_turns_with_the_picture_is_left_as_it_is() -> None:
    """Differences of neighbours are such a flow."""

    class Gradient(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            y, x = (images[:, :1].roll(-1, axis) - images[:, :1].roll(1, axis) for axis in (2, 3))
            return torch.cat([y, x, images[:, :1]], dim=1)

    images = torch.rand(1, 3, 6, 7)
    torch.testing.assert_close(predict_mirrored(Gradient(), images, tta=True), Gradient()(images))


# -- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(50, 41), (40, 33, 3), (1, 1)])
def test_predictions_of_any_image_number_their_objects_without_gaps(trained: Mediar, shape: tuple[int, ...]) -> None:
    found = trained.predict(np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8))
    assert_scored_without_gaps(found, shape)


def test_what_is_loaded_predicts_what_was_saved(trained: Mediar, model: Path, blob_set: SampleSet) -> None:
    loaded = Mediar.load(model, Context())
    assert loaded.config == trained.config
    assert loaded.thresholds == trained.thresholds
    assert_same_predictions(trained, loaded, blob_set[3].image)


def test_a_damaged_folder_is_one_clear_error(trained: Mediar, tmp_path: Path) -> None:
    trained.save(tmp_path)
    weights = tmp_path / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(StoreError, match="weights"):
        Mediar.load(tmp_path, Context())
    (tmp_path / "mediar.json").write_text("{}")
    with pytest.raises(StoreError, match="fit again"):
        Mediar.load(tmp_path, Context())


# -- initial weights --------------------------------------------------------------------------------------------------


def test_zero_steps_use_a_model_as_it_is(blob_set: SampleSet, trained: Mediar, model: Path) -> None:
    found = fitted(blob_set, Init(model=model), budget=ZERO)
    assert same_weights(found.network, trained.network)
    assert found.thresholds == trained.thresholds


def test_a_file_of_the_authors_may_hold_the_librarys_head(
    blob_set: SampleSet, trained: Mediar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "phase1.pth"
    torch.save({**state(trained.network), "segmentation_head.0.bias": torch.zeros(3)}, path)
    Mediar.check_init(MediarConfig(encoder="mit_b0", **SMALL), path)
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def note_rate(self: torch.optim.AdamW, *args: Any, **options: Any) -> Any:
        rates.extend(group["lr"] for group in self.param_groups)
        return step(self, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", note_rate)
    found = fitted(
        blob_set, Init(file=path), encoder="mit_b0", finetune={"encoder_lr_ratio": 0.5, "learning_rate": 1e-4}
    )
    assert rates[:2] == [5e-5, 1e-4]
    assert not same_weights(found.network, trained.network)


def test_a_frozen_encoder_keeps_the_weights_that_it_starts_from(
    blob_set: SampleSet, trained: Mediar, model: Path
) -> None:
    found = fitted(blob_set, Init(model=model), finetune={"freeze_encoder": 1.0})
    assert same_weights(found.network.encoder, trained.network.encoder)
    assert not same_weights(found.network.decoder, trained.network.decoder)


def test_weights_of_another_network_are_refused_with_its_keys(blob_set: SampleSet, model: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"decoder_channels: \[8, 8, 4, 4, 4\]"):
        fitted(blob_set, Init(model=model), budget=ZERO, decoder_channels=(8, 8, 8, 4, 4))
    torch.save({"encoder.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(PluginError, match=r"other\.pth.*decoder\."):
        Mediar.check_init(MediarConfig(), tmp_path / "other.pth")


def test_open_keys_of_the_network_are_those_of_the_model_that_training_starts_from(
    blob_set: SampleSet, trained: Mediar, model: Path
) -> None:
    found = fitted(blob_set, Init(model=model), budget=ZERO, decoder_channels=None, decoder_pab_channels=None)
    assert found.config.decoder_channels == SMALL["decoder_channels"]
    assert same_weights(found.network, trained.network)


@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_a_file_of_another_network_is_refused_before_anything_is_trained(
    trained: Mediar, tmp_path: Path, damage: str
) -> None:
    tensors, name = state(trained.network), "cellprob_head.0.weight"
    if damage == "missing":
        del tensors[name]
    else:
        tensors[name] = torch.zeros(1) if damage == "shape" else torch.full_like(tensors[name], torch.nan)
    torch.save(tensors, tmp_path / "wrong.pth")
    with pytest.raises(PluginError, match=rf"wrong\.pth: .*{name}"):
        Mediar.check_init(MediarConfig(encoder="mit_b0", **SMALL), tmp_path / "wrong.pth")


def test_a_file_is_taken_for_the_published_network_unless_keys_are_given(trained: Mediar, tmp_path: Path) -> None:
    torch.save(state(trained.network), tmp_path / "small.pth")
    with pytest.raises(PluginError, match=r"small\.pth: .*set encoder: mit_b5"):
        Mediar.check_init(MediarConfig(encoder="mit_b0"), tmp_path / "small.pth")


def test_an_encoder_starts_from_its_own_weights(
    blob_set: SampleSet, trained: Mediar, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mit_b0.pth"
    torch.save({**state(trained.network.encoder), "head.weight": torch.zeros(2)}, path)
    config = MediarConfig(encoder_weights=path)
    assert config.files() == {"encoder_weights": path}
    assert config.resolve(BUDGET).learning_rate == 5e-5
    found = fitted(blob_set, budget=ZERO, encoder_weights=path)
    assert same_weights(found.network.encoder, trained.network.encoder)
    assert not same_weights(found.network.decoder, trained.network.decoder)
    with pytest.raises(ConfigError, match="encoder_weights"):
        fitted(blob_set, Init(file=path), budget=ZERO, encoder_weights=path)


def test_an_encoder_that_is_missing_or_another_is_refused(trained: Mediar, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="missing"):
        MediarConfig(encoder_weights=tmp_path / "missing.pth").files()
    torch.save({"patch_embed1.proj.weight": torch.zeros(1)}, tmp_path / "small.pth")
    with pytest.raises(PluginError, match=r"small\.pth"):
        read_file(tmp_path / "small.pth")


# -- configuration and training ---------------------------------------------------------------------------------------


def test_networks_follow_from_the_length_of_the_training() -> None:
    short, long = (MediarConfig().resolve(Mediar.budget(name)) for name in ("quick", "paper"))
    assert (short.encoder, short.learning_rate) == ("mit_b0", 1e-3)
    assert (long.encoder, long.decoder_channels, long.decoder_pab_channels) == (
        "mit_b5",
        (1024, 512, 256, 128, 64),
        256,
    )


def test_patches_that_dont_suit_the_network_are_refused() -> None:
    for budget, hint in ((Budget(1, 2, 100), "--patch 96"), (Budget(1, 1, 32), "--patch 64")):
        with pytest.raises(ConfigError, match=hint):
            MediarConfig().resolve(budget)
    with pytest.raises(ConfigError, match="decoder_channels"):
        MediarConfig(decoder_channels=(8, 8, 8, 8, 1)).resolve(BUDGET)


def test_flows_are_those_of_the_patches_that_the_network_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grey values tell the objects of a patch apart, however the stream turned it."""
    yy, xx = np.mgrid[:32, :32]
    labels = np.zeros((32, 32), np.uint8)
    for label, (y, x, radius) in enumerate([(8, 9, 5), (22, 7, 6), (12, 23, 7)], start=1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 <= radius**2] = label
    sample = Sample("a", 60 * labels, labels)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    shown: list[torch.Tensor] = []

    def loss(output: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        seen.append((shown[-1], planes))
        return output.square().mean()

    def forward(self: MediarFormer, images: torch.Tensor) -> torch.Tensor:
        shown.append(images)
        return self.cellprob_head[-1].bias.expand(len(images), 3, 32, 32)

    monkeypatch.setattr(flows, "loss", loss)
    monkeypatch.setattr(MediarFormer, "forward", forward)
    monkeypatch.setattr(Mediar, "tune_thresholds", lambda *_: None)
    fitted(SampleSet.of([sample]), budget=Budget(4, 4, 32))
    for images, planes in seen:
        for image, target in zip(images[:, 0].numpy(), planes, strict=True):
            objects = np.unique(image, return_inverse=True)[1].reshape(32, 32)
            np.testing.assert_allclose(target, flows.targets(objects), atol=1e-5)
