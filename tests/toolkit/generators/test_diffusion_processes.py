"""Diffusion and rectified flow: noise goes on and comes off as in the papers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("einops")

from monai.networks.schedulers import DDIMScheduler, RFlowScheduler

from synthbench.toolkit.generators.diffusion_processes import (
    GaussianDiffusion,
    RectifiedFlow,
    classifier_free_guidance,
)


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
    assert torch.allclose(process.sample(oracle, noise, steps), clean, atol=2e-3)


def test_each_step_ends_where_the_next_begins() -> None:
    """Halfway, the planes have the noise of the time that the network is told: the DDIM path, worked out here."""
    process, seen = GaussianDiffusion(1000, "linear_beta", "epsilon"), []
    noise = torch.full((1, 1, 1, 1), 0.3)

    def constant(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        seen.append((int(times[0]), float(noisy)))
        return torch.full_like(noisy, 0.3)

    process.sample(constant, noise, 8)
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
    assert torch.allclose(process.sample(network, noise, 20), planes, atol=1e-4)


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


# -- rectified flow ---------------------------------------------------------------------------------------------------


def planes(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_flow_goes_straight_from_the_image_to_noise() -> None:
    flow = RectifiedFlow("velocity", "uniform", "euler")
    clean, noise = planes(0, 4, 1, 2, 2), planes(1, 4, 1, 2, 2)
    t = torch.tensor([0.0, 250.0, 333.3, 1000.0])
    found = flow.q_sample(clean, noise, t)
    for place, fraction in enumerate([0.0, 0.25, 0.3333, 1.0]):
        assert torch.allclose(found[place], (1 - fraction) * clean[place] + fraction * noise[place], atol=1e-6)
    ahead = flow.q_sample(clean, noise, t - 100)
    assert torch.allclose(found + 0.1 * flow.target(clean, noise, t), ahead, atol=1e-5)


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_who_knows_the_velocity_arrives_at_the_image_in_any_number_of_steps(
    prediction: Any, solver: Any, steps: int
) -> None:
    flow = RectifiedFlow(prediction, "uniform", solver)
    clean, noise = planes(0, 2, 1, 4, 4).clamp(-1, 1), planes(1, 2, 1, 4, 4)
    seen = []

    def oracle(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen.append((float(t[0]), noisy))
        return flow.target(clean, noise, t)

    assert torch.allclose(flow.sample(oracle, noise, steps), clean, atol=1e-5)
    assert all(torch.allclose(noisy, flow.q_sample(clean, noise, torch.tensor([t, t])), atol=1e-5) for t, noisy in seen)
    assert len(seen) == {"euler": steps, "midpoint": 2 * steps, "heun": 2 * steps - 1}[solver]


@pytest.mark.parametrize("steps", [1, 4, 20, 25])
def test_eulers_steps_are_those_of_monai_where_its_times_are_integers(steps: int) -> None:
    scheduler = RFlowScheduler(1000, spatial_dim=2)
    scheduler.set_timesteps(steps)

    def network(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.tanh(noisy + t[:, None, None, None] / 700)

    expected = noise = planes(0, 2, 1, 4, 4)
    times = scheduler.timesteps.tolist()
    for t, following in zip(times, [*times[1:], 0], strict=True):
        expected, _ = scheduler.step(network(expected, torch.tensor([t, t])), t, expected, following)
    flow = RectifiedFlow("velocity", "uniform", "euler")
    assert flow.flow_times(steps) == [*times, 0]
    assert torch.allclose(flow.sample(network, noise, steps), expected, atol=1e-5)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_solvers_converge_with_their_order(solver: Any, order: int) -> None:
    """dx/ds = −x for s = 0 … 1 ends at x / e; ten times more steps leave 10^order times less error."""
    flow, start = RectifiedFlow("velocity", "uniform", solver), torch.ones(1, 1, 1, 1, dtype=torch.float64)
    flow_errors = []
    for steps in (20, 200):
        # Heun's last step is Euler's, whose error of the order of a step's square is of second order, too
        found = float(flow.sample(lambda noisy, t: -noisy, start, steps))
        flow_errors.append(abs(found - np.exp(-1)))
    assert np.log10(flow_errors[0] / flow_errors[1]) == pytest.approx(order, abs=0.1)


def test_clean_planes_lead_where_the_velocity_leads() -> None:
    """A network of x_0 that says what a network of the velocity says takes the same steps."""
    noise, both = planes(0, 2, 1, 4, 4), {}

    def velocity(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * noisy) + t[:, None, None, None] / 1000

    def clean(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return noisy + t[:, None, None, None] / 1000 * velocity(noisy, t)

    for solver in ("euler", "midpoint", "heun"):
        both[solver] = [
            RectifiedFlow(kind, "uniform", solver).sample(network, noise, 5)  # type: ignore[arg-type]
            for kind, network in (("velocity", velocity), ("sample", clean))
        ]
        assert torch.allclose(*both[solver], atol=1e-4)
    assert not torch.allclose(both["euler"][0], both["heun"][0], atol=1e-2)


@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun"])
def test_the_last_evaluation_of_a_flow_may_be_anothers(solver: Any) -> None:
    asked: list[str] = []

    def predict(name: str) -> Any:
        return lambda noisy, t: asked.append(name) or torch.zeros_like(noisy)

    flow = RectifiedFlow("velocity", "uniform", solver)
    flow.sample(predict("network"), torch.zeros(1, 1, 2, 2), 3, predict("last"))
    assert asked.count("last") == 1
    assert asked[-1] == "last"


def test_times_have_the_distribution_that_was_asked_for() -> None:
    def drawn(distribution: Any) -> np.ndarray:
        random = torch.Generator().manual_seed(0)
        return RectifiedFlow("velocity", distribution, "euler").draw_times(20_000, random).numpy() / 1000

    uniform, middle = drawn("uniform"), drawn("logit-normal")
    assert np.quantile(uniform, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.02)
    logits = np.log(middle / (1 - middle))
    assert (logits.mean(), logits.std()) == pytest.approx((0, 1), abs=0.03)
    integers = GaussianDiffusion(60, "linear_beta", "epsilon").draw_times(5_000, torch.Generator().manual_seed(0))
    assert sorted(set(integers.tolist())) == list(range(60))


def test_errors_of_the_clean_image_weigh_what_they_weigh_in_the_velocity() -> None:
    """Up to five."""
    t, (clean, noise, guess) = torch.tensor([100.0, 500.0, 800.0, 1000.0]), (planes(k, 4, 1, 3, 3) for k in range(3))
    flow = RectifiedFlow("sample", "uniform", "euler")
    noisy = flow.q_sample(clean, noise, t)
    of_velocity = ((guess - noisy) / (t / 1000)[:, None, None, None] - (clean - noise)) ** 2
    weighted = flow.loss_weights(t) * (guess - clean) ** 2
    assert torch.allclose(weighted[1:], of_velocity[1:], rtol=1e-3)
    assert float(flow.loss_weights(t)[0]) == 5
    assert float(flow.loss_weights(torch.zeros(1))) == 5
    assert RectifiedFlow("velocity", "uniform", "euler").loss_weights(t).flatten().tolist() == [1.0] * 4
