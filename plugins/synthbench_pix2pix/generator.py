"""pix2pix: trained on pairs of mask and image, it draws images to new masks."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch

from synthbench import Budget, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.toolkit.intensity.conditioning import IntensityConditioning, conditioning_planes
from synthbench.toolkit.intensity.texture import match_texture
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.sampler import MaskSampler
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import check_flat
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import linear_tail, set_learning_rate
from synthbench.toolkit.training.training_log import preview_of
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_pix2pix.config import Pix2PixConfig
from synthbench_pix2pix.losses import Losses, Term, l1
from synthbench_pix2pix.networks import UNet, discriminator
from synthbench_pix2pix.structure import structural, suited

MARGIN = 16
"""Pixels by which an image is drawn larger on each side, and cut back."""

_CODEC, _INTENSITY, _WEIGHTS = "codec.json", "intensity.json", "generator.safetensors"
_DRAW = 51


class Pix2Pix(Generator[Pix2PixConfig]):
    """A U-Net draws the image, a PatchGAN judges it beside its mask (Isola et al. 2017; set up as in arXiv 2512.10334).

    The condition of an instance dataset is (distance per instance, foreground without inner borders), so touching
    objects stay apart; of a semantic one, a plane per class. Drawn samples have a mask of the mask sampler, and range,
    light and texture of a training image with objects of similar size.

    Attributes
    ----------
    counts : Counter
        What drawing has come to: ``drawn`` samples, ``removed`` specks and ``unplaced`` objects of their masks.
    """

    Config = Pix2PixConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=30, batch_size=2, patch_size=64),
        "quick": Budget(steps=2000, batch_size=4, patch_size=128),
        "standard": Budget(steps=40_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=100_000, batch_size=1, patch_size=256),
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        self.config = self.config.resolve(context.budget)
        self.codec = ImageMaskCodec.of(train, "distance", 1)
        if self.config.structure == "auto":
            found = suited(train)
            idle = {"structure_weight": None} if found == "none" else {}
            self.config = self.config.model_copy(update={"structure": found, **idle})
        random = loop.prepare_torch(context)
        told = self.config.intensity_conditioning
        self.intensity = IntensityConditioning.of(train, self.codec) if told else IntensityConditioning.none(len(train))
        self.sampler = self.config.sampler(train)
        self.device = torch.device(context.device)
        self.network = self._build()
        self._train(train, context, random)
        self.network.eval()

    def sample(self, index: int, seed: int) -> Sample:
        mask = self.sampler.sample_mask(index, seed)
        rng = np.random.default_rng((seed, _DRAW, index))
        donor = int(rng.choice(self.sampler.similar_masks(mask.source)))
        told, texture = self.intensity.planes_for(mask.labels, donor, rng)
        planes = self._image(mask.labels, told, rng)
        if self.config.texture:
            planes = match_texture(planes, mask.labels, texture, rng)
        grain = rng if self.config.pixel_noise else None
        self.counts.update(drawn=1, removed=mask.removed, unplaced=mask.unplaced)
        image = self.codec.decode_image(planes, mask.labels, donor, grain)
        return Sample(f"{index:06d}", image, mask.labels, mask.groups)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.save(folder / _CODEC)
        self.intensity.save(folder / _INTENSITY)
        self.sampler.save(folder)
        save_weights(self.network, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.prepare_torch(context)
        new.codec = ImageMaskCodec.load(folder / _CODEC)
        new.intensity = IntensityConditioning.load(folder / _INTENSITY)
        new.sampler = MaskSampler.load(folder)
        new.device = torch.device(context.device)
        new.network = new._build()
        load_weights(new.network, folder / _WEIGHTS)
        new.network.eval()
        return new

    def _build(self) -> UNet:
        config = self.config
        inputs = self._told + config.noise
        network = UNet(inputs, self.codec.image_planes, config.filters, config.depth, config.norm, config.dropout)
        return network.to(self.device, memory_format=torch.channels_last)

    @property
    def _told(self) -> int:
        """Planes of mask and appearance: what both networks see."""
        return self.codec.mask_planes + self.intensity.planes

    def _train(self, train: SampleSet, context: Context, random: torch.Generator) -> None:
        config, budget = self.config, context.budget
        judge = discriminator(self._told + self.codec.image_planes, config.discriminator_filters, config.norm)
        judge = judge.to(self.device, memory_format=torch.channels_last)
        assert config.structure != "auto"
        of_structure = structural(config.structure, config.structure_weight, self.codec.mask_encoding == "classes")
        losses = Losses([Term("l1", config.l1, l1), *of_structure])
        draws, judges = (
            torch.optim.Adam(net.parameters(), config.learning_rate, betas=(0.5, 0.999))
            for net in (self.network, judge)
        )
        stream = PatchStream(
            TrainingMix(train),
            budget,
            context.seed,
            encode=lambda sample: self._encode(sample, train.position(sample.id)),
            augment_intensity=False,
        )
        batches = Batches(stream, context.device)

        def step(number: int) -> dict[str, torch.Tensor]:
            for optimiser in (draws, judges):
                set_learning_rate(optimiser, config.learning_rate * linear_tail(number, budget.steps))
            real, planes = batches[number]
            told, grain = self._seen(planes), planes[:, self._told :]
            shape = (len(real), config.noise + self.codec.image_planes, *real.shape[2:])
            noise = torch.randn(shape, generator=random, device=self.device)
            with loop.autocast(self.device):
                smooth = self.network(torch.cat([told, noise[:, : config.noise]], dim=1))
                fake = (smooth.float() + grain * noise[:, config.noise :]).clamp(-1, 1)
                of_real = judge(torch.cat([told, real], dim=1))[-1]
                of_fake = judge(torch.cat([told, fake.detach()], dim=1))[-1]
            judged = losses.discriminator(of_real, of_fake)
            judges.zero_grad()
            judged.backward()
            judges.step()
            judge.requires_grad_(False)
            with loop.autocast(self.device):
                verdict = judge(torch.cat([told, fake], dim=1))[-1]
            drawn, parts = losses.generator(verdict, smooth, real, (planes[:, : self.codec.mask_planes] + 1) / 2)
            draws.zero_grad()
            drawn.backward()
            draws.step()
            judge.requires_grad_(True)
            return {**parts, "judge": judged}

        self.network.train()
        parts = {"generator": self.network, "discriminator": judge, "draws": draws, "judges": judges}
        loop.train(
            context,
            state={**parts, "noise": random},
            step=step,
            preview=preview_of(self, context.seed, self.network),
            task=train.task,
        )
        self.counts.clear()
        self.check_mode_collapse(train, context.seed)

    def _encode(self, sample: Sample, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the image of a training sample, and its mask with what is told of its light, and with its noise."""
        image, mask = self.codec.encode(sample, position)
        grain = (
            self.codec.pixel_noise_planes(sample.labels, position) if self.config.pixel_noise else np.zeros_like(image)
        )
        return image, np.concatenate([mask, self.intensity.training_planes(sample.labels, position), grain])

    def _seen(self, planes: torch.Tensor) -> torch.Tensor:
        """Return what both networks see of masks, their light and whatever follows, ``(B, masks + N + …, H, W)``."""
        mask, told = planes[:, : self.codec.mask_planes], planes[:, self.codec.mask_planes : self._told]
        return conditioning_planes(mask, told, self.intensity.object_planes)

    @torch.no_grad()
    def _image(self, labels: np.ndarray, told: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one image without its grain, ``(channels, height, width)`` float32 in −1 … 1.

        Images are drawn one by one, so that no batch changes them; each with a margin that is cut off, because the
        network's zero padding darkens its borders.
        """
        margin = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
        planes = np.pad(np.concatenate([self.codec.encode_mask(labels), told]), margin, mode="symmetric")
        seen = self._seen(torch.from_numpy(planes)[None])
        noise = torch.from_numpy(rng.standard_normal((1, self.config.noise, *seen.shape[2:]), dtype=np.float32))
        self.network.keep_dropping(torch.Generator().manual_seed(int(rng.integers(2**62))))
        image = self.network(torch.cat([seen, noise], dim=1).to(self.device))[0].cpu().numpy()
        self.network.keep_dropping(None)
        inside: np.ndarray = image[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        return inside

    def check_mode_collapse(self, train: SampleSet, seed: int) -> None:
        """Raise `Diverged` if the images of the first training masks are flat where the real ones aren't."""
        self.network.eval()
        spreads = []
        for position in range(min(4, len(train))):
            sample = train[position]
            own = self.intensity.training_planes(sample.labels, position)
            drawn = self._image(sample.labels, own, np.random.default_rng((seed, _DRAW)))
            spreads.append((float(drawn.std()), float(self.codec.encode(sample, position)[0].std())))
        check_flat(spreads)
