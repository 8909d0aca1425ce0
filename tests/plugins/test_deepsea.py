"""DeepSea: the published network and losses, touching edges and their decoding, weights to start from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthbench.errors import PluginError, StoreError
from synthbench.metrics.matching import count, pooled
from synthbench.plugin.api import Budget, Context, Init, Stopped, TrainingMix
from synthbench.samples import Sample, SampleSet
from synthbench_deepsea.config import SHORT_WIDTHS, DeepSeaConfig
from synthbench_deepsea.losses import EPSILON, segmentation_losses, soft_dice_loss
from synthbench_deepsea.network import PUBLISHED_WIDTHS, DeepSeaNet
from synthbench_deepsea.segmenter import DeepSea
from synthbench_deepsea.targets import EDGE_START, decode_edges, decode_paper, encode, touching_edges

SMALL = {"widths": (4, 6, 8)}
BUDGET = Budget(steps=3, batch_size=2, patch_size=32)


def fitted(samples: SampleSet, *, context: Context | None = None, **config: Any) -> DeepSea:
    deepsea = DeepSea(DeepSeaConfig(**{**SMALL, **config}))
    deepsea.fit(TrainingMix(samples), samples[:2], context or Context(budget=BUDGET))
    return deepsea


def weights(deepsea: DeepSea) -> list[torch.Tensor]:
    return list(deepsea.network.state_dict().values())


def two_squares(gap: int) -> np.ndarray:
    labels = np.zeros((20, 30), np.uint8)
    labels[4:14, 5:13], labels[4:14, 13 + gap : 21 + gap] = 1, 2
    return labels


# -- the network ------------------------------------------------------------------------------------------------------


def test_the_preset_paper_is_the_published_network() -> None:
    config = DeepSeaConfig(preset="paper").resolve(BUDGET)
    assert config.decoding == "paper"
    network = DeepSeaNet(1, config.widths)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_987_844


@pytest.mark.parametrize(("steps", "widths"), [(9_999, SHORT_WIDTHS), (10_000, PUBLISHED_WIDTHS)])
def test_widths_follow_from_the_budget(steps: int, widths: tuple[int, ...]) -> None:
    budget = replace(BUDGET, steps=steps)
    assert DeepSeaConfig().resolve(budget).widths == widths
    assert DeepSeaConfig(preset="microscopy").resolve(budget).decoding == "edges"
    assert DeepSeaConfig(**SMALL).resolve(budget).widths == SMALL["widths"]


@pytest.mark.parametrize("side", [4, 37])
def test_both_heads_have_the_size_of_the_image(side: int) -> None:
    cells, edges = DeepSeaNet(3, (4, 6, 8))(torch.zeros(2, 3, side, side + 2))
    assert cells.shape == edges.shape == (2, 2, side, side + 2)


# -- targets and decoding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_touching_edges_are_the_pixels_near_two_instances(radius: int) -> None:
    labels = np.random.default_rng(radius).choice([0, 0, 0, 3, 7, 9], (14, 17)).astype(np.uint16)
    expected = np.zeros(labels.shape, bool)
    for y, x in np.ndindex(labels.shape):
        near = np.hypot(*(np.indices(labels.shape) - np.array([y, x])[:, None, None])) <= radius
        expected[y, x] = len(set(labels[near]) - {0}) > 1
    np.testing.assert_array_equal(touching_edges(labels, radius), expected)


@pytest.mark.parametrize(("gap", "radius", "columns"), [(0, 1, 2), (0, 2, 4), (1, 1, 1), (1, 2, 3), (2, 1, 0)])
def test_an_edge_has_the_stated_width(gap: int, radius: int, columns: int) -> None:
    assert touching_edges(two_squares(gap), radius)[8].sum() == columns


def test_cells_are_learned_without_their_edges_and_unknown_pixels_not_at_all() -> None:
    labels, ignore = two_squares(0), np.zeros((20, 30), bool)
    ignore[:, 25:] = True
    cells, edges = encode(labels, ignore, 1)
    assert (cells[8, 10:16] == [1, 1, 0, 0, 1, 1]).all()
    assert (edges[8, 10:16] == [0, 0, 1, 1, 0, 0]).all()
    assert (cells[:, 24:] == -1).all()
    assert (edges[:, 24:] == -1).all()
    assert (encode(labels)[:, :, :24] == np.stack([cells, edges])[:, :, :24]).all()


@pytest.mark.parametrize("radius", [1, 2])
def test_perfect_planes_decode_to_the_truth(radius: int) -> None:
    cells, edges = encode(two_squares(0), radius=radius).astype(np.float32)
    found, truth = decode_edges(cells, edges, radius), two_squares(0)
    wrong = found != truth
    assert wrong.sum() == 4 * (radius - 1)  # background at the ends of the edge, which is no cell's
    assert not truth[wrong].any()
    assert decode_edges(cells, np.zeros_like(cells), radius).max() == 2


def test_the_edge_head_separates_what_the_cell_head_joins() -> None:
    labels = two_squares(0)
    joined, edges = (labels > 0).astype(np.float32), encode(labels)[1].astype(np.float32)
    assert decode_paper(joined).max() == 1
    np.testing.assert_array_equal(decode_edges(joined, edges, 1), labels)


def test_the_published_decoding_drops_small_components_and_joins_by_sides_only() -> None:
    cells = np.zeros((20, 20), np.float32)
    cells[0:4, 0:5], cells[4:8, 5:10] = 0.6, 0.6
    cells[12:16, 0:4], cells[12:16, 10:16] = 0.9, 0.5
    expected = np.zeros((20, 20), int)
    expected[0:4, 0:5], expected[4:8, 5:10] = 1, 2
    np.testing.assert_array_equal(decode_paper(cells), expected)


# -- losses -----------------------------------------------------------------------------------------------------------


def test_losses_are_those_computed_by_hand() -> None:
    generator = np.random.default_rng(0)
    cells, edges = generator.normal(size=(2, 2, 2, 5, 6))
    targets = generator.integers(0, 2, (2, 2, 5, 6))
    losses = segmentation_losses(torch.from_numpy(cells), torch.from_numpy(edges), torch.from_numpy(targets))

    def shares(logits: np.ndarray) -> np.ndarray:
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def entropy(logits: np.ndarray, target: np.ndarray) -> float:
        chosen = np.take_along_axis(shares(logits), target[:, None], axis=1)
        return float(-np.log(chosen).mean())

    assert float(losses["cells"]) == pytest.approx(entropy(cells, targets[:, 0]))
    assert float(losses["edges"]) == pytest.approx(5 * entropy(edges, targets[:, 1]))
    dice = []
    for k in (0, 1):
        share, truth = shares(cells)[:, k], targets[:, 0] == k
        dice.append((2 * (share * truth).sum() + EPSILON) / (share.sum() + truth.sum() + EPSILON))
    assert float(losses["dice"]) == pytest.approx(1 - np.mean(dice))


def test_unknown_pixels_have_no_part_in_any_loss() -> None:
    torch.manual_seed(0)
    cells, edges = (torch.randn(1, 2, 8, 12, requires_grad=True) for _ in range(2))
    targets = torch.randint(0, 2, (1, 2, 8, 12), dtype=torch.int8)
    targets[..., 8:] = -1
    losses = segmentation_losses(cells, edges, targets)
    alone = segmentation_losses(cells[..., :8], edges[..., :8], targets[..., :8])
    for name, value in losses.items():
        torch.testing.assert_close(value, alone[name])
    sum(losses.values()).backward()
    for logits in (cells, edges):
        assert not logits.grad[..., 8:].any()
        assert logits.grad[..., :8].any()


def test_a_batch_of_unknown_pixels_teaches_nothing() -> None:
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    total = sum(segmentation_losses(logits, logits, torch.full((1, 2, 4, 4), -1)).values())
    total.backward()
    assert total.item() == 0
    assert not logits.grad.any()
    assert soft_dice_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)) > 0


# -- the segmenter ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_learns_to_find_discs(blob_set: SampleSet) -> None:
    deepsea = fitted(blob_set, context=Context(budget=Budget(120, 4, 64)), widths=(8, 8, 16))
    f1 = pooled(count(sample.labels, deepsea.predict(sample.image).labels) for sample in blob_set)["f1"]
    assert f1[0] > 0.8


@pytest.mark.parametrize("after", [0, 2])
def test_interrupted_training_ends_in_the_same_weights(blob_set: SampleSet, tmp_path: Path, after: int) -> None:
    whole = fitted(blob_set)
    asked = iter(range(10**6))
    with pytest.raises(Stopped):
        fitted(blob_set, context=Context(budget=BUDGET, folder=tmp_path, should_stop=lambda: next(asked) >= after))
    rest = fitted(blob_set, context=Context(budget=BUDGET, folder=tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(rest), strict=True))
    assert whole.thresholds == rest.thresholds
    other = fitted(blob_set, context=Context(budget=BUDGET, seed=1))
    assert not all(torch.equal(a, b) for a, b in zip(weights(whole), weights(other), strict=True))


def test_what_is_saved_predicts_the_same(blob_set: SampleSet, tmp_path: Path) -> None:
    deepsea = fitted(blob_set)
    deepsea.save(tmp_path)
    again = DeepSea.load(tmp_path, Context(seed=9))
    assert again.thresholds == deepsea.thresholds
    found, expected = again.predict(blob_set[3].image), deepsea.predict(blob_set[3].image)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)
    (tmp_path / "deepsea.json").write_text("{")
    with pytest.raises(StoreError, match=r"deepsea\.json"):
        DeepSea.load(tmp_path, Context())


@pytest.mark.parametrize("decoding", ["paper", "edges"])
@pytest.mark.parametrize(("shape", "dtype"), [((33, 47), "uint16"), ((40, 33, 3), "uint8")])
def test_all_sorts_of_images_are_learned_from(decoding: str, shape: tuple[int, ...], dtype: str) -> None:
    labels = np.zeros(shape[:2], np.uint8)
    image = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    deepsea = fitted(SampleSet.of([Sample("a", image, labels)]), decoding=decoding)
    for size in ((1, 1), (1, 40), (31, 33)):
        for grey in (np.zeros(size, dtype), np.full((*size, 3), 200, dtype)):
            found = deepsea.predict(grey)
            assert found.labels.shape == size
            assert found.scores is not None
            assert len(found.scores) == found.labels.max()


def test_thresholds_are_chosen_on_the_validation_samples(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell head says cell everywhere it isn't sure, so that only a high threshold is right."""
    drawn = {s.image.tobytes(): s.labels > 0 for s in blob_set}

    def predict(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.where(drawn[image.tobytes()], 0.95, 0.65), np.zeros(image.shape)

    monkeypatch.setattr("synthbench_deepsea.segmenter.normalise", lambda image: image)
    monkeypatch.setattr("synthbench_deepsea.segmenter.to_channels", lambda image, channels: image)
    monkeypatch.setattr("synthbench_deepsea.segmenter.predict_tiled", lambda network, image, multiple: predict(image))
    deepsea = DeepSea(DeepSeaConfig(**SMALL, decoding="edges"))
    deepsea.channels, deepsea.thresholds = 1, dict(EDGE_START)
    deepsea.tune_thresholds(blob_set, Context(budget=BUDGET))
    assert deepsea.thresholds["cell"] == 0.7


# -- weights to start from --------------------------------------------------------------------------------------------


def published(widths: tuple[int, int, int]) -> dict[str, torch.Tensor]:
    """Return random weights with the names and shapes of the published code's network for grey images."""
    a, b, c = widths
    torch.manual_seed(1)
    tensors: dict[str, torch.Tensor] = {}

    def convolution(name: str, inputs: int, planes: int, side: int) -> None:
        tensors.update({f"{name}.weight": torch.randn(planes, inputs, side, side), f"{name}.bias": torch.randn(planes)})

    for k, (inputs, planes) in enumerate([(1, a), (a, b), (b, c), (b + c, b), (a + b, a)], 1):
        convolution(f"res{k}.double_conv.0", inputs, planes, 3)
        convolution(f"res{k}.double_conv.4", planes, planes, 3)
        convolution(f"res{k}.conv1d", inputs, planes, 1)
        for norm in ("double_conv.1", "bn"):
            values = {part: torch.rand(planes) for part in ("weight", "bias", "running_mean", "running_var")}
            values["num_batches_tracked"] = torch.tensor(7)
            tensors.update({f"res{k}.{norm}.{part}": value for part, value in values.items()})
    convolution("conv3", a, 2, 1)
    convolution("conv4", a, 2, 1)
    return tensors


def test_published_names_are_those_of_the_whole_network(tmp_path: Path) -> None:
    torch.save(published(PUBLISHED_WIDTHS), tmp_path / "segmentation.pth")
    DeepSea.check_init(DeepSeaConfig(), tmp_path / "segmentation.pth")
    with pytest.raises(PluginError, match=r"segmentation\.pth.*64, 128, 256"):
        DeepSea.check_init(DeepSeaConfig(**SMALL), tmp_path / "segmentation.pth")


def test_training_starts_from_a_file(blob_set: SampleSet, tmp_path: Path) -> None:
    tensors = published((4, 6, 8))
    torch.save(tensors, tmp_path / "a.pth")
    start = Context(budget=replace(BUDGET, steps=0), init=Init(file=tmp_path / "a.pth"))
    deepsea = fitted(blob_set, context=start, widths=None)
    assert deepsea.config.widths == (4, 6, 8)
    found = deepsea.network.state_dict()
    for ours, theirs in {
        "up2.second.weight": "res4.double_conv.4.weight",
        "bottom.norm.running_var": "res3.bn.running_var",
        "edges.bias": "conv4.bias",
    }.items():
        torch.testing.assert_close(found[ours], tensors[theirs], rtol=0, atol=0)
    trained = fitted(blob_set, context=replace(start, budget=BUDGET), widths=None)
    assert trained.network.state_dict()["edges.bias"].ne(tensors["conv4.bias"]).any()


def test_a_file_that_says_that_its_network_is_enormous_is_refused(tmp_path: Path) -> None:
    planes = torch.zeros(1).expand(10**9, 1, 3, 3)
    torch.save({**published((4, 6, 8)), "res1.double_conv.0.weight": planes}, tmp_path / "huge.pth")
    with pytest.raises(PluginError, match=r"huge\.pth: its network has the widths \(1000000000, 6, 8\)"):
        DeepSea.check_init(DeepSeaConfig(), tmp_path / "huge.pth")


@pytest.mark.parametrize("wrong", [{"conv3.weight": torch.zeros(2)}, {"res1.double_conv.0.weight": torch.zeros(())}])
def test_another_networks_file_is_refused_in_one_line(wrong: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(wrong, tmp_path / "wrong.pth")
    with pytest.raises(PluginError, match=r"wrong\.pth"):
        DeepSea.check_init(DeepSeaConfig(), tmp_path / "wrong.pth")
    torch.save({**published((4, 6, 8)), **wrong}, tmp_path / "wrong.pth")
    with pytest.raises(PluginError, match=r"wrong\.pth"):
        DeepSea.check_init(DeepSeaConfig(), tmp_path / "wrong.pth")


def test_a_trained_model_is_used_as_it_is_in_0_steps(blob_set: SampleSet, tmp_path: Path) -> None:
    first = fitted(blob_set, decoding="edges")
    first.thresholds = {"cell": 0.6, "edge": 0.2, "area": 1}
    first.save(tmp_path)
    start = Context(budget=replace(BUDGET, steps=0), init=Init(model=tmp_path), seed=5)
    again = fitted(blob_set, context=start, widths=None)
    assert (again.config.widths, again.config.decoding) == (SMALL["widths"], "edges")
    assert again.thresholds == first.thresholds
    np.testing.assert_array_equal(again.predict(blob_set[0].image).labels, first.predict(blob_set[0].image).labels)


def test_weights_of_grey_images_serve_others(blob_set: SampleSet, tmp_path: Path) -> None:
    """A grey image as RGB gets the same answer; a network for RGB stays one."""
    fitted(blob_set, decoding="paper").save(tmp_path)
    colours = [Sample(s.id, np.repeat(s.image[..., None], 3, axis=-1), s.labels) for s in blob_set]
    start = Context(budget=replace(BUDGET, steps=0), init=Init(model=tmp_path))
    found = fitted(SampleSet.of(colours), context=start)
    assert found.channels == 3
    grey = DeepSea.load(tmp_path, Context())
    np.testing.assert_array_equal(found.predict(colours[0].image).labels, grey.predict(blob_set[0].image).labels)
    (tmp_path / "rgb").mkdir()
    found.save(tmp_path / "rgb")
    assert fitted(blob_set, context=replace(start, init=Init(model=tmp_path / "rgb"))).channels == 3


def test_a_frozen_encoder_stays_as_it_is(blob_set: SampleSet, tmp_path: Path) -> None:
    first = fitted(blob_set)
    first.save(tmp_path)
    tuned = fitted(blob_set, context=Context(budget=BUDGET, init=Init(model=tmp_path)), finetune={"freeze_encoder": 1})
    for name, value in first.network.state_dict().items():
        frozen = name.startswith(("down", "bottom"))
        assert torch.equal(value, tuned.network.state_dict()[name]) == frozen
    assert all(parameter.requires_grad for parameter in tuned.network.parameters())
