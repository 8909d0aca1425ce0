"""The generator plugin pix2pix."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from synthbench import Budget, Context, SampleSet
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_pix2pix.config import Pix2PixConfig
from synthbench_pix2pix.losses import Losses, Term, l1
from synthbench_pix2pix.networks import BilinearUNet, UNet, patch_discriminator, set_dropout_generator
from synthbench_pix2pix.structure import Structure, structural, suited
from synthbench_pix2pix.training import Pix2PixTraining

__all__ = ["Pix2Pix"]


class Pix2Pix(MaskToImageGenerator[Pix2PixConfig]):
    """A U-Net from mask to image, trained with an L1 term against a patch discriminator (Isola et al. 2017).

    Set up for cells as in arXiv 2512.10334. The mask of an instance dataset is a distance per object and a foreground
    without inner borders, so that touching objects stay apart; of a semantic one, a plane per class. `preset` chooses
    between the published method and this project's additions; `docs/generators.md` has a table of the differences.
    """

    Config = Pix2PixConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=30, batch_size=2, patch_size=64),
        "quick": Budget(steps=2000, batch_size=4, patch_size=128),
        "standard": Budget(steps=40_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=100_000, batch_size=1, patch_size=256),
    }
    random_stream = "pix2pix"

    def resolve_config(self, train: SampleSet, context: Context) -> Pix2PixConfig:
        config = super().resolve_config(train, context)
        if config.structural_loss != "auto":
            return config
        structural_loss = suited(train)
        weight = None if structural_loss == "none" else config.lambda_structural
        return config.model_copy(update={"structural_loss": structural_loss, "lambda_structural": weight})

    @property
    def margin(self) -> int:
        return 0 if self.config.upsampling == "transposed" else super().margin

    def build_network(self) -> UNet | BilinearUNet:
        config = self.config
        architecture = UNet if config.upsampling == "transposed" else BilinearUNet
        network = architecture(
            self.condition_planes + resolved(config.noise_planes),
            self.codec.image_planes,
            resolved(config.ngf),
            resolved(config.num_downs),
            resolved(config.norm),
            resolved(config.dropout),
        )
        return network.to(memory_format=torch.channels_last)

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> Pix2PixTraining:
        config, codec = self.config, self.codec
        structural_loss: Structure | Literal["auto"] = resolved(config.structural_loss)
        assert structural_loss != "auto", "resolve_config replaces it"
        discriminator = patch_discriminator(
            self.condition_planes + codec.image_planes, resolved(config.ndf), config.n_layers_d, resolved(config.norm)
        )
        semantic = codec.mask_encoding == "classes"
        terms = structural(structural_loss, config.lambda_structural, semantic)
        return Pix2PixTraining(
            self.network,
            discriminator.to(self.device).to(memory_format=torch.channels_last),
            Losses([Term("l1", config.lambda_l1, l1), *terms]),
            config,
            batches,
            self.condition,
            random,
        )

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        seen = self.with_noise(condition, resolved(self.config.noise_planes), rng)
        set_dropout_generator(self.network, torch.Generator().manual_seed(int(rng.integers(2**62))))
        image: torch.Tensor = self.network(seen)
        set_dropout_generator(self.network, None)
        return image
