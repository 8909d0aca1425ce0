"""The diffusion process: DDPM (Ho et al. 2020, arXiv 2006.11239) in training, DDIM (arXiv 2010.02502) for sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from monai.networks.schedulers.ddpm import DDPMScheduler

__all__ = ["BetaSchedule", "GaussianDiffusion", "Predict", "PredictionType", "classifier_free_guidance"]

BetaSchedule = Literal["linear_beta", "scaled_linear_beta", "cosine"]
PredictionType = Literal["v_prediction", "epsilon", "sample"]
Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Noisy planes ``(B, C, H, W)`` and timesteps ``(B,)`` → the network's prediction, ``(B, C, H, W)``."""

_MAX_WEIGHT = 5.0
_BETA_RANGES = {"linear_beta": (1e-4, 0.02), "scaled_linear_beta": (5e-4, 0.0195), "cosine": None}


class GaussianDiffusion:
    """The forward process of T timesteps, and its reversal in fewer steps.

    Parameters
    ----------
    timesteps
        T.
    beta_schedule
        The linear schedules are made for T = 1000; for other T, β is scaled by 1000 / T, so that x_T is as noisy.
    prediction_type
        What the network predicts: the noise (``epsilon``; Ho et al.), the clean planes (``sample``), or v
        (``v_prediction``; Salimans & Ho 2022, arXiv 2202.00512).
    """

    def __init__(self, timesteps: int, beta_schedule: BetaSchedule, prediction_type: PredictionType) -> None:
        self.timesteps = timesteps
        self.prediction_type = prediction_type
        ends = _BETA_RANGES[beta_schedule]
        betas: dict[str, Any] = {
            f"beta_{k}": b * 1000 / timesteps for k, b in zip(("start", "end"), ends or (), strict=False)
        }
        self._scheduler = DDPMScheduler(timesteps, beta_schedule, prediction_type=prediction_type, **betas)

    def q_sample(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return x_t for clean planes x_0, ``(B, C, H, W)``, and timesteps ``(B,)`` (Ho et al., eq. 4)."""
        x_t: torch.Tensor = self._scheduler.add_noise(x_0, noise, t)
        return x_t

    def target(self, x_0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what the network should predict for `q_sample`."""
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
    def ddim_sample(
        self, predict: Predict, x_T: torch.Tensor, steps: int, predict_last: Predict | None = None
    ) -> torch.Tensor:
        """Return clean planes, −1 … 1, for noise ``(B, C, H, W)``, deterministically (DDIM, eq. 12 with σ = 0).

        Parameters
        ----------
        predict
        x_T
        steps
        predict_last
            Replaces `predict` in the last step.
        """
        x_t, timesteps = x_T, self.ddim_timesteps(steps)
        for t, following in zip(timesteps, [*timesteps[1:], None], strict=True):
            batch_t = torch.full((len(x_t),), t, dtype=torch.int64, device=x_t.device)
            prediction = (predict_last if predict_last and following is None else predict)(x_t, batch_t)
            x_0, noise = self._split(prediction.float(), x_t, self.alpha_bar(t))
            alpha_bar = 1.0 if following is None else self.alpha_bar(following)
            x_t = alpha_bar**0.5 * x_0.clamp(-1.0, 1.0) + (1.0 - alpha_bar) ** 0.5 * noise
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


def classifier_free_guidance(predict: Callable[..., torch.Tensor], condition: torch.Tensor, scale: float) -> Predict:
    """Return predictions with classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6, w = scale − 1).

    Parameters
    ----------
    predict
        Called with noisy planes, timesteps and condition.
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
