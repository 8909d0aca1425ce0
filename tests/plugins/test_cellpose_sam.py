"""Cellpose-SAM with a tiny network of the library's own class; in an environment with Cellpose 4."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from synthbench import Budget, Context, Init, Sample, SampleSet, Stopped, TrainingMix
from synthbench.errors import ConfigError, PluginError
from synthbench.toolkit.masks import flows
from synthbench.toolkit.masks.flows import DEFAULT_THRESHOLDS
from synthbench_cellpose_sam.config import CellposeSAMConfig
from synthbench_cellpose_sam.segmenter import CellposeSAM

try:
    HAS_CELLPOSE_4 = int(version("cellpose").split(".")[0]) >= 4
except PackageNotFoundError:
    HAS_CELLPOSE_4 = False

needs_cellpose_4 = pytest.mark.skipif(
    not HAS_CELLPOSE_4, reason="needs Cellpose 4, which doesn't fit into one environment with Cellpose 3"
)

BUDGET = Budget(steps=2, batch_size=1, patch_size=32)
ZERO = Budget(steps=0, batch_size=1, patch_size=32)


def tiny_encoder(checkpoint: object = None) -> SimpleNamespace:
    """A transformer of Segment Anything with two layers, in the place of its large one."""
    from segment_anything.modeling import ImageEncoderViT

    encoder = ImageEncoderViT(
        depth=2,
        embed_dim=32,
        num_heads=2,
        img_size=1024,
        patch_size=16,
        qkv_bias=True,
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=(1,),
        out_chans=256,
    )
    return SimpleNamespace(image_encoder=encoder)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    if HAS_CELLPOSE_4:
        from segment_anything import sam_model_registry

        monkeypatch.setitem(sam_model_registry, "vit_l", tiny_encoder)


def library_network(gain: float = 1.0) -> Any:
    from cellpose.vit import CPSAM

    torch.manual_seed(3)
    network = CPSAM(dtype=torch.float32)
    with torch.no_grad():
        for parameter in network.encoder.parameters():
            if parameter.ndim > 1:
                parameter.copy_(0.1 * torch.randn(parameter.shape))
        network.out.weight *= gain
    return network.eval()


@pytest.fixture
def published(tiny: None, tmp_path: Path) -> Path:
    """A file as Cellpose 4 writes it."""
    path = tmp_path / "cpsam_tiny"
    library_network().save_model(path)
    return path


def fitted(samples: SampleSet, init: Init | None, *, config: Any = None, **more: Any) -> CellposeSAM:
    segmenter = CellposeSAM(CellposeSAMConfig.model_validate(config or {}))
    settings = {"budget": ZERO, "seed": 4, "init": init, **more}
    segmenter.fit(TrainingMix(samples), samples[:1], Context(**settings))
    return segmenter


def state(segmenter: CellposeSAM) -> dict[str, torch.Tensor]:
    return dict(segmenter.model.net.state_dict())


def colours(samples: SampleSet) -> SampleSet:
    return SampleSet.of([Sample(s.id, np.stack([s.image] * 3, axis=-1), s.labels) for s in samples])


def difference_of(theirs: Any, segmenter: CellposeSAM, image: np.ndarray[Any, Any]) -> float:
    """The largest difference of flows and cellprob, as a share of the largest value, with the library's normalisation.

    Masks aren't compared: with random weights, flows that differ by a rounding error lead some pixels elsewhere.
    """
    (_, flow, inside), (_, own_flow, own_inside) = (
        theirs.eval(image, compute_masks=False)[1],
        segmenter.model.eval(segmenter.as_input(image), channel_axis=-1, normalize=False, compute_masks=False)[1],
    )
    differences = (np.abs(flow - own_flow).max(), np.abs(inside - own_inside).max())
    return float(max(differences) / np.abs(own_flow).max())


# -- without the library ----------------------------------------------------------------------------------------------


def test_listing_the_plugin_imports_neither_torch_nor_cellpose() -> None:
    code = (
        "import sys, synthbench_cellpose_sam as p; print(*p.synthbench_segmenters());"
        "print({'torch', 'cellpose', 'numpy'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "synthbench_cellpose_sam.segmenter:CellposeSAM" in out
    assert out.endswith("set()\n")


def test_training_from_scratch_is_refused_with_the_reason(blob_set: SampleSet) -> None:
    with pytest.raises(ConfigError, match=r"scratch.*init"):
        fitted(blob_set, None, budget=BUDGET)


def test_patches_larger_than_the_networks_squares_are_refused() -> None:
    with pytest.raises(ConfigError, match="--patch 256"):
        CellposeSAMConfig().resolve(Budget(1, 1, 257))
    CellposeSAMConfig().resolve(Budget(1, 1, 256))


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({"downsample.down.res_down_0.proj.0.weight": torch.zeros(2)}, "segmenter cellpose"),
        ({"W2": torch.zeros(1), "encoder.cls_token": torch.zeros(1)}, "cpdino"),
        ({"a": torch.zeros(1)}, "W2"),
    ],
)
def test_other_weights_are_refused_by_name(tmp_path: Path, tensors: dict[str, torch.Tensor], named: str) -> None:
    torch.save(tensors, tmp_path / "x")
    with pytest.raises(PluginError, match=named):
        CellposeSAM.check_init(CellposeSAMConfig(), tmp_path / "x")


def test_an_unknown_name_is_refused_and_nothing_is_downloaded(
    blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import urllib.request

    asked: list[object] = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: asked.append(a))
    for step in (
        lambda: CellposeSAM.check_init(CellposeSAMConfig(), Path("cpsam")),
        lambda: fitted(blob_set, Init(file=Path("cpsam"))),
    ):
        with pytest.raises(PluginError, match="cpsam"):
            step()
    assert asked == []


# -- with the library -------------------------------------------------------------------------------------------------


@needs_cellpose_4
def test_the_published_network_is_built_from_its_shapes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from segment_anything import build_sam_vit_l, sam_model_registry

    from synthbench_cellpose_sam import library

    monkeypatch.setitem(sam_model_registry, "vit_l", build_sam_vit_l)
    network = library.empty_network()
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert 300e6 < sum(parameter.numel() for parameter in network.parameters()) < 310e6


@needs_cellpose_4
def test_targets_and_loss_are_the_librarys(blob_set: SampleSet) -> None:
    from cellpose.dynamics import labels_to_flows
    from cellpose.train import _loss_fn_seg

    labels = blob_set[0].labels
    theirs = labels_to_flows([labels.astype(np.int32)], device=torch.device("cpu"))[0]
    mine = flows.targets(labels)
    np.testing.assert_allclose(mine, theirs[-3:], atol=1e-5)
    said = torch.randn(1, 3, *labels.shape, generator=torch.Generator().manual_seed(0))
    planes = torch.from_numpy(mine)[None]
    torch.testing.assert_close(flows.loss(said, planes), _loss_fn_seg(planes, said, torch.device("cpu")))


@needs_cellpose_4
@pytest.mark.parametrize("channels", [1, 3])
def test_zero_steps_say_what_the_library_says(blob_set: SampleSet, tmp_path: Path, channels: int) -> None:
    from cellpose.models import CellposeModel

    file = tmp_path / "loud"
    library_network(gain=30).save_model(file)
    CellposeSAM.check_init(CellposeSAMConfig(), file)
    samples = blob_set if channels == 1 else colours(blob_set)
    segmenter = fitted(samples, Init(file=file))
    assert segmenter.thresholds == DEFAULT_THRESHOLDS
    theirs = CellposeModel(pretrained_model=str(file), device=torch.device("cpu"), use_bfloat16=False)
    segmenter.thresholds = everything = {"cellprob_threshold": -9.0, "flow_threshold": 0.0}
    found = 0
    for sample in samples[:2]:
        assert difference_of(theirs, segmenter, sample.image) < 1e-5
        labels = theirs.eval(segmenter.as_input(sample.image), channel_axis=-1, normalize=False, **everything)[0]
        mine = segmenter.predict(sample.image).labels
        np.testing.assert_array_equal(mine > 0, labels > 0)
        assert mine.max() == len(np.unique(labels)) - 1
        found += mine.max()
    assert found > 0


@needs_cellpose_4
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (300, 40), (20, 30, 3)])
def test_images_of_any_size_are_segmented(blob_set: SampleSet, published: Path, shape: tuple[int, ...]) -> None:
    segmenter = fitted(blob_set, Init(file=published))
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert segmenter.predict(image).labels.shape == shape[:2]


@needs_cellpose_4
def test_training_goes_on_from_the_weights(
    blob_set: SampleSet, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self, *a, **k: (seen.append(self.param_groups[0]), step(self, *a, **k))[1]
    )
    start = torch.load(published, weights_only=True)
    tuned = fitted(blob_set, Init(file=published), budget=BUDGET)
    assert len(seen) == BUDGET.steps
    assert (seen[0]["initial_lr"], seen[0]["weight_decay"]) == (1e-5, 0.1)
    after = state(tuned)
    assert after.keys() == start.keys()
    moved = {name: float((after[name] - start[name]).abs().max()) for name in start}
    assert 0 < moved["out.weight"] < 1e-3
    assert 0 < moved["encoder.blocks.0.mlp.lin1.weight"] < 1e-3
    assert moved["W2"] == 0
    frozen = state(fitted(blob_set, Init(file=published), budget=BUDGET, config={"finetune": {"freeze_encoder": 1.0}}))
    assert all(torch.equal(frozen[name], start[name]) for name in start if name.startswith("encoder."))


@needs_cellpose_4
def test_what_continues_a_small_patch_has_no_part_in_the_loss(
    blob_set: SampleSet, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    loss = flows.loss
    monkeypatch.setattr(flows, "loss", lambda output, planes: (seen.append(planes), loss(output, planes))[1])
    fitted(blob_set, Init(file=published), budget=Budget(1, 1, 32))
    assert seen[0].shape[-2:] == (256, 256)
    assert bool((seen[0][:, 0, :32, :32] >= 0).all())
    assert bool((seen[0][:, 0, 32:] == -1).all())
    assert bool((seen[0][:, 0, :, 32:] == -1).all())


@needs_cellpose_4
def test_a_stopped_fine_tuning_ends_with_the_same_weights(blob_set: SampleSet, published: Path, tmp_path: Path) -> None:
    init, budget = Init(file=published), Budget(4, 1, 32)
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        fitted(blob_set, init, budget=budget, folder=tmp_path, should_stop=lambda: next(asked))
    first: list[int] = []
    resumed = fitted(
        blob_set, init, budget=budget, folder=tmp_path, progress=lambda done, total, note="": first.append(done)
    )
    assert first[0] == 2
    whole = fitted(blob_set, init, budget=budget)
    assert all(torch.equal(value, state(whole)[name]) for name, value in state(resumed).items())
    assert resumed.thresholds == whole.thresholds


@needs_cellpose_4
def test_its_own_model_is_saved_loaded_and_the_start_of_the_next(
    blob_set: SampleSet, published: Path, tmp_path: Path
) -> None:
    first = fitted(blob_set, Init(file=published), budget=BUDGET)
    first.thresholds = {"cellprob_threshold": -9.0, "flow_threshold": 0.0}
    folder = tmp_path / "model"
    folder.mkdir()
    first.save(folder)
    second = fitted(blob_set, Init(model=folder))
    loaded = CellposeSAM.load(folder, Context())
    for other in (second, loaded):
        assert other.thresholds == first.thresholds
        assert all(torch.equal(value, state(first)[name]) for name, value in state(other).items())
        found, expected = other.predict(blob_set[3].image), first.predict(blob_set[3].image)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.scores, expected.scores)


@needs_cellpose_4
def test_a_model_of_grey_images_goes_on_with_rgb_ones(blob_set: SampleSet, published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    fitted(blob_set, Init(file=published)).save(folder)
    assert fitted(colours(blob_set), Init(model=folder)).channels == 3


@needs_cellpose_4
@pytest.mark.parametrize(
    "change", [{"out.weight": torch.zeros(1)}, {"more": torch.zeros(1)}, {"W2": torch.full((192, 3, 8, 8), torch.nan)}]
)
def test_files_that_dont_fit_are_refused(
    blob_set: SampleSet, published: Path, tmp_path: Path, change: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "x"
    torch.save({**torch.load(published, weights_only=True), **change}, path)
    with pytest.raises(PluginError, match=next(iter(change))):
        fitted(blob_set, Init(file=path))


@needs_cellpose_4
def test_unknown_pixels_change_nothing(blob_set: SampleSet, published: Path) -> None:
    region = np.zeros(blob_set[0].labels.shape, bool)
    region[:, : region.shape[1] // 2] = True
    fits = []
    for labels in (lambda s: s.labels, lambda s: np.where(region, 0, s.labels)):
        samples = SampleSet.of([Sample(s.id, s.image, labels(s), s.groups, region) for s in blob_set])
        fits.append(state(fitted(samples, Init(file=published), budget=Budget(1, 1, 32))))
    assert all(torch.equal(fits[0][name], fits[1][name]) for name in fits[0])


@needs_cellpose_4
@pytest.mark.parametrize("channels", [1, 3])
def test_the_exported_file_is_opened_by_the_library_and_finds_the_same(
    blob_set: SampleSet, tmp_path: Path, channels: int
) -> None:
    from cellpose.models import CellposeModel

    from synthbench_cellpose_sam.synthbench_export import FILE, export

    file, out = tmp_path / "loud", tmp_path / "out"
    library_network(gain=30).save_model(file)
    out.mkdir()
    samples = blob_set if channels == 1 else colours(blob_set)
    segmenter = fitted(samples, Init(file=file), budget=BUDGET)
    segmenter.thresholds = {"cellprob_threshold": -9.0, "flow_threshold": 0.0}
    made = export(segmenter, out)
    difference, largest = made.compare(samples[0].image)
    assert difference <= 1e-5 * largest
    assert largest > 1
    opened = CellposeModel(pretrained_model=str(out / FILE), device=torch.device("cpu"), use_bfloat16=False)
    assert "model.eval(image, flow_threshold=0, cellprob_threshold=-9)" in made.usage
    assert difference_of(opened, segmenter, samples[0].image) < 1e-5
    with torch.no_grad():
        opened.net.out.weight *= 2.0
    opened.net.save_model(out / FILE)
    assert made.compare(samples[0].image)[0] > 1e-3 * largest, "a file of other weights is seen"
