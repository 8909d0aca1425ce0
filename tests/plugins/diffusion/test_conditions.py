"""Diffusion with conditions, and with unlabelled images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("einops")

from helpers.trainings import pixels
from synthbench import Budget, Context, Sample, SampleSet
from synthbench.toolkit.generators.diffusion_processes import GaussianDiffusion
from synthbench_diffusion.config import DiffusionConfig
from synthbench_diffusion.generator import Diffusion
from synthbench_diffusion.network import Denoiser, ValueEmbedding
from synthbench_diffusion.training import DiffusionTraining, Examples

SMALL: dict[str, Any] = {"model_channels": 8, "channel_mult": (1, 2), "sampling_steps": 4}
MODES = ("joint", "conditional")
HALVES = {"cell_type": {"bright": 0.5, "dark": 0.5}}


def fitted(
    train: SampleSet, unlabelled: SampleSet | None = None, *, steps: int = 4, batch: int = 4, **config: Any
) -> Diffusion:
    generator = Diffusion(DiffusionConfig(**{**SMALL, **config}))
    generator.fit(train, Context(seed=1, budget=Budget(steps, batch, 32), unlabelled=unlabelled))
    return generator


@pytest.fixture(scope="module")
def typed_set(blob_set: SampleSet) -> SampleSet:
    """Bright discs on dark ground, and twice as many dark ones on bright ground; early or late."""
    return SampleSet.of(
        Sample(
            s.id,
            s.image if k % 3 == 0 else 255 - s.image,
            s.labels,
            {"cell_type": "bright" if k % 3 == 0 else "dark", "stage": "early" if k < 6 else "late"},
        )
        for k, s in enumerate(blob_set)
    )


@pytest.fixture(scope="module")
def unlabelled(typed_set: SampleSet) -> SampleSet:
    everywhere = np.ones((64, 64), bool)
    groups = {"cell_type": "bright"}
    return SampleSet.of(Sample(f"u{s.id}", s.image, 0 * s.labels, groups, ignore=everywhere) for s in typed_set)


def test_embeddings_of_groups_are_added_and_an_unknown_value_adds_nothing() -> None:
    embed = ValueEmbedding([2, 3], 5)
    first, second = embed(torch.tensor([[1, -1], [-1, 2]]))
    assert torch.equal(embed(torch.tensor([[1, 2]]))[0], first + second)
    assert not embed(torch.tensor([[-1, -1]])).any()
    every = [embed(torch.tensor([[k, -1]])) for k in range(2)] + [embed(torch.tensor([[-1, k]])) for k in range(3)]
    assert len({tuple(row[0].tolist()) for row in every}) == 5


@pytest.mark.parametrize("mode", MODES)
def test_drawn_samples_have_the_groups_that_were_asked_for(typed_set: SampleSet, mode: str, tmp_path: Path) -> None:
    generator = fitted(typed_set, mode=mode, condition_on=["cell_type", "stage"], draw=HALVES)
    drawn = generator.sample_batch(range(12), 0)
    assert Counter(sample.groups["cell_type"] for sample in drawn) == {"bright": 6, "dark": 6}
    assert {sample.groups["stage"] for sample in drawn} == {"early", "late"}
    generator.save(tmp_path)
    assert pixels(Diffusion.load(tmp_path, Context())) == pixels(generator)


def test_a_joint_network_is_told_cell_types_and_a_conditional_one_if_asked(typed_set: SampleSet) -> None:
    joint, conditional = (fitted(typed_set, mode=mode, steps=1).method for mode in MODES)
    assert (joint.conditions.groups, conditional.conditions.groups) == (("cell_type",), ())
    asked = fitted(typed_set, mode="conditional", condition_on="cell_type", steps=1).method
    assert asked.condition_planes == conditional.condition_planes + 2


@pytest.mark.parametrize("mode", MODES)
def test_without_unlabelled_images_nothing_changes(
    blob_set: SampleSet, unlabelled: SampleSet, mode: str, tmp_path: Path
) -> None:
    alone, off = fitted(blob_set, mode=mode), fitted(blob_set, unlabelled, mode=mode, unlabelled_ratio=0)
    mixed = fitted(blob_set, unlabelled, mode=mode)
    assert pixels(off) == pixels(alone) != pixels(mixed)
    mixed.save(tmp_path)
    assert pixels(Diffusion.load(tmp_path, Context())) == pixels(mixed)


@pytest.mark.parametrize("mode", MODES)
def test_what_isnt_known_of_unlabelled_images_is_not_told(
    typed_set: SampleSet, unlabelled: SampleSet, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """In joint mode the cell type is known, and the stage is not; in conditional mode the condition is empty."""
    seen: list[Examples] = []
    init = DiffusionTraining.__init__

    def watched(training: DiffusionTraining, *args: Any, **kwargs: Any) -> None:
        init(training, *args, **kwargs)
        examples = training.examples
        training.examples = lambda number: (seen.append(examples(number)), seen[-1])[1]

    monkeypatch.setattr(DiffusionTraining, "__init__", watched)
    fitted(typed_set, unlabelled, mode=mode, condition_on=["cell_type", "stage"], unlabelled_ratio=0.5)
    assert len(seen) == 4
    for examples in seen:
        if mode == "joint":
            assert examples.labelled.tolist() == [True, False] * 2
            assert examples.values[1::2].tolist() == [[0, -1, 1]] * 2
            assert (examples.values[::2, :2] >= 0).all()
            assert (examples.values[::2, 2] == 0).all()
        else:
            conditioned = examples.condition.flatten(1).any(dim=1)
            assert sorted(conditioned.tolist()) == [False, False, True, True]


def test_the_mask_of_unlabelled_images_is_no_target() -> None:
    """Neither its values nor its size have an effect, and the errors of the others are averaged over these."""
    config = DiffusionConfig(**SMALL, mask_weight=3.0).resolve(Budget(5, 4, 32))

    def step(labelled: list[bool] | None, masks: torch.Tensor) -> dict[str, float]:
        torch.manual_seed(0)
        network = Denoiser(3, 0, 8, (1, 2), 1)
        image = torch.linspace(-1, 1, 32).expand(4, 1, 32, 32)
        examples = Examples(torch.cat([image, masks], 1), labelled=None if labelled is None else torch.tensor(labelled))
        process = GaussianDiffusion(1000, "linear_beta", "sample")
        training = DiffusionTraining(
            config,
            network,
            process,
            lambda number: examples,
            steps=5,
            image_planes=1,
            random=torch.Generator().manual_seed(0),
        )
        return {name: float(torch.as_tensor(loss).detach()) for name, loss in training.step(0).items()}

    masks = torch.rand((4, 2, 32, 32), generator=torch.Generator().manual_seed(1))
    other = masks.clone()
    other[:2] = 5.0
    half = [False, False, True, True]
    assert step(half, masks) == step(half, other)
    assert step(half, masks) != step(half, -masks)
    assert step([True] * 4, masks)["mask"] == pytest.approx(step(None, masks)["mask"], rel=1e-5)
    assert step([False] * 4, masks)["mask"] == 0.0
    assert step([False] * 4, masks)["image"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "steps"), [("joint", 160), ("conditional", 60)])
def test_the_condition_decides_what_is_drawn(typed_set: SampleSet, mode: str, steps: int) -> None:
    """Whether discs are brighter than the ground, or darker."""
    trained = fitted(
        typed_set,
        steps=steps,
        batch=8,
        mode=mode,
        condition_on="cell_type",
        draw=HALVES,
        model_channels=16,
        pixel_unshuffle_factor=2,
        sampling_steps=8,
        learning_rate=2e-3,
        **({"intensity_conditioning": False} if mode == "conditional" else {}),
    )
    contrast: dict[str, list[float]] = {"bright": [], "dark": []}
    for sample in trained.sample_batch(range(12), 0):
        if 0 < (sample.labels > 0).mean() < 1:
            inside, outside = sample.image[sample.labels > 0], sample.image[sample.labels == 0]
            contrast[sample.groups["cell_type"]].append(float(np.median(inside)) - float(np.median(outside)))
    assert np.median(contrast["bright"]) > 60
    assert np.median(contrast["dark"]) < -60
