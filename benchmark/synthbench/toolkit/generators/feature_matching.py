"""What pix2pixHD and SPADE have in common: they match the features of discriminators at several resolutions.

Their networks may see the map of the boundaries between objects, and noise beside the condition; the generator
minimises an adversarial loss, feature matching, and a perceptual loss (Wang et al. 2018, arXiv 1711.11585).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import numpy as np
import torch
from pydantic import Field

from synthbench.toolkit.generators.adversarial_training import AdversarialTraining
from synthbench.toolkit.generators.config import MaskToImageConfig, PresetConfig
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator
from synthbench.toolkit.layers.discriminators import MultiscaleDiscriminator
from synthbench.toolkit.training.adversarial import feature_matching
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.perceptual_loss import PerceptualConfig

__all__ = ["FeatureMatchingConfig", "FeatureMatchingGenerator", "FeatureMatchingTraining", "Features"]

Features = list[list[torch.Tensor]]
"""Of discriminators, by resolution and layer; the last of each resolution are the logits."""


class FeatureMatchingConfig(PerceptualConfig, PresetConfig, MaskToImageConfig):
    """Base of the configuration of these methods."""

    instance_map: bool = Field(
        True,
        description="whether the networks of an instance dataset also see the boundary map, which is 1 where a "
        "neighbour belongs to another object or to the background (Wang et al. 2018, section 3.3)",
    )
    noise_planes: int | None = Field(
        None, ge=0, description="planes of Gaussian noise beside the mask (an addition of this project)"
    )
    ndf: int | None = Field(None, ge=4, description="planes of the first layer of a discriminator")
    lambda_feat: float = Field(10.0, ge=0, description="weight of the feature matching (Wang et al. 2018, equation 5)")
    lambda_vgg: float = Field(10.0, ge=0, description="weight of the perceptual loss")


ConfigT = TypeVar("ConfigT", bound=FeatureMatchingConfig)


class FeatureMatchingTraining(AdversarialTraining):
    """The networks with a perceptual loss; a method writes `step`.

    Parameters
    ----------
    method
        Its network, discriminators and resolved configuration are used.
    batches, random, betas
        See `AdversarialTraining`.

    Attributes
    ----------
    weights : dict
        Of the terms of the generator's loss, by name; 1 where there is none.
    """

    def __init__(
        self,
        method: FeatureMatchingGenerator[ConfigT],
        batches: ConditionedBatches,
        random: torch.Generator,
        betas: tuple[float, float],
    ) -> None:
        config = method.config
        discriminator = method.build_discriminator().to(method.device).to(memory_format=torch.channels_last)
        self.perceptual = config.perceptual_network().build(method.device)
        super().__init__(method.network, discriminator, batches, method.condition, random, betas)
        self.noise_planes = resolved(config.noise_planes)
        self.weights = {"features": config.lambda_feat, "perceptual": config.lambda_vgg}

    def draw(self, condition: torch.Tensor, pixel_noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return generated images, and the same with pixel noise, which the discriminators see.

        Parameters
        ----------
        condition
            ``(B, condition_planes, H, W)``.
        pixel_noise
            ``(B, image_planes, H, W)``, its standard deviation.
        """
        z, noise = self.noise(condition, self.noise_planes), self.noise(condition, pixel_noise.shape[1])
        generated = self.generator(torch.cat([condition, z], dim=1)).float()
        return generated, (generated + pixel_noise * noise).clamp(-1, 1)

    def terms(
        self, gan: torch.Tensor, fake: Features, real: Features, generated: torch.Tensor, image: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the terms of the generator's loss by name, unweighted.

        Parameters
        ----------
        gan
            The adversarial loss.
        fake, real
            What the discriminators see in drawn and in real images.
        generated, image
            ``(B, image_planes, H, W)``, drawn and real images, without pixel noise that was added.
        """
        terms = {"gan": gan, "features": feature_matching(fake, real)}
        if self.perceptual is not None:
            terms["perceptual"] = self.perceptual(generated, self.perceptual.features_of(image))
        return terms

    def weighted(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the generator's loss."""
        return torch.stack([self.weights.get(name, 1.0) * term for name, term in terms.items()]).sum()


class FeatureMatchingGenerator(MaskToImageGenerator[ConfigT]):
    """Base class of these generators; a method writes its networks and its training."""

    @property
    def sees_boundaries(self) -> bool:
        return self.config.instance_map

    @abstractmethod
    def build_discriminator(self) -> MultiscaleDiscriminator:
        """Return new discriminators of conditions and images, on the CPU."""

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        image: torch.Tensor = self.network(self.with_noise(condition, resolved(self.config.noise_planes), rng))
        return image
