"""Diffusion models of image and mask, or of the image for a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from synthbench import Budget, Context, Sample, SampleSet
from synthbench.toolkit.generators.joint import JointGenerator
from synthbench.toolkit.intensity.texture import match_texture
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.mode_collapse import check_mode_collapse
from synthbench.toolkit.training.training_log import preview_of
from synthbench.types import Image, LabelMap, Planes
from synthbench_diffusion.conditional import Conditions
from synthbench_diffusion.config import DiffusionConfig
from synthbench_diffusion.network import Denoiser
from synthbench_diffusion.process import GaussianDiffusion, classifier_free_guidance
from synthbench_diffusion.training import DiffusionTraining

__all__ = ["Diffusion"]


class Diffusion(JointGenerator[DiffusionConfig]):
    """A network learns to remove noise from training patches; sampling starts at pure noise.

    After Ho et al. 2020 (DDPM, arXiv 2006.11239) and Song et al. 2021 (DDIM, arXiv 2010.02502), on cells as NuDiff
    (MICCAI 2023), but with one network. In joint mode image and mask are drawn together; instances are encoded as a
    distance and a foreground plane. In conditional mode the mask comes from the mask sampler, and the network sees its
    planes. Samples have the size of the training patches in joint mode, and that of their masks in conditional mode.

    Attributes
    ----------
    conditions : Conditions or None
        Of the conditional mode.
    counts : Counter
        What sampling has come to: ``drawn`` samples, objects ``removed`` from their masks because of their area, and
        ``unplaced`` objects of recombined masks.
    """

    Config = DiffusionConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=20, batch_size=2, patch_size=64),
        "quick": Budget(steps=1800, batch_size=4, patch_size=128),
        "standard": Budget(steps=20_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=200_000, batch_size=16, patch_size=256),
    }
    random_stream = "diffusion"

    network: Denoiser
    process: GaussianDiffusion
    conditions: Conditions | None

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"denoiser": self.network}

    def build_networks(self) -> None:
        config, codec = self.config, self.codec
        self.process = GaussianDiffusion(config.timesteps, config.beta_schedule, resolved(config.prediction_type))
        channel_mult, factor = resolved(config.channel_mult), resolved(config.pixel_unshuffle_factor)
        side, attention = self.patch_size // factor, config.attention_resolution
        network = Denoiser(
            codec.planes if self.conditions is None else codec.image_planes,
            0 if self.conditions is None else self.conditions.planes,
            resolved(config.model_channels),
            channel_mult,
            factor,
            resolved(config.num_res_blocks),
            None if attention is None else [k for k in range(len(channel_mult)) if side == attention * 2**k],
        )
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()

    # -- training -----------------------------------------------------------------------------------------------------

    def prepare(self, train: SampleSet) -> None:
        conditional = self.config.mode == "conditional"
        self.conditions = Conditions.of(train, self.config, self.codec) if conditional else None

    def encode(self, sample: Sample, position: int) -> tuple[Planes, Planes]:
        image, mask = self.codec.encode(sample, position)
        if self.conditions is None:
            return image, mask
        return image, self.conditions.training_planes(mask, sample.labels, position)

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        training = DiffusionTraining(
            self.config,
            self.network.train(),
            self.process,
            batches,
            image_planes=self.codec.image_planes,
            conditions=self.conditions,
            random=random,
        )
        self.network = training.average.module
        loop.train(
            context,
            state=training.state,
            step=training.step,
            preview=preview_of(self, context.seed),
            task=train.task,
        )

    def check_samples(self, real: Planes, seed: int) -> None:
        if self.conditions is None:
            super().check_samples(real, seed)
            return
        channels = self.codec.image_planes
        rng = stream(seed, f"{self.random_stream}.check")
        drawn = np.stack([self.draw_image(patch[channels:], rng) for patch in real])
        check_mode_collapse(drawn, real[:, :channels], channels)

    # -- sampling -----------------------------------------------------------------------------------------------------

    def sample(self, index: int, seed: int) -> Sample:
        if self.conditions is None:
            return super().sample(index, seed)
        rng = stream(seed, f"{self.random_stream}.sample", index)
        condition = self.conditions.sample(index, seed, rng)
        planes = self.draw_image(condition.planes, rng)
        if self.config.texture:
            planes = match_texture(planes, condition.labels, condition.texture, rng)
        noise = rng if self.config.pixel_noise else None
        image = self.codec.decode_image(planes, condition.labels, condition.donor, noise)
        self.counts.update(drawn=1, removed=condition.removed, unplaced=condition.unplaced)
        return Sample(f"{index:06d}", image, condition.labels, condition.groups)

    def decode(self, planes: Planes, donor: int, rng: np.random.Generator) -> tuple[Image, LabelMap, int]:
        return self.codec.decode(planes, donor, rng if self.config.pixel_noise else None)

    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        shape = (self.codec.planes, self.patch_size, self.patch_size)
        return self._denoise(self.network, shape, rng, self.network.cycle_spin)

    @torch.no_grad()
    def draw_image(self, condition: Planes, rng: np.random.Generator) -> Planes:
        """Return the image for a condition.

        Parameters
        ----------
        condition
            ``(K, H, W)`` float32; see `synthbench_diffusion.conditional.Condition`.
        rng

        Returns
        -------
        ndarray
            ``(image_planes, H, W)`` float32, −1 … 1.
        """
        assert self.conditions is not None
        height, width = condition.shape[1:]
        margins = [(0, 0), *((0, -side % self.network.side_multiple) for side in (height, width))]
        padded = np.pad(condition, margins, mode="symmetric")
        seen = self.conditions.network_input(torch.from_numpy(padded)[None].to(self.device))
        predict = classifier_free_guidance(self.network, seen, resolved(self.config.guidance_scale))
        return self._denoise(predict, (self.codec.image_planes, *padded.shape[1:]), rng)[:, :height, :width]

    def _denoise(
        self,
        predict: Callable[..., torch.Tensor],
        shape: tuple[int, ...],
        rng: np.random.Generator,
        predict_last: Callable[..., torch.Tensor] | None = None,
    ) -> Planes:
        """Return planes of a shape ``(C, H, W)``, float32 in −1 … 1, drawn one by one with noise from the CPU."""
        noise = torch.from_numpy(rng.standard_normal((1, *shape), dtype=np.float32)).to(self.device)
        x_0 = self.process.ddim_sample(predict, noise, resolved(self.config.sampling_steps), predict_last)
        planes: Planes = x_0[0].cpu().numpy()
        return planes

    # -- files --------------------------------------------------------------------------------------------------------

    def save_state(self, folder: Path) -> None:
        super().save_state(folder)
        if self.conditions is not None:
            self.conditions.save(folder)

    def load_state(self, folder: Path) -> None:
        super().load_state(folder)
        conditional = self.config.mode == "conditional"
        self.conditions = Conditions.load(folder, self.config, self.codec) if conditional else None
