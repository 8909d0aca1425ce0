"""MEDIAR's hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from synthbench import Budget, Config
from synthbench.errors import ConfigError, PluginError
from synthbench.toolkit.training.budget_defaults import resolve_defaults
from synthbench.toolkit.training.finetuning import FINETUNE, FinetuneConfig

STRIDE = 32
"""The encoder halves an image five times."""

PUBLISHED_NETWORK: Mapping[str, Any] = {
    "encoder": "mit_b5",
    "decoder_channels": (1024, 512, 256, 128, 64),
    "decoder_pab_channels": 256,
}
"""The keys that decide the shapes of the weights, with the authors' values."""


class MediarFinetune(FinetuneConfig):
    """The authors' second step: fine-tuning of the pretrained network."""

    learning_rate: float = Field(2e-5, gt=0, le=1, allow_inf_nan=False, description="highest rate of AdamW")
    weight_decay: float = Field(0.01, ge=0, le=1, description="of all weights")
    warmup: float = Field(0.0, ge=0, le=1, description="fraction of the steps in which the rate rises from 0")


class MediarConfig(Config):
    """MEDIAR's hyper-parameters; keys of the network have the names of segmentation_models_pytorch."""

    encoder: Literal["mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"] | None = Field(
        None,
        description="SegFormer encoder; that of the weights that training starts from, or mit_b5, as published, in a "
        "training of at least 10,000 steps, else mit_b0",
    )
    encoder_weights: Path | None = Field(
        None,
        description="file with trained weights of the encoder (safetensors, or a torch state dict), such as those of "
        "ImageNet that the authors start from; by default the encoder starts from the seed. Nothing is downloaded",
    )
    decoder_channels: tuple[int, int, int, int, int] | None = Field(
        None, description="channels of the decoder's five blocks, from coarse to fine; narrow in a short training"
    )
    decoder_pab_channels: int | None = Field(None, ge=1, description="channels of the position-wise attention block")
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="first rate of AdamW, which falls along a cosine; 5e-5, as published, with encoder_weights, else "
        "3e-4, or 1e-3 in a short training",
    )
    final_lr_ratio: float = Field(0.02, ge=0, le=1, description="last rate over the first; published: 1e-6 over 5e-5")
    weight_decay: float = Field(0.01, ge=0, le=1, description="of AdamW")
    flip_tta: bool = Field(
        True,
        description="test-time augmentation: the mean of the predictions for the image and its two mirror images, with "
        "the flows turned back",
    )
    finetune: MediarFinetune = Field(MediarFinetune.model_validate({}), description=FINETUNE)

    def resolve(self, budget: Budget) -> Self:
        """Return the configuration with a value for every key; raise `ConfigError` if the patches don't suit it."""
        if budget.patch_size % STRIDE:
            way = f"use --patch {max(1, budget.patch_size // STRIDE) * STRIDE}"
            raise ConfigError(f"a patch of {budget.patch_size} doesn't divide by {STRIDE}; {way}")
        if budget.patch_size == STRIDE and budget.batch_size == 1:
            raise ConfigError(f"one patch of {STRIDE} is too little for batch norm; use --patch {2 * STRIDE}")
        if self.decoder_channels is not None and min(self.decoder_channels) < 2:
            raise ConfigError(f"decoder_channels: {list(self.decoder_channels)}; give numbers from 2 up")
        short = {
            "encoder": "mit_b0",
            "decoder_channels": (128, 64, 32, 16, 16),
            "decoder_pab_channels": 32,
            "learning_rate": 1e-3 if self.encoder_weights is None else 5e-5,
        }
        long = {**PUBLISHED_NETWORK, "learning_rate": 3e-4 if self.encoder_weights is None else 5e-5}
        return resolve_defaults(self, budget, short=short, long=long)

    def files(self) -> Mapping[str, Path]:
        """Return the encoder's weights."""
        if self.encoder_weights is None:
            return {}
        path = self.encoder_weights.expanduser()
        if not path.is_file():
            raise PluginError(f"encoder_weights: there is no file {path}; give one, or leave the key out")
        return {"encoder_weights": path}
