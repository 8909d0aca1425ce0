"""Every built-in plugin keeps the contract that strangers' plugins are held to."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from synthbench import Budget, Context, Generator, Sample, TrainingMix
from synthbench.plugin.api import LOG
from synthbench.plugin.precision import computing_in
from synthbench.plugin.registry import registry
from synthbench.samples import SampleSet, read_array
from synthbench.testing import assert_contract

TRAINED = {
    ("segmenter", "unet"),
    ("segmenter", "stardist"),
    ("segmenter", "cellpose"),
    ("segmenter", "mediar"),
    ("segmenter", "instanseg"),
    ("segmenter", "deepsea"),
    ("segmenter", "mask-rcnn"),
    ("generator", "pix2pix"),
    ("generator", "pix2pixhd"),
    ("generator", "spade"),
    ("generator", "cyclegan"),
    ("generator", "vqvae-pixelcnn"),
    ("generator", "cgan-seg"),
    ("generator", "diffusion"),
    ("generator", "flow-matching"),
    ("generator", "latent-diffusion"),
    ("generator", "stylegan2-mask"),
    ("generator", "r3gan"),
}
BUILT_IN = [key for key, entry in registry().entries.items() if entry.distribution == "synthbench"]


PAPERS = {
    "pix2pix": {"ngf": 8, "ndf": 8, "num_downs": 3},
    "pix2pixhd": {"ngf": 4, "ndf": 4, "n_blocks_global": 1, "perceptual": "off"},
    "cyclegan": {"ngf": 4, "ndf": 4, "n_blocks": 1},
    "spade": {"ngf": 2, "nhidden": 4, "ndf": 4, "perceptual": "off"},
    "cgan-seg": {
        "perceptual": "off",
        "gen_filters": 4,
        "seg_filters": 4,
        "ndf": 4,
        "attention_heads": 2,
        "attention_dim_head": 4,
    },
}
"""Small networks of generators whose published method, unlike a short training's, has other parts."""

SMALL: dict[str, dict[str, Any]] = {
    "diffusion": {"model_channels": 8, "channel_mult": [1, 2], "sampling_steps": 4},
    "flow-matching": {"model_channels": 8, "channel_mult": [1, 2], "sampling_steps": 4},
    "latent-diffusion": {
        "autoencoder_channels": [8, 16],
        "model_channels": 8,
        "channel_mult": [1, 2],
        "spade_channels": 8,
        "sampling_steps": 4,
    },
    "mask-rcnn": {
        "backbone": "resnet18",
        "fpn_channels": 8,
        "head_convs": 1,
        "representation_size": 8,
        "rois_per_image": 16,
        "scale": 1.0,
    },
    "stardist": {"n_rays": 8, "unet_n_depth": 1, "unet_n_filter_base": 4},
}
"""Small networks of methods whose own take minutes even in the shortest training."""


@pytest.fixture
def eager() -> Iterator[None]:
    """TensorFlow without graphs, whose making takes most of a training of two steps; other tests train with them."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(*key, marks=[pytest.mark.slow] * (key in TRAINED or key[0] == "engine"), id="-".join(key))
        for key in BUILT_IN
    ],
)
def test_it_keeps_the_contract(
    kind: str, name: str, tmp_path: Path, blob_set: SampleSet, request: pytest.FixtureRequest
) -> None:
    if registry().get(kind, name).missing:
        pytest.skip(registry().get(kind, name).disabled_reason)
    if name == "stardist":
        request.getfixturevalue("eager")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    blob_set.save(tmp_path / "set")
    needed = {"ready-made": {"path": str(tmp_path / "set")}, "mlflow": {"tracking_uri": (tmp_path / "runs").as_uri()}}
    assert_contract(kind, name, needed.get(name, SMALL.get(name)))
    trained = bool(getattr(registry().load(kind, name), "budgets", {}))
    assert trained == ((kind, name) in TRAINED)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "small"), PAPERS.items(), ids=PAPERS)
def test_the_published_method_keeps_the_contract(name: str, small: dict[str, object]) -> None:
    assert_contract("generator", name, {**small, "preset": "paper"})


def test_there_are_built_ins_of_every_kind() -> None:
    assert {kind for kind, _ in BUILT_IN} == {"generator", "segmenter", "encoder", "dataset", "engine", "logger"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for kind, name in TRAINED if kind == "generator"))
def test_a_generator_that_trains_leaves_its_losses_and_what_it_draws_by_then(
    name: str, blob_set: SampleSet, tmp_path: Path
) -> None:
    cls = registry().load("generator", name)
    generator = cls()
    generator.fit(blob_set, Context(seed=0, budget=replace(cls.budgets["smoke"], steps=6), folder=tmp_path))
    assert generator.counts["drawn"] == 0
    logged = sorted((tmp_path / LOG).iterdir())
    losses = [json.loads(line) for file in logged if file.suffix == ".jsonl" for line in file.read_text().splitlines()]
    assert losses
    assert all(np.isfinite(value) for row in losses for value in row.values())
    pictures = [read_array(file) for file in logged if file.suffix == ".png"]
    assert len(pictures) >= 3
    assert all(picture.std() > 0 for picture in pictures)


@pytest.fixture(scope="module")
def two_kinds() -> SampleSet:
    """Nine 8-bit images with small objects, and nine 16-bit ones with large ones."""
    samples, rng = [], np.random.default_rng(0)
    for k, (side, dtype) in enumerate([(6, np.uint8), (16, np.uint16)] * 9):
        labels = np.zeros((48, 48), np.int32)
        labels[4 : 4 + side, 4 : 4 + side], labels[24 : 24 + side, 24 : 24 + side] = 1, 2
        light = rng.normal(np.where(labels > 0, 150, 40), 5)
        samples.append(Sample(f"{k:02d}", (light * (1 if dtype is np.uint8 else 200)).astype(dtype), labels))
    return SampleSet.of(samples)


def small(name: str, train: SampleSet, **config: object) -> Generator:
    cls = registry().load("generator", name)
    generator = cls(cls.Config(**config))
    generator.fit(train, Context(seed=0, budget=Budget(2, 2, 32)))
    return generator


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("pix2pix", {"ngf": 8, "num_downs": 3}),
        ("pix2pixhd", {"ngf": 4, "ndf": 4, "n_blocks_global": 1}),
        ("spade", {"ngf": 2, "nhidden": 4, "ndf": 4}),
        ("cgan-seg", {"gen_filters": 4, "gen_depth": 3}),
        ("diffusion", {"model_channels": 8, "channel_mult": (1, 2), "sampling_steps": 1, "mode": "conditional"}),
        ("flow-matching", {"model_channels": 8, "channel_mult": (1, 2), "sampling_steps": 1, "mode": "conditional"}),
        ("latent-diffusion", {"autoencoder_channels": (8, 16), "model_channels": 8, "sampling_steps": 1}),
    ],
)
def test_an_image_to_a_mask_follows_one_with_objects_of_similar_size(
    name: str, config: dict[str, object], two_kinds: SampleSet
) -> None:
    """A drawn image has the depth of the one whose range it is given."""
    drawn = list(small(name, two_kinds, mask_source="train", **config).sample_batch(range(18), 0))
    assert all((s.image.dtype == np.uint8) == ((s.labels > 0).sum() == 72) for s in drawn)
    assert len({s.image.dtype for s in drawn}) == 2


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("diffusion", {"model_channels": 8, "channel_mult": (1, 2), "sampling_steps": 1}),
        ("flow-matching", {"model_channels": 8, "channel_mult": (1, 2), "sampling_steps": 1}),
        ("stylegan2-mask", {"channel_max": 16, "channel_base": 256, "z_dim": 16, "w_dim": 16}),
        ("r3gan", {"channel_max": 16, "channel_base": 128, "z_dim": 8}),
        ("vqvae-pixelcnn", {"num_hiddens": 8, "num_embeddings": 16, "embedding_dim": 8, "pixelcnn_channels": 8}),
    ],
)
def test_images_drawn_with_their_masks_follow_any_training_image(
    name: str, config: dict[str, object], two_kinds: SampleSet
) -> None:
    drawn = [s.image.dtype for s in small(name, two_kinds, **config).sample_batch(range(12), 0)]
    assert 0 < drawn.count(np.dtype(np.uint8)) < 12


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for kind, name in TRAINED if kind == "generator"))
def test_patches_may_be_as_large_as_512(name: str) -> None:
    """The other tests have 32 to 64."""
    phantom = registry().load("dataset", "phantom-nuclei")
    train = SampleSet.of(phantom(phantom.Config(train=1, validation=0, test=0, size=512)).samples(Context()))
    generator = registry().load("generator", name)()
    generator.fit(train, Context(seed=0, budget=Budget(2, 1, 512)))
    sample = generator.sample(0, 0)
    assert sample.image.shape == sample.labels.shape == (512, 512)
    assert sample.image.dtype == train[0].image.dtype


ON_TORCH = sorted(TRAINED - {("segmenter", "stardist")})


def trained_on(kind: str, name: str, train: SampleSet, context: Context) -> Any:
    """Train a built-in plugin for a few steps, and let it answer once."""
    cls = registry().load(kind, name)
    found = cls(cls.Config(**SMALL.get(name, {})))
    context = replace(context, budget=replace(cls.budgets["smoke"], steps=4))
    if kind == "generator":
        found.fit(train, context)
    else:
        found.fit(TrainingMix(train), train, context)
    check_answer(found, train)
    return found


def check_answer(found: Any, train: SampleSet) -> None:
    if isinstance(found, Generator):
        sample = found.sample(0, 0)
        assert (sample.image.dtype, sample.image.ndim) == (train[0].image.dtype, train[0].image.ndim)
        assert sample.image.std() > 0
    else:
        assert found.predict(train[0].image).labels.shape == train[0].labels.shape


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), ON_TORCH)
def test_networks_train_and_answer_in_bfloat16(
    kind: str, name: str, blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step mixes types that don't go together, or hands NumPy one that it lacks; processors may emulate it."""
    if registry().get(kind, name).missing:
        pytest.skip(registry().get(kind, name).disabled_reason)
    entered, plain = set(), torch.autocast

    def autocast(kind: str, **options: Any) -> torch.autocast:
        entered.add((kind, options.get("dtype")))
        return plain(kind, **options)

    monkeypatch.setattr(torch, "autocast", autocast)
    with computing_in("bf16"):
        trained_on(kind, name, blob_set, Context(seed=0))
    assert ("cpu", torch.bfloat16) in entered


@pytest.mark.parametrize(("kind", "name"), [key for key in BUILT_IN if key[0] in ("generator", "segmenter", "encoder")])
def test_what_does_not_compute_in_bfloat16_says_so(kind: str, name: str) -> None:
    """Its keys, and so its results, are then those in float32."""
    entry = registry().get(kind, name)
    if entry.missing:
        pytest.skip(entry.disabled_reason)
    package = importlib.import_module(entry.spec.package)
    files = Path(str(package.__file__)).parent.glob("*.py")
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    uses = "autocast(" in source or "in_bfloat16(" in source
    assert registry().load(kind, name).bfloat16_on_cpu == (uses and name != "spade")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("kind", "name"), ON_TORCH)
def test_what_a_gpu_trained_answers_there_and_on_a_cpu(
    kind: str, name: str, blob_set: SampleSet, tmp_path: Path
) -> None:
    if registry().get(kind, name).missing:
        pytest.skip(registry().get(kind, name).disabled_reason)
    torch.cuda.reset_peak_memory_stats()
    found = trained_on(kind, name, blob_set, Context(seed=0, device="cuda"))
    assert torch.cuda.max_memory_allocated() > 0
    found.save(tmp_path)
    for device in ("cpu", "cuda"):
        check_answer(type(found).load(tmp_path, Context(device=device)), blob_set)


@pytest.mark.parametrize(("kind", "name"), sorted(TRAINED))
def test_a_learning_rate_beyond_1_is_refused(kind: Any, name: str) -> None:
    fields = registry().load(kind, name).Config
    keys = [key for key in fields.model_fields if key == "lr" or key.endswith("learning_rate")]
    assert keys
    for key in keys:
        with pytest.raises(ValidationError, match="less than or equal to 1"):
            fields.model_validate({key: 1e300})


@pytest.mark.parametrize(
    ("kind", "name", "config"),
    [
        ("generator", "diffusion", {"channel_mult": [0, 1]}),
        ("generator", "flow-matching", {"channel_mult": [-1]}),
        ("generator", "latent-diffusion", {"channel_mult": [1, 0]}),
        ("generator", "latent-diffusion", {"autoencoder_channels": [0, 8]}),
        ("generator", "classic", {"blur": 1e6}),
        ("generator", "classic", {"elastic": 1e300}),
        ("segmenter", "instanseg", {"layers": [0, 8, 8, 8]}),
    ],
)
def test_sizes_that_no_network_or_image_has_are_refused(kind: Any, name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(config))):
        registry().load(kind, name).Config.model_validate(config)
