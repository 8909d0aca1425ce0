"""Hyper-parameters of the VQ-VAE and the PixelCNN, and the two presets that give those that are left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from synthbench import Budget
from synthbench.errors import ConfigError
from synthbench.toolkit.generators.config import PresetConfig
from synthbench.toolkit.masks.codec import MaskEncoding
from synthbench.toolkit.training.budget_defaults import non_default, resolve_preset

__all__ = ["VqVaePixelCnnConfig"]

PAPER: Mapping[str, Any] = {
    "num_hiddens": 128,
    "num_embeddings": 512,
    "pixelcnn_channels": 128,
    "pixelcnn_layers": 12,
    "learning_rate": 2e-4,
    "lr_schedule": "constant",
    "codebook_warmup": False,
    "codebook_restart": False,
    "ema_decay": 0.0,
    "cycle_spinning": False,
    "pixel_noise": False,
}
MICROSCOPY: Mapping[str, Any] = {
    "num_hiddens": 32,
    "num_embeddings": 256,
    "pixelcnn_channels": 64,
    "pixelcnn_layers": 6,
    "learning_rate": 1e-3,
    "lr_schedule": "one_cycle",
    "codebook_warmup": True,
    "codebook_restart": True,
    "ema_decay": 0.999,
    "cycle_spinning": True,
    "pixel_noise": True,
}


class VqVaePixelCnnConfig(PresetConfig):
    """Hyper-parameters of `synthbench_vqvae.generator.VqVaePixelCnn`.

    Names are those of the VQ-VAE's authors (van den Oord et al. 2017, arXiv 1711.00937, and their example in Sonnet),
    and so are the values of the preset ``paper`` where they give one. The paper that draws image and mask with it
    (arXiv 2408.00707, "dual image") gives no sizes. Fields whose default is None are set by the preset.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "filters": "num_hiddens",
        "stages": "num_downsamples",
        "codes": "num_embeddings",
        "dimension": "embedding_dim",
        "decay": "codebook_decay",
        "commitment": "commitment_cost",
        "prior_filters": "pixelcnn_channels",
        "prior_layers": "pixelcnn_layers",
        "share": "vqvae_fraction",
        "grain": "pixel_noise",
        "mask": "mask_encoding",
        "levels": "grey_levels",
    }

    num_hiddens: int | None = Field(
        None, ge=4, description="channels of the VQ-VAE's first stage; twice as many from the second on"
    )
    num_downsamples: int = Field(
        3, ge=1, le=5, description="stages that halve the resolution: a code stands for a square of 2^n pixels"
    )
    num_embeddings: int | None = Field(None, ge=2, description="K, number of codes in the codebook (sec. 3.1)")
    embedding_dim: int = Field(64, ge=2, description="D, length of the codes (sec. 3.1)")
    codebook_decay: float = Field(
        0.99, ge=0, lt=1, description="γ of the moving averages that are the codebook (app. A.1)"
    )
    codebook_warmup: bool | None = Field(
        None, description="whether that decay is (1 + t) / (10 + t) in step t, where this is smaller"
    )
    codebook_restart: bool | None = Field(
        None,
        description="whether unused codes are replaced by outputs of the encoder, in the first 60 % of the VQ-VAE's "
        "steps; in the first step all of them",
    )
    commitment_cost: float = Field(0.25, ge=0, description="β, weight of the commitment loss (eq. 3)")
    pixelcnn_channels: int | None = Field(None, ge=4, description="channels of the gated PixelCNN (arXiv 1606.05328)")
    pixelcnn_layers: int | None = Field(None, ge=1, description="its layers")
    vqvae_fraction: float = Field(
        0.5, gt=0, lt=1, description="fraction of the steps that train the VQ-VAE; the PixelCNN gets the others"
    )
    mask_weight: float = Field(1.0, ge=0, description="weight of the mask's reconstruction error; the image's has 1")
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="of Adam; the highest one of a one-cycle schedule"
    )
    lr_schedule: Literal["constant", "one_cycle"] | None = Field(
        None, description="one_cycle: the rate rises and falls once for each network"
    )
    ema_decay: float | None = Field(
        None, ge=0, lt=1, description="of the moving average of the PixelCNN's weights, which samples; 0: none"
    )
    temperature: float = Field(
        1.0, gt=0, description="divides the logits when codes are drawn; below 1, rare codes become rarer"
    )
    cycle_spinning: bool | None = Field(
        None,
        description="whether a drawn image is encoded and decoded again at shifted positions and averaged, which "
        "removes the grid of the codes' squares",
    )
    pixel_noise: bool | None = Field(
        None,
        description="whether drawn images get the pixel noise that they lack compared with a training image; see "
        "synthbench.toolkit.intensity.pixel_noise",
    )
    mask_encoding: MaskEncoding = Field(
        "distance", description="how instances are encoded; see synthbench.toolkit.masks.codec"
    )
    grey_levels: int = Field(4, ge=1, le=32, description="grey levels of mask_encoding: grey")

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with nothing left open.

        Raises
        ------
        ConfigError
            If the patches aren't a whole number of codes, there are fewer than two steps, or an option has no effect.
        """
        square, side = 2**self.num_downsamples, budget.patch_size
        if side % square or side < 2 * square:
            hint = "" if side >= 2 * square else ", or a smaller num_downsamples"
            raise ConfigError(
                f"patch size {side} isn't a multiple ≥ 2 of {square}, the side of a code; use --patch "
                f"{max(2, round(side / square)) * square}{hint}"
            )
        if self.mask_encoding == "distance" and (unused := non_default(self, ("grey_levels",))):
            raise ConfigError(f"{unused[0]} requires mask_encoding: grey, and it is distance")
        if budget.steps < 2:
            raise ConfigError("two networks train one after the other; use --steps 2 or more")
        return resolve_preset(self, budget, paper=PAPER, microscopy=MICROSCOPY)
