"""The U-Net that starts from trained weights: its own model, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from synthbench.errors import ConfigError, PluginError
from synthbench.plugin.api import Budget, Context, Init, Stopped, TrainingMix
from synthbench.samples import Sample, SampleSet
from synthbench_unet.config import UNetConfig
from synthbench_unet.network import encoder_of
from synthbench_unet.segmenter import UNet

SMALL: dict[str, Any] = {"features": (4, 4, 8, 8, 8, 4)}
BUDGET = Budget(steps=3, batch_size=2, patch_size=32)
ZERO = Budget(steps=0, batch_size=2, patch_size=32)


def fitted(
    samples: SampleSet, init: Init | None = None, *, budget: Budget = BUDGET, seed: int = 1, **more: Any
) -> UNet:
    config = {**SMALL, **more.pop("config", {})}
    unet = UNet(UNetConfig.model_validate(config))
    unet.fit(TrainingMix(samples), samples[:2], Context(budget=budget, seed=seed, init=init, **more))
    return unet


def state(unet: UNet) -> dict[str, torch.Tensor]:
    return dict(unet.network.state_dict())


def colours(samples: SampleSet) -> SampleSet:
    return SampleSet.of([Sample(s.id, np.stack([s.image] * 3, axis=-1), s.labels) for s in samples])


@pytest.fixture(scope="module")
def trained(blob_set: SampleSet) -> UNet:
    return fitted(blob_set, seed=7)


@pytest.fixture(scope="module")
def model(trained: UNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    trained.thresholds["area"] = 5
    trained.save(folder)
    return folder


@pytest.fixture(scope="module")
def file(trained: UNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "unet.pt"
    torch.save(state(trained), path)
    return path


def test_zero_steps_use_a_model_as_it_is(blob_set: SampleSet, trained: UNet, model: Path) -> None:
    unet = fitted(blob_set, Init(model=model), budget=ZERO)
    assert all(torch.equal(value, state(trained)[name]) for name, value in state(unet).items())
    assert unet.thresholds == trained.thresholds
    image = blob_set[3].image
    np.testing.assert_array_equal(unet.predict(image).labels, trained.predict(image).labels)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_zero_steps_use_the_weights_of_a_file_with_tuned_thresholds(
    blob_set: SampleSet, trained: UNet, file: Path, tmp_path: Path, suffix: str
) -> None:
    if suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in state(trained).items()}, tmp_path / "unet.safetensors")
    source = file if suffix == ".pt" else tmp_path / "unet.safetensors"
    UNet.check_init(UNetConfig(**SMALL), source)
    unet = fitted(blob_set, Init(file=source), budget=ZERO)
    assert all(torch.equal(value, state(trained)[name]) for name, value in state(unet).items())


def test_training_goes_on_from_weights_and_statistics(blob_set: SampleSet, trained: UNet, file: Path) -> None:
    slow = {"finetune": {"learning_rate": 1e-6}}
    near, far = fitted(blob_set, Init(file=file), config=slow), fitted(blob_set)
    for name in ("conv_0.conv_0.conv.weight", "final_conv.weight"):
        assert not torch.equal(state(near)[name], state(trained)[name])
        torch.testing.assert_close(state(near)[name], state(trained)[name], atol=1e-4, rtol=0)
        assert (state(far)[name] - state(trained)[name]).abs().max() > 0.01


def test_a_frozen_encoder_stays_and_the_rest_learns(blob_set: SampleSet, trained: UNet, file: Path) -> None:
    unet = fitted(blob_set, Init(file=file), config={"finetune": {"freeze_encoder": 1.0}})
    for mine, theirs in zip(encoder_of(unet.network), encoder_of(trained.network), strict=True):
        for one, other in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
    assert not torch.equal(state(unet)["final_conv.weight"], state(trained)["final_conv.weight"])


@pytest.mark.parametrize("after", [2])
def test_interrupted_fine_tuning_ends_in_the_same_weights(
    blob_set: SampleSet, model: Path, tmp_path: Path, after: int
) -> None:
    init, config = Init(model=model), {"finetune": {"freeze_encoder": 0.5, "encoder_lr_ratio": 0.1}}
    asked = iter(range(10**6))
    with pytest.raises(Stopped):
        fitted(blob_set, init, config=config, folder=tmp_path, should_stop=lambda: next(asked) >= after)
    rest, whole = fitted(blob_set, init, config=config, folder=tmp_path), fitted(blob_set, init, config=config)
    assert all(torch.equal(value, state(whole)[name]) for name, value in state(rest).items())
    assert rest.thresholds == whole.thresholds


def test_grey_weights_see_a_grey_picture_in_rgb_as_they_saw_it(blob_set: SampleSet, trained: UNet, model: Path) -> None:
    lines: list[str] = []
    unet = fitted(colours(blob_set), Init(model=model), budget=ZERO, notify=lines.append)
    assert (unet.channels, len(lines)) == (3, 1)
    image = blob_set[3].image
    found, expected = unet.predict(np.stack([image] * 3, axis=-1)), trained.predict(image)
    assert (found.labels == expected.labels).mean() > 0.99


def test_rgb_weights_take_grey_pictures(blob_set: SampleSet, tmp_path: Path) -> None:
    rgb = fitted(colours(blob_set))
    rgb.save(tmp_path)
    unet = fitted(blob_set, Init(model=tmp_path))
    assert unet.channels == 3
    assert unet.predict(blob_set[0].image).labels.shape == blob_set[0].labels.shape


def test_another_task_keeps_all_but_the_head(blob_set: SampleSet, semantic_set: SampleSet, model: Path) -> None:
    lines: list[str] = []
    init, slow = Init(model=model), {"finetune": {"learning_rate": 1e-6}}
    unet, scratch = fitted(semantic_set, init, config=slow, notify=lines.append), fitted(semantic_set)
    assert any("output layer" in line for line in lines)
    head = state(unet)["final_conv.weight"]
    assert head.shape == state(scratch)["final_conv.weight"].shape
    trained = UNet.load(model, Context())
    torch.testing.assert_close(
        state(unet)["conv_0.conv_0.conv.weight"], state(trained)["conv_0.conv_0.conv.weight"], atol=1e-4, rtol=0
    )
    with pytest.raises(ConfigError, match="0 steps"):
        fitted(semantic_set, init, budget=ZERO)


def test_a_head_of_equal_shape_that_means_something_else_is_not_kept(blob_set: SampleSet, tmp_path: Path) -> None:
    two = SampleSet.of([Sample(s.id, s.image, (s.labels > 0).astype(np.uint8)) for s in blob_set], task="semantic")
    fitted(two).save(tmp_path)
    with pytest.raises(ConfigError, match="0 steps"):
        fitted(blob_set, Init(model=tmp_path), budget=ZERO)


def test_weights_of_other_features_are_refused_before_anything_runs(file: Path) -> None:
    with pytest.raises(PluginError, match=r"unet\.pt.*shape.*features"):
        UNet.check_init(UNetConfig(features=(8, 4, 8, 8, 8, 4)), file)


@pytest.mark.parametrize(
    "content",
    [b"no weights", {"a": torch.zeros(1)}, {"conv_0.conv_0.conv.weight": torch.zeros(4, 2, 3, 3)}, {"step": 3}],
)
def test_what_isnt_a_unets_file_is_one_clear_error(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "x.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(PluginError, match=r"x\.pt"):
        UNet.check_init(UNetConfig(**SMALL), path)
    with pytest.raises(PluginError, match=r"x\.pt"):
        UNet.check_init(UNetConfig(**SMALL), tmp_path / "missing" / "x.pt")
