"""Joint training: cGAN-Seg's generator beside the U-Net of a study."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthbench import Budget, Context, SampleSet, Segmenter, Stopped, TrainingMix
from synthbench.errors import ConfigError
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.generator import CGanSeg
from synthbench_cganseg.joint import JointPartner
from synthbench_deepsea.config import DeepSeaConfig
from synthbench_deepsea.segmenter import DeepSea
from synthbench_unet.config import UNetConfig
from synthbench_unet.segmenter import UNet

SMALL: dict[str, Any] = {"gen_filters": 4, "gen_depth": 2, "ndf": 4}
NARROW = UNetConfig(features=(4, 4, 8, 8, 8, 4))
BUDGET = Budget(steps=4, batch_size=2, patch_size=32)


def partner_of(train: SampleSet, context: Context, **config: Any) -> JointPartner:
    return CGanSeg(CGanSegConfig(**SMALL, **config)).partner(train, context)


def trained(
    train: SampleSet,
    folder: Path | None = None,
    *,
    joint: bool,
    stop_at: int = -1,
    segmenter: Segmenter | None = None,
    **config: Any,
) -> Any:
    asked = iter(range(10**6))
    context = Context(
        seed=5,
        budget=BUDGET,
        folder=folder,
        task="joint",
        should_stop=lambda: next(asked) == stop_at,
    )
    if joint:
        context = Context(**{**vars(context), "partner": partner_of(train, context, **config)})
    segmenter = segmenter or UNet(NARROW)
    segmenter.fit(TrainingMix(train), train[:2], context)
    return segmenter


def weights(segmenter: UNet) -> list[torch.Tensor]:
    return list(segmenter.network.state_dict().values())


def losses(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log" / "training.jsonl").read_text().splitlines()]


def test_the_segmenter_begins_like_the_real_arms_and_sees_the_same_real_patches(tmp_path, blob_set) -> None:
    trained(blob_set, tmp_path / "real", joint=False)
    trained(blob_set, tmp_path / "joint", joint=True)
    real, joint = losses(tmp_path / "real"), losses(tmp_path / "joint")
    assert len(real) == len(joint) == BUDGET.steps
    own = [name for name in real[0] if name != "seconds"]
    assert {f"drawn_{name}" for name in ("distance", "ce", "dice")} <= joint[0].keys()
    assert {"image_gan", "image_cycle", "image_identity", "discriminator"} <= joint[0].keys()
    assert [real[0][name] for name in own] == [joint[0][name] for name in own]
    assert real[-1]["distance"] != joint[-1]["distance"]


def test_the_loss_on_drawn_images_teaches_both_networks(blob_set) -> None:
    context = Context(seed=5, budget=BUDGET)
    partner = partner_of(blob_set, context)
    before = copy.deepcopy(partner.drawing.generator.state_dict())
    images = partner.draw(0, lambda: [np.zeros((32, 32), np.int32)] * 2)
    assert images.shape == (2, 1, 32, 32)
    (images.square().mean() + sum(partner.losses().values())).backward()
    alone = [p.grad.clone() for p in partner.drawing.generator.parameters() if p.grad is not None]
    assert alone
    assert all(bool(gradient.isfinite().all()) for gradient in alone)
    assert all(p.grad is None for p in partner.drawing.discriminators.parameters()), "only in its own step"
    found = partner.update()
    assert float(found["discriminator"]) > 0
    after = partner.drawing.generator.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("preset", "ratio"), [("paper", 2.0), ("microscopy", 0.2)])
def test_drawn_images_weigh_as_in_the_cycle(blob_set, preset, ratio) -> None:
    """The published weights are 100 and 50: 2 for the segmenter, 100 for the generator."""
    partner = partner_of(blob_set, Context(seed=5, budget=BUDGET), preset=preset, perceptual="off")
    assert partner.drawn_weight == pytest.approx(ratio)
    images = partner.draw(0, lambda: [np.zeros((32, 32), np.int32)] * 2)
    (gradient,) = torch.autograd.grad(partner.drawn_weight * images.sum(), partner.drawn, retain_graph=True)
    slots = partner.batches.slots(0)
    (plain,) = torch.autograd.grad(partner.scaling(partner.drawn, slots).sum(), partner.drawn)
    assert torch.allclose(gradient, plain * ratio * 50, rtol=1e-4)


def test_a_joint_training_that_was_stopped_ends_with_the_same_bits(tmp_path, blob_set) -> None:
    whole = trained(blob_set, tmp_path / "whole", joint=True)
    with pytest.raises(Stopped):
        trained(blob_set, tmp_path / "cut", joint=True, stop_at=2)
    resumed = trained(blob_set, tmp_path / "cut", joint=True)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))


def test_deepsea_is_trained_jointly_from_the_same_start(tmp_path, blob_set) -> None:
    for joint in (False, True):
        network = DeepSea(DeepSeaConfig(widths=(4, 8, 8)))
        trained(blob_set, tmp_path / str(joint), joint=joint, segmenter=network)
    real, joined = losses(tmp_path / "False"), losses(tmp_path / "True")
    assert {"drawn_cells", "drawn_edges", "drawn_dice", "discriminator"} <= joined[0].keys()
    assert [real[0][name] for name in ("cells", "edges", "dice")] == [
        joined[0][name] for name in ("cells", "edges", "dice")
    ]
    assert real[-1]["cells"] != joined[-1]["cells"]


def test_a_joint_training_needs_a_loss_on_real_images(blob_set) -> None:
    with pytest.raises(ConfigError, match="mask_identity_weight"):
        partner_of(blob_set, Context(seed=5, budget=BUDGET), mask_identity_weight=0)


def test_classes_of_pixels_are_trained_jointly_too(semantic_set) -> None:
    assert trained(semantic_set, joint=True).predict(semantic_set[0].image).labels.max() <= 1
