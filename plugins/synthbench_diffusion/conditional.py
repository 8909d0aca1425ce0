"""Diffusion of the image for a mask."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from synthbench import Context, SampleSet
from synthbench.toolkit.generators.diffusion_processes import DiffusionProcess, classifier_free_guidance
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator
from synthbench.toolkit.generators.sizes import crop_mask, pad_to_multiple
from synthbench.toolkit.masks.sampler import SampledMask
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.mode_collapse import SAMPLES_TO_CHECK, check_mode_collapse
from synthbench.types import LabelMap, Planes
from synthbench_diffusion.config import DenoisingConfig, DiffusionConfig
from synthbench_diffusion.network import Denoiser, build_denoiser
from synthbench_diffusion.training import DiffusionTraining, Examples, training_of

__all__ = ["ConditionalDiffusion"]


class ConditionalDiffusion(MaskToImageGenerator[DenoisingConfig]):
    """The network draws the image for a mask of the mask sampler, optionally with classifier-free guidance.

    Unlabelled images teach it to draw without a condition, the other half of the guidance.
    """

    Config: ClassVar[type[DenoisingConfig]] = DiffusionConfig
    random_stream = "diffusion"

    network: Denoiser
    process: DiffusionProcess

    @property
    def margin(self) -> int:
        return 0

    def build_network(self) -> Denoiser:
        config = self.config
        self.process = config.process()
        return build_denoiser(config, self.patch_size, self.codec.image_planes, self.condition_planes).eval()

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> DiffusionTraining:
        def examples(number: int) -> Examples:
            batch = batches[number]
            return Examples(batch.image, self.condition(batch.mask, batch.intensities))

        return training_of(self, examples, steps=len(batches), random=random)

    def check_images(self, train: SampleSet, seed: int) -> None:
        """Raise `Diverged` if the images drawn for patches of training masks are flat, or all the same."""
        rng, patch = stream(seed, f"{self.random_stream}.check"), np.s_[:, : self.patch_size, : self.patch_size]
        real, drawn = [], []
        for position in range(min(SAMPLES_TO_CHECK, len(train))):
            labels = train[position].labels
            image, mask = self.codec.encode(train[position], position)
            intensities = self.conditioning.training_planes(labels, position)
            real.append(image[patch])
            drawn.append(self.draw_image(mask[patch], intensities[patch], rng))
        check_mode_collapse(np.stack(drawn), np.stack(real), self.codec.image_planes)

    def encode_sampled(self, mask: SampledMask, rng: np.random.Generator) -> tuple[LabelMap, Planes, int]:
        """Return labels and planes of a mask, at most `max_side` large, and the number of small objects removed."""
        return crop_mask(mask.labels, self.codec, self.config.max_side, rng)

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        height, width = condition.shape[2:]
        padded = pad_to_multiple(condition, self.network.side_multiple)
        shape = (1, self.codec.image_planes, *padded.shape[2:])
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(self.device)
        predict = classifier_free_guidance(self.network, padded, resolved(self.config.guidance_scale))
        image = self.process.sample(predict, noise, resolved(self.config.sampling_steps))
        return image[:, :, :height, :width]
