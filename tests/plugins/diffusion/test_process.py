"""Diffusion: noise goes on and comes off as in the papers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("einops")

from monai.networks.schedulers import DDIMScheduler

from synthbench_diffusion.process import GaussianDiffusion, classifier_free_guidance


def alphas(times: int) -> np.ndarray:
    """The share of the image's variance that is left at each time, of Ho et al.'s linear schedule."""
    return np.cumprod(1 - np.linspace(1e-4, 0.02, times))


def test_noise_is_laid_on_by_the_linear_schedule() -> None:
    clean, noise = torch.full((2, 1, 1, 1), 0.5), torch.full((2, 1, 1, 1), -2.0)
    left = alphas(1000)[[10, 700]]
    found = GaussianDiffusion(1000, "linear_beta", "epsilon").q_sample(clean, noise, torch.tensor([10, 700]))
    assert found.flatten().tolist() == pytest.approx(np.sqrt(left) * 0.5 - np.sqrt(1 - left) * 2, abs=1e-4)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("steps", [1, 3, 20])
def test_who_knows_the_answer_draws_the_image(prediction: Any, steps: int) -> None:
    """A network that always tells what is wanted of one image leads from any noise to that image."""
    process = GaussianDiffusion(1000, "linear_beta", prediction)
    clean = torch.linspace(-0.9, 0.9, 32).reshape(2, 1, 4, 4)

    def oracle(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        left = torch.tensor(alphas(1000))[times].float()[:, None, None, None]
        noise = (noisy - left.sqrt() * clean) / (1 - left).sqrt()
        return process.target(clean, noise, times)

    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(process.ddim_sample(oracle, noise, steps), clean, atol=2e-3)


def test_each_step_ends_where_the_next_begins() -> None:
    """Halfway, the planes have the noise of the time that the network is told: the DDIM path, worked out here."""
    process, seen = GaussianDiffusion(1000, "linear_beta", "epsilon"), []
    noise = torch.full((1, 1, 1, 1), 0.3)

    def constant(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        seen.append((int(times[0]), float(noisy)))
        return torch.full_like(noisy, 0.3)

    process.ddim_sample(constant, noise, 8)
    left = alphas(1000)
    assert [time for time, _ in seen] == [999, 874, 749, 624, 499, 374, 249, 124]
    clean = (0.3 - np.sqrt(1 - left[999]) * 0.3) / np.sqrt(left[999])
    for time, value in seen:
        assert value == pytest.approx(np.sqrt(left[time]) * clean + np.sqrt(1 - left[time]) * 0.3, abs=1e-3)


@pytest.mark.parametrize("steps", [1, 7, 30, 60, 99, 100])
def test_a_drawing_in_any_number_of_steps_begins_at_full_noise(steps: int) -> None:
    path = GaussianDiffusion(100, "linear_beta", "epsilon").ddim_timesteps(steps)
    assert (len(path), path[0]) == (steps, 99)
    assert all(before > after >= 0 for before, after in itertools.pairwise(path))
    gaps = -np.diff([*path, -1])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_steps_are_those_of_monai_where_monai_has_them(prediction: Any) -> None:
    """MONAI's DDIM is the oracle; its steps are whole parts of T."""
    process, oracle = (
        GaussianDiffusion(1000, "linear_beta", prediction),
        DDIMScheduler(1000, prediction_type=prediction),
    )

    def network(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        return torch.tanh(noisy + times[:, None, None, None] / 700)

    planes = noise = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    oracle.set_timesteps(20)
    for time in process.ddim_timesteps(20):
        planes, _ = oracle.step(network(planes, torch.tensor([time])).float(), time, planes)
    assert torch.allclose(process.ddim_sample(network, noise, 20), planes, atol=1e-4)


@pytest.mark.parametrize("schedule", ["linear_beta", "scaled_linear_beta", "cosine"])
@pytest.mark.parametrize("times", [50, 200, 1000])
def test_whatever_t_is_it_ends_in_noise(schedule: Any, times: int) -> None:
    process = GaussianDiffusion(times, schedule, "epsilon")
    last = process.q_sample(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.tensor([times - 1]))
    assert 0 <= float(last) < 0.03


def test_errors_of_the_clean_image_count_more_where_there_is_little_noise() -> None:
    times = torch.tensor([5, 400, 999])
    found = GaussianDiffusion(1000, "linear_beta", "sample").loss_weights(times).flatten().tolist()
    assert found == pytest.approx([5.0, 1 / (1 - alphas(1000)[400]), 1.0], abs=1e-3)
    assert GaussianDiffusion(1000, "linear_beta", "epsilon").loss_weights(times).flatten().tolist() == [1.0, 1.0, 1.0]


def test_guidance_goes_beyond_the_condition() -> None:
    """Of a network that sums up its condition, none of it is 0, and a scale of 2 says twice as much."""

    def network(noisy: torch.Tensor, times: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return noisy + times[:, None, None, None] + condition.sum(dim=1, keepdim=True)

    noisy, times = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 2, 3])
    condition = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    base, told = noisy + times[:, None, None, None], condition.sum(dim=1, keepdim=True)
    for scale in (0.0, 1.0, 2.0):
        assert torch.allclose(
            classifier_free_guidance(network, condition, scale)(noisy, times), base + scale * told, atol=1e-5
        )
