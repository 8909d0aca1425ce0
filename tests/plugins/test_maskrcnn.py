"""Mask R-CNN: torchvision's network and losses, unknown pixels, detections to label maps, weights to start from."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.roi_heads import RoIHeads, maskrcnn_loss, paste_mask_in_image
from torchvision.models.detection.rpn import RegionProposalNetwork

from synthbench.errors import ConfigError, PluginError, StoreError
from synthbench.plugin.api import Budget, Context, Init, Stopped, TrainingMix
from synthbench.samples import Sample, SampleSet
from synthbench_maskrcnn.config import MaskRCNNConfig
from synthbench_maskrcnn.detection import MARGIN, START, Detections, assemble, cores, detect, paste
from synthbench_maskrcnn.heads import contains_unknown, mask_loss
from synthbench_maskrcnn.initial import load_into
from synthbench_maskrcnn.network import build, norm_layer
from synthbench_maskrcnn.segmenter import MaskRCNN, stepped
from synthbench_maskrcnn.sizes import TILE, UNMEASURED, Geometry, anchor_sizes, measure
from synthbench_maskrcnn.targets import objects_of, training_batch

SMALL = {"backbone": "resnet18", "fpn_channels": 8, "head_convs": 1, "representation_size": 8, "rois_per_image": 16}
BUDGET = Budget(steps=2, batch_size=2, patch_size=32)
GEOMETRY = Geometry(scale=1.0, anchors=(8.0, 16.0, 32.0, 64.0, 128.0), detections=500, overlap=64)


def config(**values: Any) -> MaskRCNNConfig:
    return MaskRCNNConfig(**{**SMALL, **values}).resolve(BUDGET)


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return build(config(), GEOMETRY)


def picture(side: int = 64, unknown: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an image and a label map of two squares; the last columns are unknown."""
    labels = torch.zeros(1, 1, side, side, dtype=torch.int32)
    labels[..., 4:16, 6:20], labels[..., 24:30, 8:18] = 3, 9
    image = (labels > 0).float() + 0.1
    if unknown:
        labels[..., side - unknown :] = -1
    return image, labels


# -- the network ------------------------------------------------------------------------------------------------------


def settings(network: Any) -> list[object]:
    """Return what isn't in the weights: thresholds, numbers and weights of both stages."""
    found: list[object] = []
    for stage in (network.rpn, network.roi_heads):
        matcher, sampler = stage.proposal_matcher, stage.fg_bg_sampler
        found += [stage.nms_thresh, stage.box_coder.weights, sampler.batch_size_per_image, sampler.positive_fraction]
        found += [matcher.high_threshold, matcher.low_threshold, matcher.allow_low_quality_matches]
        found += [stage.score_thresh] if stage is network.roi_heads else []
    for pool in (network.roi_heads.box_roi_pool, network.roi_heads.mask_roi_pool):
        found += [pool.featmap_names, pool.output_size, pool.sampling_ratio]
    return found


def test_a_long_training_has_torchvisions_network() -> None:
    with torch.device("meta"):
        theirs = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=2)
        ours = build(MaskRCNNConfig().resolve(Budget(steps=10_000)), UNMEASURED)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert sum(parameter.numel() for parameter in ours.parameters()) == 45_880_411
    assert ours.rpn.anchor_generator.sizes == theirs.rpn.anchor_generator.sizes
    assert settings(ours) == settings(theirs)


def test_presets_differ_in_the_optimiser_and_budgets_in_the_network() -> None:
    long, short = (MaskRCNNConfig().resolve(Budget(steps=steps)) for steps in (10_000, 9_999))
    assert (long.optimizer, long.learning_rate, long.weight_decay, long.backbone) == ("sgd", 0.02, 1e-4, "resnet50")
    assert (short.optimizer, short.backbone, short.fpn_channels) == ("adamw", "resnet18", 64)
    assert MaskRCNNConfig(preset="paper").resolve(Budget(steps=1)).optimizer == "sgd"


@pytest.mark.parametrize(("planes", "groups"), [(8, 2), (64, 16), (256, 32)])
def test_group_norm_has_groups_of_at_least_four(planes: int, groups: int) -> None:
    norm = norm_layer("group")(planes)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups
    assert norm_layer("batch") is nn.BatchNorm2d


def test_the_papers_schedule() -> None:
    factors = [stepped(step, 90_000) for step in (0, 499, 999, 59_999, 60_000, 79_999, 80_000)]
    assert factors == pytest.approx([1e-3, 0.5, 1, 1, 0.1, 0.1, 0.01])


# -- sizes ------------------------------------------------------------------------------------------------------------


def test_anchors_follow_from_the_objects() -> None:
    assert anchor_sizes(np.full(9, 20.0)) == (20, 40, 80, 160, 320)
    assert anchor_sizes(np.array([])) == anchor_sizes(np.full(9, 3.0)) == (8, 16, 32, 64, 128)
    assert anchor_sizes(np.array([10.0] * 8 + [810.0] * 2)) == (10, 30, 90, 270, 810)


def test_scale_detections_and_overlap_follow_from_the_objects() -> None:
    labels = np.zeros((300, 300), np.uint16)
    for k in range(400):
        labels[15 * (k // 20) : 15 * (k // 20) + 12, 15 * (k % 20) : 15 * (k % 20) + 12] = k + 1
    samples = SampleSet.of([Sample("a", np.zeros((300, 300), np.uint8), labels)])
    geometry = measure(samples, MaskRCNNConfig())
    assert geometry == Geometry(scale=2.0, anchors=(24, 48, 96, 192, 384), detections=600, overlap=32)
    assert Geometry.from_json(geometry.to_json()) == geometry
    set_by_hand = measure(samples, MaskRCNNConfig(scale=1, anchor_sizes=(4, 5, 6, 7, 8), detections_per_image=900))
    assert (set_by_hand.scale, set_by_hand.anchors, set_by_hand.detections) == (1, (4, 5, 6, 7, 8), 900)
    nothing = SampleSet.of([Sample("a", labels.astype(np.uint8), np.zeros_like(labels))])
    assert measure(nothing, MaskRCNNConfig()).detections == 500
    network = build(config(), geometry)
    assert network.roi_heads.detections_per_img == 600
    assert network.rpn.post_nms_top_n() == 2000


# -- targets and losses -----------------------------------------------------------------------------------------------


def test_boxes_go_round_the_pixels_of_their_objects() -> None:
    labels = picture(unknown=10)[1][0, 0]
    labels[40, 40] = 5
    found = objects_of(labels)
    assert found["boxes"].tolist() == [[5.5, 3.5, 19.5, 15.5], [7.5, 23.5, 17.5, 29.5]]
    assert torch.equal(found["masks"], torch.stack([labels == 3, labels == 9]).to(torch.uint8))
    assert torch.equal(found["unknown"], labels == -1)
    images, (large,) = training_batch(*picture(), 2.0)
    assert images[0].shape == (3, 128, 128)
    assert large["boxes"].tolist() == [[11.5, 7.5, 39.5, 31.5], [15.5, 47.5, 35.5, 59.5]]
    assert torch.unique(images[0][0]).numel() > 2


def losses_of(network: Any, labels: torch.Tensor, image: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    network.train()
    return dict(network(*training_batch(image, labels, 1.0)))


def test_with_known_labels_losses_are_torchvisions(network: Any) -> None:
    image, labels = picture()
    ours = losses_of(network, labels, image)
    classes = type(network.rpn), type(network.roi_heads)
    network.rpn.__class__, network.roi_heads.__class__ = RegionProposalNetwork, RoIHeads
    try:
        theirs = losses_of(network, labels, image)
    finally:
        network.rpn.__class__, network.roi_heads.__class__ = classes
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)
        assert value > 0


def test_boxes_with_unknown_pixels_are_found() -> None:
    generator = np.random.default_rng(0)
    unknown = generator.random((9, 12)) < 0.1
    boxes = generator.uniform(-3, 14, (200, 2, 2))
    boxes = np.concatenate([boxes.min(axis=1), boxes.max(axis=1)], axis=1)
    rows, columns = np.nonzero(unknown)
    expected = [
        bool(((columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)).any()) for x0, y0, x1, y1 in boxes
    ]
    found = contains_unknown(torch.from_numpy(boxes), torch.from_numpy(unknown))
    assert found.tolist() == expected
    assert 20 < sum(expected) < 180


def test_only_boxes_without_unknown_pixels_are_background(network: Any) -> None:
    _, labels = picture(unknown=30)
    (target,) = training_batch(labels.float(), labels, 1.0)[1]
    boxes = torch.tensor([[6.0, 4, 19, 15], [8.0, 24, 17, 29], [20.0, 40, 30, 60], [20.0, 40, 34, 60]])
    label, _ = network.rpn.assign_targets_to_anchors([boxes], [target])
    assert label[0].tolist() == [1, 1, 0, -1]
    network.roi_heads.targets = [target]
    _, label = network.roi_heads.assign_targets_to_proposals([boxes], [target["boxes"]], [target["labels"]])
    assert label[0].tolist() == [1, 1, 0, -1]


def test_the_mask_loss_leaves_unknown_pixels_out() -> None:
    torch.manual_seed(0)
    target = objects_of(picture()[1][0, 0])
    boxes, objects = target["boxes"] + torch.tensor([1.0, -0.5, 2.0, 0.25]), torch.arange(2)
    logits = torch.randn(2, 2, 28, 28, requires_grad=True)
    theirs = maskrcnn_loss(logits, [boxes], [target["masks"]], [target["labels"]], [objects])
    torch.testing.assert_close(mask_loss(logits, [boxes], [objects], [target]), theirs)
    target["unknown"][:, 12:] = True
    mask_loss(logits, [boxes], [objects], [target]).backward()
    columns = boxes[:, :1] + (torch.arange(28) + 0.5) / 28 * (boxes[:, 2:3] - boxes[:, :1])
    for k in (0, 1):
        learned = logits.grad[k, 1].abs().sum(dim=0) > 0
        assert not learned[columns[k] > 12].any()
        assert learned[columns[k] < 10.5].all()


@pytest.mark.parametrize("label", [0, -1])
def test_patches_without_objects_or_labels_can_be_learned_from(network: Any, label: int) -> None:
    image, labels = picture()
    losses = losses_of(network, torch.full_like(labels, label), image)
    total = sum(losses.values())
    total.backward()
    assert bool(torch.isfinite(total))
    assert (total.item() == 0) == (label == -1)
    assert losses["loss_mask"].item() == losses["loss_rpn_box_reg"].item() == 0
    assert all(bool(buffer.isfinite().all()) for buffer in network.buffers())
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())


# -- detections -------------------------------------------------------------------------------------------------------


def test_masks_are_pasted_as_torchvision_does() -> None:
    torch.manual_seed(0)
    mask = torch.rand(28, 28)
    for box in [(3, 5, 20, 11), (-4, 30, 10, 60), (35, 2, 45, 2)]:
        theirs = paste_mask_in_image(mask, torch.tensor(box), 40, 42).numpy()
        outer = np.add(box, (-0.5, -0.5, 0.5, 0.5))
        ours = np.zeros((40, 42))
        window, probabilities = paste(mask.numpy(), outer, (40, 42))
        ours[window] = probabilities
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_box_outside_of_the_image_has_no_pixels() -> None:
    window, probabilities = paste(np.ones((28, 28)), np.array([50.0, 3.0, 60.0, 9.0]), (20, 20))
    assert np.zeros((20, 20))[window].shape == probabilities.shape == (7, 0)


def squares(*boxes: tuple[float, float, float, float], scores: list[float]) -> Detections:
    masks = np.ones((len(boxes), 28, 28), np.float32)
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), masks)


def test_a_pixel_belongs_to_the_detection_with_the_highest_score() -> None:
    found = squares((9.5, -0.5, 29.5, 9.5), (-0.5, -0.5, 14.5, 9.5), (0, 0, 30, 9), scores=[0.6, 0.9, 0.3])
    result = assemble(found, (10, 30), score=0.2)
    expected = np.full((10, 30), 2)
    expected[:, :15] = 1
    np.testing.assert_array_equal(result.labels, expected)
    assert result.scores.tolist() == pytest.approx([0.9, 0.6])
    assert assemble(found, (10, 30), score=0.7).labels.max() == 1
    assert assemble(found, (10, 30), score=0.2, visible=0.8).scores.tolist() == pytest.approx([0.9])
    assert assemble(squares(scores=[]), (10, 30)).labels.max() == 0


@pytest.mark.parametrize(("side", "overlap"), [(1, 32), (TILE, 256), (TILE + 1, 32), (1500, 100), (2000, 256)])
def test_tiles_cover_a_side_and_each_place_is_in_a_core(side: int, overlap: int) -> None:
    found = cores(side, overlap)
    assert found[0][0].start == 0
    assert found[-1][0].stop == side
    assert all(span.stop - span.start <= TILE for span, _, _ in found)
    assert [low for _, low, _ in found[1:]] == [high - 2 * MARGIN for _, _, high in found[:-1]]
    for (before, _, high), (after, low, _) in pairwise(found):
        assert before.stop - after.start >= overlap
        assert high + overlap / 2 - MARGIN - 1 <= before.stop
        assert low - overlap / 2 + MARGIN + 1 >= after.start


class Components(nn.Module):
    """Detects each connected component of bright pixels."""

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        found = ndimage.find_objects(ndimage.label(images[0][0].numpy() > 0.5)[0])
        boxes = [(x.start - 0.5, y.start - 0.5, x.stop - 0.5, y.stop - 0.5) for y, x in found]
        return [
            {
                "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                "scores": torch.linspace(1, 0.6, len(boxes)),
                "masks": torch.ones(len(boxes), 1, 28, 28),
            }
        ]


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_objects_of_a_large_image_are_found_once(scale: float) -> None:
    labels = np.zeros((700, 1100), np.int32)
    corners = [(y, x) for y in range(3, 690, 23) for x in range(5, 1080, 31)]
    for number, (y, x) in enumerate(corners, 1):
        labels[y : y + 14, x : x + 18] = number
    found = detect(
        Components(), (labels[None] > 0).astype(np.float32), replace(GEOMETRY, scale=scale, overlap=40), "cpu"
    )
    result = assemble(found, labels.shape)
    assert result.labels.max() == len(result.scores) == len(corners)
    np.testing.assert_array_equal(result.labels > 0, labels > 0)
    assert len(set(zip(result.labels.ravel().tolist(), labels.ravel().tolist(), strict=True))) == len(corners) + 1


# -- the segmenter ----------------------------------------------------------------------------------------------------


def fitted(samples: SampleSet, *, context: Context | None = None, **values: Any) -> MaskRCNN:
    found = MaskRCNN(MaskRCNNConfig(**{**SMALL, **values}))
    found.fit(TrainingMix(samples), samples[:1], context or Context(budget=BUDGET))
    return found


def weights(found: MaskRCNN) -> list[torch.Tensor]:
    return list(found.network.state_dict().values())


def same_answer(a: MaskRCNN, b: MaskRCNN, image: np.ndarray) -> bool:
    """Whether the detections are the same, also those below the threshold."""
    first, second = (detect(x.network, image[None] / np.float32(255), x.geometry, "cpu") for x in (a, b))
    assert len(first.boxes)
    return bool(np.array_equal(first.boxes, second.boxes) and np.array_equal(first.masks, second.masks))


@pytest.mark.slow
def test_interrupted_training_ends_in_the_same_weights(blob_set: SampleSet, tmp_path: Path) -> None:
    whole = fitted(blob_set)
    asked = iter(range(10**6))
    with pytest.raises(Stopped):
        fitted(blob_set, context=Context(budget=BUDGET, folder=tmp_path, should_stop=lambda: next(asked) >= 1))
    rest = fitted(blob_set, context=Context(budget=BUDGET, folder=tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(rest), strict=True))


def test_what_is_saved_predicts_the_same_and_can_be_started_from(blob_set: SampleSet, tmp_path: Path) -> None:
    found = fitted(blob_set)
    found.thresholds = {**START, "score": 0.05}
    found.save(tmp_path)
    again = MaskRCNN.load(tmp_path, Context(seed=9))
    assert same_answer(found, again, blob_set[3].image)
    a, b = found.predict(blob_set[3].image), again.predict(blob_set[3].image)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.scores, b.scores)
    assert len(a.scores) == a.labels.max()
    start = Context(budget=replace(BUDGET, steps=0), init=Init(model=tmp_path), seed=5)
    started = fitted(blob_set, context=start, **dict.fromkeys(SMALL))
    assert started.config.fpn_channels == 8
    assert started.thresholds == found.thresholds
    assert same_answer(found, started, blob_set[3].image)
    (tmp_path / "mask_rcnn.json").write_text("{")
    with pytest.raises(StoreError, match=r"mask_rcnn\.json"):
        MaskRCNN.load(tmp_path, Context())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_images_of_any_size_and_colour_are_segmented(optimizer: str) -> None:
    image = np.random.default_rng(0).integers(0, 60000, (40, 33, 3)).astype(np.uint16)
    sample = Sample("a", image, np.zeros((40, 33), np.uint8))
    found = fitted(SampleSet.of([sample]), optimizer=optimizer, norm="group", scale=1.5)
    for size in ((1, 1), (1, 40), (31, 33)):
        for blank in (np.zeros(size, np.uint8), np.full((*size, 3), 200, np.uint16)):
            assert found.predict(blank).labels.shape == size


def test_what_is_found_does_not_depend_on_the_size_of_the_first_image(blob_set: SampleSet) -> None:
    """Torchvision's pooling would take its scales from a first image of 40 pixels, which is padded to 64."""
    answers = []
    for first in (40, 64):
        torch.manual_seed(0)
        network = build(config(), GEOMETRY).eval()
        detect(network, np.zeros((1, first, first), np.float32), GEOMETRY, "cpu")
        answers.append(detect(network, blob_set[0].image[None] / np.float32(255), GEOMETRY, "cpu"))
        for pool in (network.roi_heads.box_roi_pool, network.roi_heads.mask_roi_pool):
            assert pool.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    np.testing.assert_array_equal(answers[0].boxes, answers[1].boxes)
    assert len(answers[0].boxes)


def test_images_of_four_channels_are_segmented(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 4)).astype(np.uint8)
    found = fitted(SampleSet.of([Sample("a", image, np.zeros((40, 40), np.uint8))]))
    found.save(tmp_path)
    again = MaskRCNN.load(tmp_path, Context())
    assert again.network.backbone.body.conv1.in_channels == 4
    assert found.predict(image).labels.tolist() == again.predict(image).labels.tolist()


# -- weights to start from --------------------------------------------------------------------------------------------


def with_classes(classes: int, network: nn.Module) -> dict[str, torch.Tensor]:
    """Return random weights of the same network for other classes."""
    torch.manual_seed(1)
    tensors = {k: torch.rand(v.shape) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    for name, rows in {
        "roi_heads.box_predictor.cls_score": classes,
        "roi_heads.box_predictor.bbox_pred": 4 * classes,
        "roi_heads.mask_predictor.mask_fcn_logits": classes,
    }.items():
        for part in ("weight", "bias"):
            shape = tensors[f"{name}.{part}"].shape[1:]
            tensors[f"{name}.{part}"] = torch.rand(rows, *shape)
    return tensors


def test_weights_for_other_classes_are_taken_without_the_last_layers(
    network: Any, blob_set: SampleSet, tmp_path: Path
) -> None:
    tensors = with_classes(91, network)
    torch.save(tensors, tmp_path / "coco.pth")
    MaskRCNN.check_init(MaskRCNNConfig(**SMALL), tmp_path / "coco.pth")
    start = Context(budget=replace(BUDGET, steps=0), init=Init(file=tmp_path / "coco.pth"))
    with pytest.raises(ConfigError, match=r"coco\.pth"):
        fitted(blob_set, context=start)
    other, said = build(config(), GEOMETRY), list[str]()
    assert not load_into(other, tensors, "coco.pth", said.append)
    assert len(said) == 1
    found = other.state_dict()
    last = ("roi_heads.box_predictor", "roi_heads.mask_predictor.mask_fcn_logits")
    for name, tensor in found.items():
        assert torch.equal(tensor, tensors[name]) != name.startswith(last)
    torch.save(with_classes(2, network), tmp_path / "two.pth")
    start = replace(start, init=Init(file=tmp_path / "two.pth"))
    assert all(
        torch.equal(a, b)
        for a, b in zip(weights(fitted(blob_set, context=start)), with_classes(2, network).values(), strict=True)
    )


def test_another_networks_file_is_refused(network: Any, tmp_path: Path) -> None:
    tensors = with_classes(91, network)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(PluginError, match=r"other\.pth.*missing"):
        MaskRCNN.check_init(MaskRCNNConfig(**SMALL), tmp_path / "other.pth")
    torch.save(tensors, tmp_path / "small.pth")
    with pytest.raises(PluginError, match=r"small\.pth.*resnet50"):
        MaskRCNN.check_init(MaskRCNNConfig(), tmp_path / "small.pth")
    with pytest.raises(PluginError, match=r"small\.pth.*shape"):
        MaskRCNN.check_init(MaskRCNNConfig(**{**SMALL, "fpn_channels": 12}), tmp_path / "small.pth")


@pytest.mark.slow
def test_a_file_of_torchvisions_form_is_started_from(blob_set: SampleSet, tmp_path: Path) -> None:
    theirs = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    torch.save(theirs.state_dict(), tmp_path / "maskrcnn_resnet50_fpn_v2_coco.pth")
    file = tmp_path / "maskrcnn_resnet50_fpn_v2_coco.pth"
    MaskRCNN.check_init(MaskRCNNConfig(), file)
    found = MaskRCNN(MaskRCNNConfig(finetune={"freeze_encoder": 1}))
    found.fit(TrainingMix(blob_set), blob_set[:1], Context(budget=BUDGET, init=Init(file=file)))
    assert found.network.roi_heads.box_predictor.cls_score.out_features == 2
    expected = theirs.state_dict()["backbone.body.layer3.2.conv2.weight"]
    assert torch.equal(found.network.state_dict()["backbone.body.layer3.2.conv2.weight"], expected)


def test_a_frozen_backbone_stays_as_it_is(blob_set: SampleSet, tmp_path: Path) -> None:
    first = fitted(blob_set)
    first.save(tmp_path)
    start = Context(budget=BUDGET, init=Init(model=tmp_path))
    tuned = fitted(blob_set, context=start, finetune={"freeze_encoder": 1}).network.state_dict()
    body = "backbone.body."
    changed = {name for name, value in first.network.state_dict().items() if not torch.equal(value, tuned[name])}
    assert not any(name.startswith(body) for name in changed)
    assert len(changed) > len([name for name in tuned if not name.startswith(body)]) / 2
