"""VQ-VAE + PixelCNN: the networks are trained one after the other; codes are drawn and decoded to image and mask."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from monai.networks.nets.vqvae import VQVAE
from torch import nn

from synthbench import Budget, Context, SampleSet
from synthbench.toolkit.generators.joint import JointGenerator
from synthbench.toolkit.layers.cycle_spinning import cycle_spin
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.phases import split_steps, train_phase
from synthbench.toolkit.training.training_log import preview_of
from synthbench.types import Image, IntArray, LabelMap, Planes
from synthbench_vqvae.config import VqVaePixelCnnConfig
from synthbench_vqvae.pixelcnn import PixelCNN, Sampler, categorical
from synthbench_vqvae.training import PixelCnnTraining, VqVaeTraining, check_codebook, reconstruct

__all__ = ["VqVaePixelCnn"]


class VqVaePixelCnn(JointGenerator[VqVaePixelCnnConfig]):
    """Image and mask together from discrete codes (arXiv 2408.00707, "dual image").

    The planes of image and mask are encoded together by a VQ-VAE (MONAI's, whose codebook is a moving average) as a
    small map of codes; a gated PixelCNN learns their distribution, and draws new maps code by code. Samples have the
    size of the training patches.
    """

    Config = VqVaePixelCnnConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=30, batch_size=2, patch_size=64),
        "quick": Budget(steps=2000, batch_size=4, patch_size=128),
        "standard": Budget(steps=60_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=200_000, batch_size=16, patch_size=256),
    }
    random_stream = "vqvae-pixelcnn"
    min_std_ratio = 1e-6  # after a few steps, decoded planes hardly vary

    vqvae: VQVAE
    pixelcnn: PixelCNN

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"vqvae": self.vqvae, "pixelcnn": self.pixelcnn}

    def build_networks(self) -> None:
        config = self.config
        num_hiddens, num_embeddings = resolved(config.num_hiddens), resolved(config.num_embeddings)
        channels = tuple(num_hiddens * min(2**stage, 2) for stage in range(config.num_downsamples))
        self.vqvae = VQVAE(
            spatial_dims=2,
            in_channels=self.codec.planes,
            out_channels=self.codec.planes,
            channels=channels,
            num_res_layers=1,
            num_res_channels=channels,
            downsample_parameters=((2, 4, 1, 1),) * config.num_downsamples,
            upsample_parameters=((2, 4, 1, 1, 0),) * config.num_downsamples,
            num_embeddings=num_embeddings,
            embedding_dim=config.embedding_dim,
            commitment_cost=config.commitment_cost,
            decay=config.codebook_decay,
            ddp_sync=False,
        ).to(self.device)
        self.pixelcnn = PixelCNN(num_embeddings, resolved(config.pixelcnn_channels), resolved(config.pixelcnn_layers))
        self.pixelcnn.to(self.device)
        for network in (self.vqvae, self.pixelcnn):
            network.to(memory_format=torch.channels_last)

    # -- training -----------------------------------------------------------------------------------------------------

    def fit_codec(self, train: SampleSet) -> ImageMaskCodec:
        return ImageMaskCodec.of(train, self.config.mask_encoding, self.config.grey_levels)

    def train_networks(self, train: SampleSet, batches: Batches, context: Context, random: torch.Generator) -> None:
        config, total = self.config, context.budget.steps
        first = split_steps(total, config.vqvae_fraction)
        vqvae_training = VqVaeTraining(
            config,
            self.vqvae.train(),
            batches,
            steps=first,
            image_planes=self.codec.image_planes,
            classes=self.codec.mask_encoding == "classes",
        )
        train_phase("vqvae", vqvae_training, 0, first, context)
        self.vqvae.eval()
        check_codebook(self.vqvae, batches, first)
        pixelcnn_training = PixelCnnTraining(
            config, self.pixelcnn.train(), self.vqvae, batches, first=first, steps=total - first
        )
        self.pixelcnn = pixelcnn_training.average.module
        preview = preview_of(self, context.seed)
        train_phase("pixelcnn", pixelcnn_training, first, total, context, preview, task=train.task)

    # -- sampling -----------------------------------------------------------------------------------------------------

    def draw_planes(self, donor: int, rng: np.random.Generator) -> Planes:
        planes = self.planes_for_check(donor, rng, 0)
        return self.smooth(planes) if self.config.cycle_spinning else planes

    @torch.no_grad()
    def planes_for_check(self, donor: int, rng: np.random.Generator, seed: int) -> Planes:
        """Return the decoded planes of a new map of codes."""
        codes = torch.from_numpy(self.draw_codes(rng))[None].to(self.device)
        planes: Planes = self.vqvae.decode_samples(codes)[0].float().cpu().numpy()
        return planes

    def draw_codes(self, rng: np.random.Generator) -> IntArray:
        """Draw a map of codes, ``(H, W)`` int64."""
        side, temperature = self.patch_size // 2**self.config.num_downsamples, self.config.temperature
        return Sampler(self.pixelcnn).sample(side, side, lambda logits: categorical(logits, temperature, rng))

    @torch.no_grad()
    def smooth(self, planes: Planes) -> Planes:
        """Return decoded planes, the image without the grid of the codes' squares.

        The image is encoded and decoded again at shifted positions, and averaged; the mask stays.
        """
        decoded, period = torch.from_numpy(planes)[None].to(self.device), 2**self.config.num_downsamples
        spun = cycle_spin(lambda shifted: reconstruct(self.vqvae, shifted)[0], decoded, period, period)
        return np.concatenate([spun[0].cpu().numpy()[: self.codec.image_planes], planes[self.codec.image_planes :]])

    def decode(self, planes: Planes, donor: int, rng: np.random.Generator) -> tuple[Image, LabelMap, int]:
        return self.codec.decode(planes, donor, rng if self.config.pixel_noise else None)
