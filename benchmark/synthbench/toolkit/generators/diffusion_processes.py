"""Processes that turn planes into noise, and their reversal by a network: diffusion and rectified flow.

A method asks its process for random times, noisy planes and targets in training, and for clean planes in sampling::

    process = RectifiedFlow("velocity", "uniform", "euler")
    t = process.draw_times(len(x_0), random)
    prediction = network(process.q_sample(x_0, noise, t), t)
    errors = process.loss_weights(t) * (prediction - process.target(x_0, noise, t)) ** 2
    ...
    planes = process.sample(network, noise, steps=8)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import torch
from monai.networks.schedulers.ddpm import DDPMScheduler
from monai.networks.schedulers.rectified_flow import RFlowScheduler

__all__ = [
    "BetaSchedule",
    "DiffusionProcess",
    "FlowPrediction",
    "GaussianDiffusion",
    "Predict",
    "PredictionType",
    "RectifiedFlow",
    "Solver",
    "TimeDistribution",
    "classifier_free_guidance",
]

BetaSchedule = Literal["linear_beta", "scaled_linear_beta", "cosine"]
PredictionType = Literal["v_prediction", "epsilon", "sample"]
FlowPrediction = Literal["velocity", "sample"]
TimeDistribution = Literal["uniform", "logit-normal"]
Solver = Literal["euler", "midpoint", "heun"]
Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Noisy planes ``(B, C, H, W)`` and times ``(B,)`` → the network's prediction, ``(B, C, H, W)``."""

_MAX_WEIGHT = 5.0
_BETA_RANGES = {"linear_beta": (1e-4, 0.02), "scaled_linear_beta": (5e-4, 0.0195), "cosine": None}


class DiffusionProcess(ABC):
    """Turns clean planes into noise over time, and noise into clean planes by the predictions of a network.

    Times grow with the noise, from 0 for clean planes.
    """

    @abstractmethod
    def draw_times(self, count: int, random: torch.Generator) -> torch.Tensor:
        """Return random times for training, ``(count,)``, on the generator's device."""

    @abstractmethod
    def q_sample(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return the noisy planes x_t.

        Parameters
        ----------
        x_0
            Clean planes, ``(B, C, H, W)``, −1 … 1.
        noise
            Standard normal, of the same shape.
        t
            ``(B,)``.
        """

    @abstractmethod
    def target(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what the network should predict for `q_sample`."""

    @abstractmethod
    def loss_weights(self, t: torch.Tensor) -> torch.Tensor:
        """Return the weights of the squared errors at times ``(B,)``: ``(B, 1, 1, 1)`` float32."""

    @abstractmethod
    def sample(
        self, predict: Predict, noise: torch.Tensor, steps: int, predict_last: Predict | None = None
    ) -> torch.Tensor:
        """Return clean planes, about −1 … 1, deterministically.

        Parameters
        ----------
        predict
        noise
            ``(B, C, H, W)``, standard normal.
        steps
        predict_last
            Replaces `predict` where it is asked for the last time.
        """


class GaussianDiffusion(DiffusionProcess):
    """DDPM (Ho et al. 2020, arXiv 2006.11239) in training, DDIM (arXiv 2010.02502) for sampling.

    Times are integers, 0 … T − 1.

    Parameters
    ----------
    timesteps
        T.
    beta_schedule
        The linear schedules are made for T = 1000; for other T, β is scaled by 1000 / T, so that x_T is as noisy.
    prediction_type
        What the network predicts: the noise (``epsilon``; Ho et al.), the clean planes (``sample``), or v
        (``v_prediction``; Salimans & Ho 2022, arXiv 2202.00512).
    clip
        Whether sampling limits x_0 to −1 … 1 in each step, as the values of images and masks are.
    """

    def __init__(
        self, timesteps: int, beta_schedule: BetaSchedule, prediction_type: PredictionType, *, clip: bool = True
    ) -> None:
        self.timesteps = timesteps
        self.prediction_type = prediction_type
        self.clip = clip
        ends = _BETA_RANGES[beta_schedule]
        betas: dict[str, Any] = {
            f"beta_{k}": b * 1000 / timesteps for k, b in zip(("start", "end"), ends or (), strict=False)
        }
        self._scheduler = DDPMScheduler(timesteps, beta_schedule, prediction_type=prediction_type, **betas)

    def draw_times(self, count: int, random: torch.Generator) -> torch.Tensor:
        return torch.randint(self.timesteps, (count,), generator=random, device=random.device)

    def q_sample(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return x_t for clean planes x_0, ``(B, C, H, W)``, and timesteps ``(B,)`` (Ho et al., eq. 4)."""
        x_t: torch.Tensor = self._scheduler.add_noise(x_0, noise, t)
        return x_t

    def target(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        if self.prediction_type == "epsilon":
            return noise
        if self.prediction_type == "sample":
            return x_0
        velocity: torch.Tensor = self._scheduler.get_velocity(x_0, noise, t)
        return velocity

    def loss_weights(self, t: torch.Tensor) -> torch.Tensor:
        """Return the weights of the squared errors at timesteps ``(B,)``: ``(B, 1, 1, 1)`` float32.

        For ``epsilon`` and ``v_prediction`` they are 1 (Ho et al., eq. 14). For ``sample`` they are SNR + 1, the weight
        that the error of x_0 has under ``v_prediction``, up to 5; otherwise fine details, which are predicted at small
        t, would hardly count. The limit resembles that of Hang et al. 2023 (arXiv 2303.09556).
        """
        alpha_bar: torch.Tensor = self._scheduler.alphas_cumprod.to(t.device)[t].float()[:, None, None, None]
        if self.prediction_type == "sample":
            return (1.0 / (1.0 - alpha_bar)).clamp(max=_MAX_WEIGHT)
        return torch.ones_like(alpha_bar)

    def ddim_timesteps(self, steps: int) -> list[int]:
        """Return the timesteps of sampling in `steps` steps, from T − 1 down."""
        return [round(self.timesteps * step / steps) - 1 for step in range(steps, 0, -1)]

    @torch.no_grad()
    def sample(
        self, predict: Predict, noise: torch.Tensor, steps: int, predict_last: Predict | None = None
    ) -> torch.Tensor:
        """Return clean planes deterministically (DDIM, eq. 12 with σ = 0); see `DiffusionProcess.sample`."""
        x_t, timesteps = noise, self.ddim_timesteps(steps)
        for t, following in zip(timesteps, [*timesteps[1:], None], strict=True):
            batch_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            prediction = (predict_last if predict_last and following is None else predict)(x_t, batch_t)
            x_0, epsilon = self._split(prediction.float(), x_t, self.alpha_bar(t))
            alpha_bar = 1.0 if following is None else self.alpha_bar(following)
            x_0 = x_0.clamp(-1.0, 1.0) if self.clip else x_0
            x_t = alpha_bar**0.5 * x_0 + (1.0 - alpha_bar) ** 0.5 * epsilon
        return x_t

    def alpha_bar(self, t: int) -> float:
        """Return ᾱ_t, the fraction of the variance of x_t that comes from x_0 (Ho et al., eq. 4)."""
        return float(self._scheduler.alphas_cumprod[t])

    def _split(
        self, prediction: torch.Tensor, x_t: torch.Tensor, alpha_bar: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return x_0 and the noise according to a prediction for x_t."""
        signal, sigma = alpha_bar**0.5, (1.0 - alpha_bar) ** 0.5
        if self.prediction_type == "epsilon":
            return (x_t - sigma * prediction) / signal, prediction
        if self.prediction_type == "v_prediction":
            return signal * x_t - sigma * prediction, signal * prediction + sigma * x_t
        return prediction, (x_t - signal * prediction) / sigma


class RectifiedFlow(DiffusionProcess):
    """Straight lines from noise to clean planes (Liu et al. 2023, arXiv 2209.03003; Lipman et al. 2023, 2210.02747).

    Time and velocity are those of MONAI's ``RFlowScheduler``: x_t = (1 − t / T) x_0 + (t / T) noise with real t in
    0 … T and T = 1000, so t = T is noise; the velocity x_0 − noise points to the clean planes. (The papers' time runs
    the other way.) A network of the expected velocity defines an ordinary differential equation, which is solved for
    sampling.

    Parameters
    ----------
    prediction_type
        What the network predicts: the ``velocity`` (Liu et al., eq. 1), or the clean planes (``sample``), from which
        the velocity follows as (x_0 − x_t) T / t.
    time_distribution
        Of the times in training: ``uniform`` (Liu et al.), or ``logit-normal``, with more times in the middle (Esser et
        al. 2024, arXiv 2403.03206, section 3.1, with location 0 and scale 1).
    solver
        Of the differential equation: Euler's method, which asks the network once per step, or the midpoint method or
        Heun's, which ask it twice (Heun's once in the last step).
    """

    timesteps = 1000

    def __init__(self, prediction_type: FlowPrediction, time_distribution: TimeDistribution, solver: Solver) -> None:
        self.prediction_type = prediction_type
        self.time_distribution = time_distribution
        self.solver = solver
        self._scheduler = RFlowScheduler(self.timesteps, spatial_dim=2)

    def draw_times(self, count: int, random: torch.Generator) -> torch.Tensor:
        if self.time_distribution == "uniform":
            t = torch.rand(count, generator=random, device=random.device)
        else:
            t = torch.randn(count, generator=random, device=random.device).sigmoid()
        return self.timesteps * t

    def q_sample(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        x_t: torch.Tensor = self._scheduler.add_noise(x_0, noise, t)
        return x_t

    def target(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return x_0 if self.prediction_type == "sample" else x_0 - noise

    def loss_weights(self, t: torch.Tensor) -> torch.Tensor:
        """Return the weights of the squared errors at times ``(B,)``: ``(B, 1, 1, 1)`` float32.

        For ``velocity`` they are 1 (Liu et al., eq. 1). For ``sample`` they are (T / t)², the weight that the error of
        x_0 has in the velocity, up to 5.
        """
        t = t.float()[:, None, None, None]
        if self.prediction_type == "sample":
            return (self.timesteps / t).square().clamp(max=_MAX_WEIGHT)
        return torch.ones_like(t)

    def flow_times(self, steps: int) -> list[float]:
        """Return the times where the steps of sampling begin, from T down, and the 0 where the last one ends."""
        return [self.timesteps * step / steps for step in range(steps, -1, -1)]

    @torch.no_grad()
    def sample(
        self, predict: Predict, noise: torch.Tensor, steps: int, predict_last: Predict | None = None
    ) -> torch.Tensor:
        x_t = noise
        for t, following in pairwise(self.flow_times(steps)):
            final = predict_last if predict_last and following == 0 else predict
            if self.solver == "euler" or (self.solver == "heun" and following == 0):
                velocity = self._velocity(final, x_t, t)
            elif self.solver == "midpoint":
                middle = (t + following) / 2
                halfway = self._move(x_t, self._velocity(predict, x_t, t), t, middle)
                velocity = self._velocity(final, halfway, middle)
            else:
                first = self._velocity(predict, x_t, t)
                second = self._velocity(predict, self._move(x_t, first, t, following), following)
                velocity = (first + second) / 2
            x_t = self._move(x_t, velocity, t, following)
        return x_t

    def _velocity(self, predict: Predict, x_t: torch.Tensor, t: float) -> torch.Tensor:
        prediction = predict(x_t, torch.full((len(x_t),), t, device=x_t.device)).float()
        return (prediction - x_t) * (self.timesteps / t) if self.prediction_type == "sample" else prediction

    def _move(self, x_t: torch.Tensor, velocity: torch.Tensor, t: float, following: float) -> torch.Tensor:
        """Return the planes at the following time; MONAI's own step rounds that time to an integer."""
        return x_t + velocity * ((t - following) / self.timesteps)


def classifier_free_guidance(predict: Callable[..., torch.Tensor], condition: torch.Tensor, scale: float) -> Predict:
    """Return predictions with classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6, w = scale − 1).

    Parameters
    ----------
    predict
        Called with noisy planes, times and condition.
    condition
        ``(B, K, H, W)``, −1 … 1; zeros are no condition.
    scale
        1: no guidance.
    """

    def guided(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        if scale == 1.0:
            return predict(x_t, t, condition)
        both = torch.cat([condition, torch.zeros_like(condition)])
        conditional, unconditional = predict(x_t.repeat(2, 1, 1, 1), t.repeat(2), both).chunk(2)
        return unconditional + scale * (conditional - unconditional)

    return guided
