"""StyleGAN2 with masks: trained against its discriminator; image and mask are drawn from z and a class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from synthbench import Budget, Context, Sample, SampleSet
from synthbench.toolkit.generators.joint import JointGenerator
from synthbench.toolkit.masks.codec import ImageMaskCodec, MaskEncoding
from synthbench.toolkit.rng import stream
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.training_log import preview_of
from synthbench.types import Image, LabelMap, Planes
from synthbench_stylegan2.config import StyleGan2MaskConfig
from synthbench_stylegan2.discriminator import Discriminator
from synthbench_stylegan2.networks import GeneratorNetwork, MappingNetwork, SynthesisNetwork
from synthbench_stylegan2.selection import BestWeights
from synthbench_stylegan2.training import StyleGan2Training

__all__ = ["StyleGan2Mask"]

COMPARED = 128
"""Drawn patches in each comparison for the selection of weights, with twice as many training patches."""


class StyleGan2Mask(JointGenerator[StyleGan2MaskConfig]):
    """StyleGAN2 that draws image and mask together from z and a class (ICAART 2025).

    The skip path carries features instead of colours; image and mask part at its end
    (`synthbench_stylegan2.networks.SynthesisNetwork`). The discriminator sees both. Where the samples have classes,
    they are learned by ReACGAN's D2D-CE, and a drawn sample has its class in its groups. With several groups,
    each combination of their values in the training set is a class. Samples have the size of the training patches.

    A few thousand patches on a CPU give rough images; the method is made for a GPU.
    """

    Config = StyleGan2MaskConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=12, batch_size=2, patch_size=64),
        "quick": Budget(steps=3000, batch_size=8, patch_size=128),
        "standard": Budget(steps=20_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=60_000, batch_size=16, patch_size=512),
    }
    random_stream = "stylegan2-mask"

    network: GeneratorNetwork

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"generator": self.network}

    def build_networks(self) -> None:
        config = self.config
        synthesis = SynthesisNetwork(
            self.patch_size,
            resolved(config.pixel_unshuffle_factor),
            resolved(config.channel_max),
            resolved(config.channel_base),
            config.w_dim,
            self.codec.image_planes,
            self.mask_planes,
            classes=self.codec.mask_encoding == "classes",
            filtered=config.resampling == "filtered",
        )
        mapping = MappingNetwork(config.z_dim, config.w_dim, self.conditions.class_count, config.mapping_layers)
        network = GeneratorNetwork(mapping, synthesis)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()

    # -- training -----------------------------------------------------------------------------------------------------

    def fit_codec(self, train: SampleSet) -> ImageMaskCodec:
        encoding: MaskEncoding = "distance" if self.config.mask_encoding == "distance" else "grey"
        return ImageMaskCodec.of(train, encoding, self.config.grey_levels)

    def encode(self, sample: Sample, position: int) -> tuple[Planes, Planes]:
        image, mask = self.codec.encode(sample, position)
        return image, mask[: self.mask_planes]

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        config, budget, stream = self.config, context.budget, batches.stream
        discriminator = Discriminator(
            self.patch_size,
            resolved(config.pixel_unshuffle_factor),
            resolved(config.channel_max),
            resolved(config.channel_base),
            self.codec.image_planes + self.mask_planes,
            self.conditions.class_count,
            config.d_embed_dim,
            filtered=config.resampling == "filtered",
        )
        training = StyleGan2Training(
            config,
            self.network.train(),
            discriminator.to(self.device).to(memory_format=torch.channels_last),
            image_planes=self.codec.image_planes,
            class_fractions=self.conditions.fractions,
            batch_size=budget.batch_size,
            seed=context.seed,
            random=random,
        )
        class_of_sample = torch.tensor(self.conditions.classes, device=self.device)
        self.network = training.average.module
        best = BestWeights(lambda: torch.from_numpy(stream.first_patches(2 * COMPARED)), self.codec.image_planes)

        def step(number: int) -> loop.Losses:
            classes = class_of_sample[[slot.index for slot in stream.slots(number)]]
            losses: dict[str, float | torch.Tensor] = {}
            losses.update(training.step(number, torch.cat(batches[number], dim=1), classes))
            done = number + 1
            if done % config.selection_interval == 0 or config.selection_interval < done == budget.steps:
                best.update(self._draw_patches(COMPARED, context.seed), self.network)
            losses["ada_p"] = training.augmentation.p
            if np.isfinite(best.last):
                losses["frechet_distance"] = best.last
            return losses

        loop.train(
            context,
            state={**training.state, "best": best},
            step=step,
            preview=preview_of(self, context.seed),
            task=train.task,
        )
        best.restore(self.network)

    # -- sampling -----------------------------------------------------------------------------------------------------

    @property
    def mask_planes(self) -> int:
        return 0 if self.config.mask_encoding == "none" else self.codec.mask_planes

    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        return self._synthesise(donor, rng, None)

    def planes_for_check(self, donor: int, rng: np.random.Generator, seed: int) -> Planes:
        """Return planes whose layer noise is the same in all samples, so that only z and the class differ."""
        return self._synthesise(donor, rng, seed)

    def decode(self, planes: Planes, donor: int, rng: np.random.Generator) -> tuple[Image, LabelMap, int]:
        if self.mask_planes:
            return self.codec.decode(planes, donor)
        labels = np.zeros(planes.shape[1:], np.int32)
        return self.codec.decode_image(planes, labels, donor), labels, 0

    def groups(self, donor: int) -> dict[str, str]:
        return super().groups(donor) if self.mask_planes else self.conditions.groups_of(donor)

    @torch.no_grad()
    def _synthesise(self, donor: int, rng: np.random.Generator, noise_seed: int | None) -> Planes:
        """Return the planes of a z drawn from `rng` and the donor's class.

        They are drawn one by one and all random numbers come from the CPU, so that a sample depends neither on others
        nor on the device. Without `noise_seed`, `rng` seeds the noise of the layers.
        """
        z = torch.from_numpy(rng.standard_normal((1, self.config.z_dim), dtype=np.float32)).to(self.device)
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)) if noise_seed is None else noise_seed)
        classes = torch.tensor([self.conditions.classes[donor]], device=self.device)
        planes: Planes = self.network(z, classes, noise)[0].float().cpu().numpy()
        return planes

    def _draw_patches(self, count: int, seed: int) -> torch.Tensor:
        """Draw patches to compare with training patches, ``(count, planes, side, side)`` on the CPU."""
        patches = []
        for index in range(count):
            rng = stream(seed, f"{self.random_stream}.check", index)
            patches.append(self.draw_planes(self.draw_donor(rng), rng))
        return torch.from_numpy(np.stack(patches))
