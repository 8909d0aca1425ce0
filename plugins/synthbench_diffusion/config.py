"""Hyper-parameters, and those that follow from the budget where they are left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.masks.config import MaskConfig
from synthbench.toolkit.training.budget_defaults import non_default, resolve_defaults
from synthbench_diffusion.process import Prediction, Schedule

_CONDITIONAL = (
    *("intensity_conditioning", "texture", "dropped", "guidance", "largest"),
    *("mask_source", "object_layout", "foreground_fraction", "touching_fraction"),
)


class DiffusionConfig(MaskConfig):
    """Hyper-parameters of the diffusion models.

    Attributes
    ----------
    mode : {"joint", "conditional"}
        Whether image and mask are drawn at once, or the image to a mask of the mask sampler.
    filters, levels, fold : int, optional
        Of the network; see `synthbench_diffusion.network.Denoiser`. Left open, they follow from the budget; see
        `resolve`.
    times : int
        T, steps between image and noise in training.
    sampling_steps : int, optional
        Steps of DDIM to draw a sample. Left open, it follows from the budget.
    schedule : {"linear_beta", "scaled_linear_beta", "cosine"}
    prediction : {"sample", "epsilon", "v_prediction"}, optional
        See `synthbench_diffusion.process.Process`. Left open, it follows from the budget.
    learning_rate : float, optional
        Highest rate of Adam, which rises and falls once. Left open, it follows from the budget.
    decay : float
        Of the moving average of the weights, which draws the samples.
    intensity_conditioning : bool, optional
        Whether the network is told the light of the image and of its objects beside the mask (this project's choice);
        see `synthbench.toolkit.intensity.conditioning`; conditional mode. Left open, it follows from the budget.
    texture : bool
        Whether drawn objects get the texture laid over that they lack beside the training object whose light they are
        told (this project's choice); without `intensity_conditioning` there is none, nor where objects are hardly
        anything else (`synthbench.toolkit.intensity.texture.MAX_TEXTURE_RATIO`); conditional mode.
    pixel_noise : bool
        Whether drawn images get the pixel noise that they lack beside a training image (this project's choice): a
        network that finds the mean of what it might be draws none. See `synthbench.toolkit.intensity.pixel_noise`.
    mask_weight : float
        Weight of the mask's error against the image's; joint mode.
    dropped : float, optional
        Share of the training patches whose condition is left out; conditional mode. Left open, it is 0.2, or none where
        no guidance needs it.
    guidance : float, optional
        How far a drawing follows its condition: 1, as learnt; more, exaggerated; conditional mode. Left open, it
        follows from the budget, and is 1 where no condition was left out.
    largest : int
        Longest side in pixels of an image that is drawn to a mask; of a larger mask a random part is taken. The memory
        of the network's attention grows with the fourth power of it.
    mask_source, object_layout, foreground_fraction, touching_fraction
        Which masks images are drawn to; see `synthbench.toolkit.masks.config.MaskConfig`; conditional mode.
    """

    renamed: ClassVar[Mapping[str, str]] = {"appearance": "intensity_conditioning", "grain": "pixel_noise"}

    mode: Literal["joint", "conditional"] = "joint"
    filters: int | None = Field(None, ge=8, multiple_of=8)
    levels: int | None = Field(None, ge=1, le=6)
    fold: int | None = Field(None, ge=1, le=8)
    times: int = Field(1000, ge=50)
    sampling_steps: int | None = Field(None, ge=1)
    schedule: Schedule = "linear_beta"
    prediction: Prediction | None = None
    learning_rate: float | None = Field(None, gt=0)
    decay: float = Field(0.999, ge=0, lt=1)
    intensity_conditioning: bool | None = None
    texture: bool = True
    pixel_noise: bool = True
    mask_weight: float = Field(1.0, ge=0)
    dropped: float | None = Field(None, ge=0, lt=1)
    guidance: float | None = Field(None, ge=0)
    largest: int = Field(1024, ge=16)

    @model_validator(mode="after")
    def _no_step_twice(self) -> Self:
        if self.sampling_steps is not None and self.sampling_steps > self.times:
            raise ValueError(f"sampling_steps: {self.sampling_steps} is more than the {self.times} times; give fewer")
        return self

    @model_validator(mode="after")
    def _of_the_mode(self) -> Self:
        idle = non_default(self, _CONDITIONAL if self.mode == "joint" else ("mask_weight",))
        if idle:
            other = "conditional" if self.mode == "joint" else "joint"
            raise ValueError(f"{idle[0]} is for mode: {other}, and this is mode: {self.mode}")
        return self

    @model_validator(mode="after")
    def _both_learnt(self) -> Self:
        if self.mode == "conditional" and self.dropped == 0 and self.guidance not in (None, 1):
            raise ValueError(
                f"guidance: {self.guidance:g} compares with the image for no mask, which dropped: 0 never trains; give "
                "guidance: 1, or drop some"
            )
        return self

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open that its mode has.

        A short training has a small network that sees squares of 4 × 4 pixels, is told the light of the objects, and
        draws the image in 20 steps, without guidance: with NuDiff's the contrasts are too strong
        (`docs/generators.md`). A long one is told the mask alone, works at full resolution, and finds the noise (Ho et
        al. 2020) with NuDiff's rate, guidance and 50 steps. The rest of both is this project's choice.

        Raises
        ------
        ConfigError
            If the network can't halve the patches as often as it has levels.
        """
        short = {
            "filters": 48,
            "levels": 3,
            "fold": 4,
            "prediction": "sample",
            "sampling_steps": min(20, self.times),
            "learning_rate": 1e-3,
        }
        long = {
            "filters": 64,
            "levels": 4,
            "fold": 1,
            "prediction": "epsilon",
            "sampling_steps": min(50, self.times),
            "learning_rate": 1e-4,
        }
        guidance = 1.0 if self.dropped == 0 else 2.0
        found = resolve_defaults(self, budget, short=short, long=long)
        block = (found.fold or 1) * 2 ** ((found.levels or 1) - 1)
        if budget.patch_size % block:
            raise ConfigError(
                f"a patch of {budget.patch_size} isn't a multiple of {block}, which {found.levels} levels and a fold "
                f"of {found.fold} need; use --patch {max(1, round(budget.patch_size / block)) * block}"
            )
        if self.mode == "joint":
            return found
        conditional = {
            "short": {"intensity_conditioning": True, "guidance": 1.0},
            "long": {"intensity_conditioning": False, "guidance": guidance},
        }
        found = resolve_defaults(found, budget, **conditional)
        dropped = {"dropped": 0.0 if found.guidance == 1 else 0.2}
        return resolve_defaults(found, budget, short=dropped, long=dropped)
