"""The generator plugin spade."""

from __future__ import annotations

import torch

from synthbench import Budget, Context
from synthbench.toolkit.generators.feature_matching import FeatureMatchingGenerator
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches
from synthbench.toolkit.layers.discriminators import MultiscaleDiscriminator
from synthbench.toolkit.layers.initialisation import initialise_xavier
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench_spade.config import SpadeConfig
from synthbench_spade.network import SpadeGenerator
from synthbench_spade.training import SpadeTraining

__all__ = ["Spade"]


class Spade(FeatureMatchingGenerator[SpadeConfig]):
    """A network whose normalisation layers see the mask at every resolution (Park et al. 2019).

    The mask of an instance dataset is a distance per object, a foreground without inner borders, and the map of the
    boundaries between objects; of a semantic one, a plane per class. `preset` chooses between the published method and
    this project's additions; `docs/methods/spade.md` compares them. The image encoder of the published method, which
    draws images in the style of others, isn't built.
    """

    Config = SpadeConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=1500, batch_size=2, patch_size=128),
        "standard": Budget(steps=40_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=150_000, batch_size=8, patch_size=256),
    }
    random_stream = "spade"
    # its discriminators' convolutions return values close together, and instance norms enlarge what rounding adds
    bfloat16_on_cpu = False

    def build_network(self) -> SpadeGenerator:
        config = self.config
        network = SpadeGenerator(
            self.condition_planes + resolved(config.noise_planes),
            self.codec.image_planes,
            resolved(config.ngf),
            resolved(config.nhidden),
            config.num_upsampling_layers,
            resolved(config.norm),
        )
        return network.to(memory_format=torch.channels_last)

    def build_discriminator(self) -> MultiscaleDiscriminator:
        config = self.config
        discriminator = MultiscaleDiscriminator(
            self.condition_planes + self.codec.image_planes,
            resolved(config.ndf),
            config.n_layers_d - 1,  # without the one of stride 1, which the published code counts
            count=config.num_d,
            spectral=True,
        )
        return discriminator.apply(initialise_xavier)

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> SpadeTraining:
        return SpadeTraining(self, batches, random)
