"""Latent diffusion: the networks are trained one after the other; latents are drawn for a mask and decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from synthbench import Budget, Context, SampleSet
from synthbench.toolkit.generators.diffusion_processes import GaussianDiffusion
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator
from synthbench.toolkit.generators.sizes import crop_mask, pad_to_multiple
from synthbench.toolkit.masks.sampler import SampledMask
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.phases import split_steps, train_phase
from synthbench.toolkit.training.training_log import preview_of
from synthbench.types import LabelMap, Planes
from synthbench_latent_diffusion.config import LatentDiffusionConfig
from synthbench_latent_diffusion.networks import (
    ControlledDenoiser,
    LatentAutoencoder,
    SpadeDenoiser,
    build_autoencoder,
    build_denoiser,
)
from synthbench_latent_diffusion.training import AutoencoderTraining, LatentTraining

__all__ = ["LatentDiffusion"]

_SCALE_BATCHES = 16
"""Batches whose latents the scale is measured on."""


class LatentDiffusion(MaskToImageGenerator[LatentDiffusionConfig]):
    """An autoencoder compresses images to latents; a network learns to draw the latents for a mask from noise.

    After Rombach et al. 2022 (arXiv 2112.10752), with MONAI's networks. The mask comes from the mask sampler, and the
    network sees it by SPADE layers or by a ControlNet. The autoencoder is trained first, with a fixed fraction of the
    steps (`autoencoder_fraction`), also on images without labels; then its weights are fixed. Samples have the size of
    their masks.
    """

    Config = LatentDiffusionConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=30, batch_size=2, patch_size=64),
        "quick": Budget(steps=1600, batch_size=4, patch_size=128),
        "standard": Budget(steps=40_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=400_000, batch_size=16, patch_size=256),
    }
    random_stream = "latent-diffusion"
    uses_unlabelled = True

    network: SpadeDenoiser | ControlledDenoiser
    autoencoder: LatentAutoencoder
    process: GaussianDiffusion

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"autoencoder": self.autoencoder, "denoiser": self.network}

    def build_networks(self) -> None:
        self.process = self.config.process()
        self.autoencoder = build_autoencoder(self.config, self.codec.image_planes).to(self.device)
        self.network = self.build_network().to(self.device)
        for network in self.networks.values():
            network.to(memory_format=torch.channels_last)

    def build_network(self) -> SpadeDenoiser | ControlledDenoiser:
        return build_denoiser(self.config, self.condition_planes)

    # -- training -----------------------------------------------------------------------------------------------------

    def fit(self, train: SampleSet, context: Context) -> None:
        random = self.prepare(train, context)
        total = context.budget.steps
        first = split_steps(total, self.config.autoencoder_fraction)
        images = self.batches(train, context)
        reconstruction = AutoencoderTraining(
            self.config, self.autoencoder.train(), lambda number: images[number].image, steps=first, random=random
        )
        train_phase("autoencoder", reconstruction, 0, first, context)
        self.autoencoder.eval()
        batches = self.batches(train, replace(context, unlabelled=None))
        self.fit_scale(batches, first, random)
        training = self.training(batches, context, random)
        preview = preview_of(self, context.seed, *self.networks.values())
        train_phase("denoiser", training, first, total, context, preview, task=train.task)
        self.network.eval()
        self.counts.clear()  # what the pictures of the log counted isn't part of the result
        self.check_images(train, context.seed)

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> LatentTraining:
        """Return the training of the denoiser, when the autoencoder is trained; its steps follow the autoencoder's."""
        first = split_steps(context.budget.steps, self.config.autoencoder_fraction)

        @torch.no_grad()
        def example(number: int) -> tuple[torch.Tensor, torch.Tensor]:
            batch = batches[first + number]
            with loop.autocast(batch.image.device):
                latents = self.autoencoder.encode(batch.image, random)
            return latents.float(), self.condition(batch.mask, batch.intensities)

        training = LatentTraining(
            self.config, self.network.train(), self.process, example, steps=len(batches) - first, random=random
        )
        self.network = training.average.module
        return training

    @torch.no_grad()
    def fit_scale(self, batches: ConditionedBatches, steps: int, random: torch.Generator) -> None:
        """Measure the scale of the latents on the batches of the first steps."""
        images = [batches[number].image for number in range(min(_SCALE_BATCHES, steps))]
        self.autoencoder.fit_scale(torch.cat([self.autoencoder.encode(image, random) for image in images]))

    # -- sampling -----------------------------------------------------------------------------------------------------

    def encode_sampled(self, mask: SampledMask, rng: np.random.Generator) -> tuple[LabelMap, Planes, int]:
        """Return labels and planes of a mask, at most `max_side` large, and the number of small objects removed."""
        return crop_mask(mask.labels, self.codec, self.config.max_side, rng)

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        height, width = condition.shape[2:]
        padded = pad_to_multiple(condition, self.config.side_multiple)
        factor = self.config.latent_factor
        shape = (1, resolved(self.config.latent_channels), padded.shape[2] // factor, padded.shape[3] // factor)
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(self.device)
        latents = self.process.sample(
            lambda x_t, t: self.network(x_t, t, padded), noise, resolved(self.config.sampling_steps)
        )
        return self.autoencoder.decode(latents)[:, :, :height, :width].float()
