"""Flow matching: what is its own beside diffusion, in both modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("einops")

from helpers.trainings import SmallGenerator, assert_draws_bright_objects, pixels
from synthbench import Context, SampleSet
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.diffusion_processes import RectifiedFlow
from synthbench_diffusion.flow import FlowMatchingConfig
from synthbench_diffusion.generator import Diffusion, FlowMatching

SMALL: dict[str, Any] = {"model_channels": 8, "channel_mult": (1, 2), "sampling_steps": 2}
MODES = ("joint", "conditional")


fitted = SmallGenerator(FlowMatching, SMALL)


def test_a_long_training_has_the_values_of_the_authors_code() -> None:
    found = FlowMatchingConfig(mode="conditional").resolve(FlowMatching.budgets["paper"])
    assert (found.prediction_type, found.timestep_sampling, found.solver) == ("velocity", "uniform", "euler")
    assert (found.model_channels, found.channel_mult, found.num_res_blocks) == (128, (1, 1, 2, 2, 2, 2, 2), 2)
    assert (found.attention_resolution, found.ema_decay) == (16, 0.999)
    assert (found.learning_rate, found.lr_schedule) == (2e-4, "warmup")
    assert (found.cond_drop_prob, found.guidance_scale, found.intensity_conditioning) == (0, 1, False)


def test_a_short_training_differs_from_diffusions_in_the_process_alone() -> None:
    flow, diffusion = (cls.Config().resolve(cls.budgets["quick"]) for cls in (FlowMatching, Diffusion))
    shared = set(FlowMatchingConfig.model_fields) & set(type(diffusion).model_fields) - {"sampling_steps"}
    assert {name: getattr(flow, name) for name in shared} == {name: getattr(diffusion, name) for name in shared}
    assert flow.sampling_steps < diffusion.sampling_steps
    assert FlowMatching.budgets == Diffusion.budgets


@pytest.mark.parametrize("key", ["beta_schedule", "timesteps", "largest"])
def test_keys_of_diffusion_alone_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        FlowMatchingConfig(**{key: "cosine"})


@pytest.mark.parametrize("mode", MODES)
def test_a_stopped_training_goes_on_to_the_same_samples(blob_set: SampleSet, tmp_path: Path, mode: str) -> None:
    expected = pixels(fitted(blob_set, steps=6, mode=mode))
    resumed = fitted.resumed(blob_set, tmp_path, at=3, steps=6, mode=mode)
    assert pixels(resumed) == expected
    saved = tmp_path / "saved"
    saved.mkdir()
    resumed.save(saved)
    loaded = FlowMatching.load(saved, Context(seed=9))
    assert isinstance(loaded.method.process, RectifiedFlow)
    assert pixels(loaded) == expected
    assert pixels(loaded, seed=1) != expected


@pytest.mark.parametrize(
    "changed",
    [
        {"solver": "heun"},
        {"solver": "midpoint"},
        {"prediction_type": "velocity"},
        {"timestep_sampling": "logit-normal"},
        {"sampling_steps": 3},
    ],
)
def test_every_key_of_the_process_has_an_effect(blob_set: SampleSet, changed: dict[str, Any]) -> None:
    assert pixels(fitted(blob_set, **changed)) != pixels(fitted(blob_set))


def test_the_published_method_trains_and_draws(blob_set: SampleSet) -> None:
    generator = fitted(blob_set, preset="paper", mode="conditional", channel_mult=(1, 1, 2))
    assert len(set(pixels(generator))) == 2
    with pytest.raises(ConfigError, match="use --patch 64"):
        fitted(blob_set, preset="paper", channel_mult=None, patch=48)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_objects_are_drawn_where_the_masks_have_them(blob_set: SampleSet, mode: str) -> None:
    trained = fitted(
        blob_set,
        steps=250,
        batch=8,
        mode=mode,
        model_channels=16,
        pixel_unshuffle_factor=2,
        sampling_steps=4,
        learning_rate=2e-3,
    )
    assert_draws_bright_objects(trained)


def test_times_that_are_not_integers_reach_the_network(blob_set: SampleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    forward = torch.nn.Module.__call__

    def watched(module: torch.nn.Module, *given: Any, **named: Any) -> Any:
        if type(module).__name__ == "Denoiser" and module.training:
            seen.extend(given[1].tolist())
        return forward(module, *given, **named)

    monkeypatch.setattr(torch.nn.Module, "__call__", watched)
    fitted(blob_set, steps=8)
    assert len(seen) == 16
    assert all(0 <= t <= 1000 for t in seen)
    assert len({t % 1 for t in seen}) > 8
