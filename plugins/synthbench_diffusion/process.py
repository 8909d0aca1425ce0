"""Noise laid on, step by step, and taken off again: DDPM (Ho et al. 2020) to train, DDIM (Song et al. 2021) to draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from monai.networks.schedulers import DDPMScheduler

Schedule = Literal["linear_beta", "scaled_linear_beta", "cosine"]
Prediction = Literal["v_prediction", "epsilon", "sample"]
Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Noisy planes ``(B, C, H, W)`` and times ``(B,)`` → the network's prediction, ``(B, C, H, W)``."""

HEAVIEST = 5.0
_BETAS = {"linear_beta": (1e-4, 0.02), "scaled_linear_beta": (5e-4, 0.0195), "cosine": None}


class Process:
    """How images turn into noise in T times, and back in fewer.

    Parameters
    ----------
    times
        T.
    schedule
        How the variance of the noise grows. Those of Ho et al. are made for 1,000 times; with fewer, each adds so much
        more that it ends as it does there.
    prediction
        What the network is asked for: the noise (``epsilon``, as Ho et al.), the clean image (``sample``), or a mix
        of both whose variance is the same at all times (``v_prediction``; Salimans & Ho 2022, arXiv 2202.00512). A
        network with fewer features than a folded square has pixels can't pass the noise on; it can draw the image.
    """

    def __init__(self, times: int, schedule: Schedule, prediction: Prediction) -> None:
        self.times = times
        self.prediction = prediction
        ends = _BETAS[schedule]
        betas = {f"beta_{k}": b * 1000 / times for k, b in zip(("start", "end"), ends or (), strict=False)}
        self._forward = DDPMScheduler(times, schedule, prediction_type=prediction, **betas)

    def noisy(self, clean: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return clean planes with the noise of their times (Ho et al., eq. 4)."""
        return self._forward.add_noise(clean, noise, times)

    def wanted(self, clean: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return what the network should predict of `noisy`."""
        if self.prediction == "epsilon":
            return noise
        return clean if self.prediction == "sample" else self._forward.get_velocity(clean, noise, times)

    def weights(self, times: torch.Tensor) -> torch.Tensor:
        """Return what the squared errors of a batch count, ``(B, 1, 1, 1)`` float32.

        For the clean image it is the weight that the error of a ``v_prediction`` has, signal / noise + 1, up to
        `HEAVIEST`: otherwise the fine grain, which shows where there is little noise, hardly counts. The limit, like
        that of Hang et al. 2023 (arXiv 2303.09556), is this project's choice. For the other two it is 1.
        """
        left = self._forward.alphas_cumprod.to(times.device)[times].float()[:, None, None, None]
        return (1.0 / (1.0 - left)).clamp(max=HEAVIEST) if self.prediction == "sample" else torch.ones_like(left)

    def path(self, steps: int) -> list[int]:
        """Return the times of a drawing in `steps` steps, from the last one down; after them it is clean."""
        return [round(self.times * step / steps) - 1 for step in range(steps, 0, -1)]

    @torch.no_grad()
    def draw(self, predict: Predict, noise: torch.Tensor, steps: int, last: Predict | None = None) -> torch.Tensor:
        """Turn noise ``(B, C, H, W)`` into clean planes, −1 … 1, without further noise (DDIM, eq. 12 with σ = 0).

        The prediction of the last step is that of `last`, if it is given.
        """
        planes, path = noise, self.path(steps)
        for time, then in zip(path, [*path[1:], None], strict=True):
            at = torch.full((len(planes),), time, dtype=torch.int64, device=planes.device)
            found = (last if last and then is None else predict)(planes, at)
            clean, noise = self._told_apart(found.float(), planes, self._left(time))
            left = 1.0 if then is None else self._left(then)
            planes = left**0.5 * clean.clamp(-1.0, 1.0) + (1.0 - left) ** 0.5 * noise
        return planes

    def _left(self, time: int) -> float:
        """Return the share of the image's variance that is left at a time (Ho et al.: ᾱ)."""
        return float(self._forward.alphas_cumprod[time])

    def _told_apart(self, found: torch.Tensor, noisy: torch.Tensor, left: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the clean planes and the noise that a prediction of noisy planes amounts to."""
        image, noise = left**0.5, (1.0 - left) ** 0.5
        if self.prediction == "epsilon":
            return (noisy - noise * found) / image, found
        if self.prediction == "v_prediction":
            return image * noisy - noise * found, image * found + noise * noisy
        return found, (noisy - image * found) / noise


def guided(predict: Callable[..., torch.Tensor], condition: torch.Tensor, scale: float) -> Predict:
    """Return the prediction for a condition, carried further away from that for none.

    Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, eq. 6 with w = scale − 1): with a scale of 1 it is
    the conditional prediction. "None" is a condition of zeros, midway between what its planes can be.

    Parameters
    ----------
    predict
        Called with noisy planes, times and condition.
    condition
        ``(B, K, H, W)``, −1 … 1.
    scale
    """

    def prediction(noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        if scale == 1.0:
            return predict(noisy, times, condition)
        both = torch.cat([condition, torch.zeros_like(condition)])
        with_it, without = predict(noisy.repeat(2, 1, 1, 1), times.repeat(2), both).chunk(2)
        return without + scale * (with_it - without)

    return prediction
