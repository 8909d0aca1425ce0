"""StarDist that starts from trained weights: folders in the library's own form, and its own models."""

from __future__ import annotations

import importlib.util
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.trainings import resumed
from synthbench import Budget, Context, Init, Sample, SampleSet, TrainingMix
from synthbench.errors import PluginError

if not all(importlib.util.find_spec(name) for name in ("stardist", "tensorflow")):
    pytest.skip("needs the extra 'stardist'", allow_module_level=True)

import h5py

from synthbench_stardist import initial, network, runtime
from synthbench_stardist.config import StarDistConfig
from synthbench_stardist.segmenter import StarDist
from synthbench_stardist.weights_file import read_hdf5

NET = {"n_rays": 8, "unet_n_depth": 1, "unet_n_filter_base": 4}
BUDGET = Budget(steps=4, batch_size=1, patch_size=32)
ZERO = Budget(steps=0, batch_size=1, patch_size=32)
THRESHOLDS = {"prob": 0.501, "nms": 0.25}


def library_model(folder: Path, channels: int = 1, **changes: Any) -> Any:
    """Let the library make a model with random weights and save it as it publishes models."""
    runtime.tensorflow()
    from csbdeep.utils import save_json
    from stardist.models import Config2D, StarDist2D

    settings = {"axes": "YXC", "n_channel_in": channels, "grid": (2, 2), **NET, **changes}
    model = StarDist2D(Config2D(**settings), name=folder.name, basedir=str(folder.parent))
    network.initialise(model.keras_model.weights, seed=5)
    model.keras_model.save_weights(str(folder / "weights_best.h5"))
    save_json(THRESHOLDS, str(folder / "thresholds.json"))
    return model


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "grey"
    library_model(folder)
    return folder


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    """The published folder, to be changed."""
    return Path(shutil.copytree(published, tmp_path / "model"))


def fitted(samples: SampleSet, init: Init | None = None, *, config: Any = None, **more: Any) -> StarDist:
    segmenter = StarDist(StarDistConfig.model_validate({**NET, **(config or {})}))
    settings = {"budget": ZERO, "seed": 4, "init": init, **more}
    segmenter.fit(TrainingMix(samples), samples[:1], Context(**settings))
    return segmenter


def weights(segmenter: StarDist) -> dict[str, np.ndarray]:
    return {name: np.array(v) for name, v in initial.named(segmenter.model.keras_model).items()}


def colours(samples: SampleSet) -> SampleSet:
    return SampleSet.of([Sample(s.id, np.stack([s.image] * 3, axis=-1), s.labels) for s in samples])


def settings_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text()))


def test_the_file_is_read_as_the_library_reads_it(published: Path) -> None:
    from stardist.models import StarDist2D

    theirs = StarDist2D(None, name=published.name, basedir=str(published.parent))
    arrays = initial.canonical(read_hdf5(published / "weights_best.h5"))
    variables = initial.named(theirs.keras_model)
    assert list(arrays) == list(variables)
    assert all(np.array_equal(arrays[name], variables[name].numpy()) for name in arrays)
    assert {"conv2d#0/kernel", "conv2d#1/bias", "down_level_0_no_0/kernel", "prob/bias"} <= set(arrays)
    assert {name.partition("/")[0] for name in arrays if not initial.is_encoder(name)} == {
        "up_level_0_no_0",
        "up_level_0_no_2",
        "features",
        "prob",
        "dist",
    }


def test_zero_steps_say_what_the_library_says_with_the_thresholds_of_the_folder(
    blob_set: SampleSet, published: Path
) -> None:
    from csbdeep.utils import normalize
    from stardist.models import StarDist2D

    StarDist.check_init(StarDistConfig.model_validate(NET), published)
    segmenter = fitted(blob_set, Init(file=published))
    assert segmenter.model.thresholds == tuple(THRESHOLDS.values())
    theirs = StarDist2D(None, name=published.name, basedir=str(published.parent))
    assert theirs.thresholds == segmenter.model.thresholds
    found = 0
    for sample in blob_set[:3]:
        labels, details = theirs.predict_instances(normalize(sample.image, 1, 99.8))
        mine = segmenter.predict(sample.image)
        np.testing.assert_array_equal(mine.labels > 0, labels > 0)
        found += len(details["prob"])
    assert found > 0


@pytest.mark.parametrize("budget", [ZERO, Budget(steps=1, batch_size=1, patch_size=32)], ids=["zero steps", "one step"])
def test_without_a_number_of_channels_it_is_that_of_the_weights(
    blob_set: SampleSet, published: Path, tmp_path: Path, budget: Budget
) -> None:
    open_config = {"unet_n_filter_base": None}
    StarDist.check_init(StarDistConfig.model_validate(NET | open_config), published)
    segmenter = fitted(blob_set, Init(file=published), config=open_config, budget=budget)
    assert segmenter.config.unet_n_filter_base == NET["unet_n_filter_base"]
    segmenter.save(tmp_path)
    again = fitted(blob_set, Init(model=tmp_path), config=open_config)
    assert {name: v.shape for name, v in weights(again).items()} == {n: v.shape for n, v in weights(segmenter).items()}


@pytest.mark.slow
def test_training_goes_on_from_the_weights(blob_set: SampleSet, published: Path) -> None:
    start = initial.canonical(read_hdf5(published / "weights_best.h5"))
    near = weights(fitted(blob_set, Init(file=published), budget=BUDGET, config={"finetune": {"learning_rate": 1e-6}}))
    assert not np.array_equal(near["dist/kernel"], start["dist/kernel"])
    assert not np.array_equal(near["conv2d#0/kernel"], start["conv2d#0/kernel"])
    assert max(np.abs(near[name] - start[name]).max() for name in start) < 1e-5


def test_a_frozen_encoder_stays_and_the_rest_learns(blob_set: SampleSet, published: Path) -> None:
    start = initial.canonical(read_hdf5(published / "weights_best.h5"))
    config = {"finetune": {"freeze_encoder": 1.0}}
    after = weights(fitted(blob_set, Init(file=published), budget=BUDGET, config=config))
    changed = {name for name in start if not np.array_equal(start[name], after[name])}
    assert changed
    assert not any(initial.is_encoder(name) for name in changed)


@pytest.mark.slow
def test_the_encoder_learns_at_its_own_rate(blob_set: SampleSet, published: Path) -> None:
    start = initial.canonical(read_hdf5(published / "weights_best.h5"))
    config = {"finetune": {"encoder_lr_ratio": 1e-3, "warmup": 0}}
    after = weights(fitted(blob_set, Init(file=published), budget=Budget(1, 1, 32), config=config))
    moved = {name: np.abs(start[name] - after[name]).max() for name in start if name.endswith("kernel")}
    rate = StarDistConfig().finetune.learning_rate
    assert moved["dist/kernel"] == pytest.approx(rate, rel=0.05)
    assert moved["down_level_0_no_0/kernel"] == pytest.approx(1e-3 * rate, rel=0.5)


@pytest.mark.slow
def test_a_stopped_fine_tuning_ends_with_the_same_weights(blob_set: SampleSet, published: Path, tmp_path: Path) -> None:
    init, config = Init(file=published), {"finetune": {"freeze_encoder": 0.5}}
    fit = partial(fitted, blob_set, init, config=config, budget=BUDGET)
    whole, stopped = fit(), resumed(fit, tmp_path, at=3)
    one, two = weights(stopped), weights(whole)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert stopped.model.thresholds == whole.model.thresholds


def test_its_own_model_is_used_as_it_is(blob_set: SampleSet, published: Path, tmp_path: Path) -> None:
    first = fitted(blob_set, Init(file=published))
    first.save(tmp_path)
    second = fitted(blob_set, Init(model=tmp_path))
    assert second.model.thresholds == first.model.thresholds
    assert all(np.array_equal(value, weights(first)[name]) for name, value in weights(second).items())


def test_grey_weights_see_a_grey_picture_in_rgb_as_they_saw_it(blob_set: SampleSet, published: Path) -> None:
    lines: list[str] = []
    grey = fitted(blob_set, Init(file=published))
    rgb = fitted(colours(blob_set), Init(file=published), notify=lines.append)
    assert len(lines) == 1
    image = rgb.as_input(blob_set[0].image)
    assert image.shape[-1] == 3
    for one, two in zip(grey.model.predict(image[..., :1]), rgb.model.predict(image), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_rgb_weights_take_grey_pictures(blob_set: SampleSet, tmp_path: Path) -> None:
    library_model(tmp_path / "rgb", channels=3)
    segmenter = fitted(blob_set, Init(file=tmp_path / "rgb"), budget=Budget(1, 1, 32))
    assert segmenter.model.config.n_channel_in == 3
    assert segmenter.predict(blob_set[0].image).labels.shape == blob_set[0].labels.shape


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("n_rays", 32, "n_rays: 32"),
        ("grid", [1, 1], "grid: 1"),
        ("grid", [1, 2], "grid"),
        ("unet_batch_norm", True, "unet_batch_norm"),
        ("n_classes", 3, "n_classes"),
        ("n_channel_in", 2, "n_channel_in"),
        ("n_rays", "many", r"config\.json: n_rays is 'many'; this plugin can't build that"),
        ("unet_n_filter_base", None, r"config\.json: unet_n_filter_base is None"),
    ],
)
def test_another_network_is_refused_with_what_to_set(copied: Path, key: str, value: Any, named: str) -> None:
    (copied / "config.json").write_text(json.dumps({**settings_of(copied), key: value}))
    with pytest.raises(PluginError, match=named):
        StarDist.check_init(StarDistConfig.model_validate(NET), copied)


@pytest.mark.parametrize("name", ["config.json", "weights_best.h5"])
def test_an_incomplete_folder_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(PluginError, match=name):
        StarDist.check_init(StarDistConfig.model_validate(NET), copied)


@pytest.mark.parametrize("text", ['{"prob": 3, "nms": 0.1}', "[]", "{", '{"nms": 0.1}'])
def test_impossible_thresholds_are_refused(copied: Path, text: str) -> None:
    (copied / "thresholds.json").write_text(text)
    with pytest.raises(PluginError, match=r"thresholds\.json"):
        StarDist.check_init(StarDistConfig.model_validate(NET), copied)


def test_without_thresholds_the_librarys_are_used(copied: Path, blob_set: SampleSet) -> None:
    (copied / "thresholds.json").unlink()
    assert fitted(blob_set, Init(file=copied)).model.thresholds == (0.5, 0.4)


def outside(file: h5py.File, copied: Path) -> None:
    shutil.copy(copied / "weights_best.h5", copied / "other.h5")
    del file["prob"]
    file["prob"] = h5py.ExternalLink("other.h5", "prob")


def text(file: h5py.File, copied: Path) -> None:
    del file["prob/prob/bias"]
    file["prob/prob/bias"] = b"text"


def huge(file: h5py.File, copied: Path) -> None:
    del file["prob/prob/bias"]
    file["prob"].create_dataset("prob/bias", (2**15, 2**15), "f4", chunks=(512, 512), compression="gzip")


def unnamed(file: h5py.File, copied: Path) -> None:
    del file.attrs["layer_names"]


def upwards(file: h5py.File, copied: Path) -> None:
    file["prob"].attrs["weight_names"] = [b"../dist/dist/bias"]


@pytest.mark.parametrize("damage", [outside, text, huge, unnamed, upwards])
def test_files_that_hold_more_than_weights_are_refused(copied: Path, damage: Any) -> None:
    with h5py.File(copied / "weights_best.h5", "r+") as file:
        damage(file, copied)
    with pytest.raises(PluginError, match=r"weights_best\.h5"):
        read_hdf5(copied / "weights_best.h5")


def test_values_that_are_not_finite_are_refused_before_anything_is_trained(copied: Path) -> None:
    with h5py.File(copied / "weights_best.h5", "r+") as file:
        file["prob/prob/kernel"][...] = np.nan
    with pytest.raises(PluginError, match=r"weights_best\.h5: prob/kernel holds values that aren't finite"):
        StarDist.check_init(StarDistConfig.model_validate(NET), copied)


def test_a_configuration_nested_beyond_reading_is_one_clear_error(copied: Path) -> None:
    (copied / "config.json").write_text("[" * 100_000)
    with pytest.raises(PluginError, match=r"config\.json: can't be read"):
        StarDist.check_init(StarDistConfig.model_validate(NET), copied)


def test_what_is_no_hdf5_is_one_clear_error(copied: Path) -> None:
    (copied / "weights_best.h5").write_bytes(b"no")
    with pytest.raises(PluginError, match=r"weights_best\.h5"):
        StarDist.check_init(StarDistConfig.model_validate(NET), copied)
