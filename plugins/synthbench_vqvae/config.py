"""Hyper-parameters of the VQ-VAE and the PixelCNN, and those that follow from the budget where they are left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError
from synthbench.toolkit.masks.codec import MaskEncoding
from synthbench.toolkit.training.budget_defaults import non_default, resolve_defaults


class VqVaePixelCnnConfig(Config):
    """Hyper-parameters; the paper gives no sizes, so all of them are this project's choice.

    Attributes
    ----------
    filters : int, optional
        Width of the VQ-VAE's first stage, doubled at the second. Left open, it follows from the budget; see `resolve`.
    stages : int
        How often it halves the resolution: a code stands for a square of 2^stages pixels.
    codes : int
        Entries of the codebook.
    dimension : int
        Their length.
    decay, commitment : float
        Of the codebook's moving average, less in the first steps, where it is (1 + t) / (10 + t); and weight of the
        loss that keeps the encoder near it.
    prior_filters, prior_layers : int, optional
        Of the PixelCNN. Left open, they follow from the budget.
    share : float
        Share of the steps that train the VQ-VAE; the PixelCNN gets the rest.
    pixel_noise : bool
        Whether drawn images get the pixel noise that they lack beside a training image (this project's choice): codes
        have no room for it. See `synthbench.toolkit.intensity.pixel_noise`.
    mask_weight : float
        Weight of the mask's error against the image's.
    learning_rate : float, optional
        Highest rate of Adam, which rises and falls once for each network. Left open, it follows from the budget.
    temperature : float
        Divides the logits when drawing; below 1, rare codes become rarer.
    mask : {"distance", "grey"}
        How instances are drawn; see `synthbench.toolkit.masks.codec`.
    levels : int
        Grey levels of ``mask: grey``.
    """

    renamed: ClassVar[Mapping[str, str]] = {"grain": "pixel_noise"}

    filters: int | None = Field(None, ge=4)
    stages: int = Field(3, ge=1, le=5)
    codes: int = Field(256, ge=2)
    dimension: int = Field(64, ge=2)
    decay: float = Field(0.99, ge=0, lt=1)
    commitment: float = Field(0.25, ge=0)
    prior_filters: int | None = Field(None, ge=4)
    prior_layers: int | None = Field(None, ge=1)
    share: float = Field(0.5, gt=0, lt=1)
    pixel_noise: bool = True
    mask_weight: float = Field(1.0, ge=0)
    learning_rate: float | None = Field(None, gt=0)
    temperature: float = Field(1.0, gt=0)
    mask: MaskEncoding = "distance"
    levels: int = Field(4, ge=1, le=32)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open; a long training has networks twice to four times as large.

        Raises
        ------
        ConfigError
            If the patches don't hold a whole number of codes, there is a step for one network only, or grey levels are
            asked for where there are none.
        """
        block, side = 2**self.stages, budget.patch_size
        if side % block or side < 2 * block:
            fewer = "" if side >= 2 * block else ", or fewer stages"
            raise ConfigError(
                f"a patch of {side} isn't two or more codes of {block}; use --patch "
                f"{max(2, round(side / block)) * block}{fewer}"
            )
        if self.mask == "distance" and (idle := non_default(self, ("levels",))):
            raise ConfigError(f"{idle[0]} is for mask: grey, and this is mask: distance")
        if budget.steps < 2:
            raise ConfigError("two networks train one after the other; use --steps 2 or more")
        return resolve_defaults(
            self,
            budget,
            short={"filters": 32, "prior_filters": 64, "prior_layers": 6, "learning_rate": 1e-3},
            long={"filters": 128, "prior_filters": 128, "prior_layers": 12, "learning_rate": 3e-4},
        )
