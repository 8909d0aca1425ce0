"""pix2pix: trained on pairs of mask and image, it draws images to new masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch

from synthbench import Budget, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.errors import DataError
from synthbench.toolkit import loop
from synthbench.toolkit.batches import Batches
from synthbench.toolkit.collapse import refuse_flat
from synthbench.toolkit.journal import so_far
from synthbench.toolkit.masks import MaskSampler
from synthbench.toolkit.optimise import linear_tail, set_rate
from synthbench.toolkit.patches import Encode, PatchStream
from synthbench.toolkit.texture import topped_up
from synthbench_pix2pix.config import Pix2PixConfig, sized
from synthbench_pix2pix.light import Light
from synthbench_pix2pix.losses import Losses, Term, l1
from synthbench_pix2pix.networks import UNet, discriminator
from synthbench_pix2pix.structure import structural, suited

MARGIN = 16
"""Pixels by which an image is drawn larger on each side, and cut back."""

_LIGHT, _WEIGHTS = "light.json", "generator.safetensors"
_DRAW = 51


class Pix2Pix(Generator):
    """A U-Net draws the image, a PatchGAN judges it beside its mask (Isola et al. 2017; set up as in arXiv 2512.10334).

    The condition of an instance dataset is (distance per instance, foreground without inner borders), so touching
    objects stay apart; of a semantic one, a plane per class. Drawn samples have a mask of the mask sampler, and the
    range and appearance of a training image with objects of similar size.

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

    def __init__(self, config: Pix2PixConfig | None = None) -> None:
        super().__init__(config)
        self.counts: Counter[str] = Counter()

    def fit(self, train: SampleSet, context: Context) -> None:
        if len(train) == 0:
            raise DataError("there are no training samples to learn from")
        self.config = sized(self.config, context.budget)
        if self.config.structure == "auto":
            self.config = self.config.model_copy(update={"structure": suited(train)})
        random = loop.runtime(context)
        self.light = Light.of(train)
        self.sampler = self.config.sampler(train)
        self.device = torch.device(context.device)
        self.network = self._build()
        self._train(train, context, random)
        self.network.eval()

    def draw(self, index: int | range, seed: int) -> Iterator[Sample]:
        for i in range(index, index + 1) if isinstance(index, int) else index:
            mask = self.sampler.sample(seed, i)
            rng = np.random.default_rng((seed, _DRAW, i))
            donor = int(rng.choice(self.sampler.alike(mask.source)))
            told, texture = self.light.objects_like(mask.labels, donor, rng)
            smooth, planes = self._image(mask.labels, told, donor, rng)
            if self.config.texture and texture.size:
                planes = np.clip(planes + topped_up(smooth, mask.labels, texture, rng) - smooth, -1.0, 1.0)
            self.counts.update(drawn=1, removed=mask.removed, unplaced=mask.unplaced)
            yield Sample(f"{i:06d}", self.light.restored(planes, donor), mask.labels)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.light.save(folder / _LIGHT)
        self.sampler.save(folder)
        loop.save_weights(self.network, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.runtime(context)
        new.light = Light.load(folder / _LIGHT)
        new.sampler = MaskSampler.load(folder)
        new.device = torch.device(context.device)
        new.network = new._build()
        loop.load_weights(new.network, folder / _WEIGHTS)
        new.network.eval()
        return new

    def _build(self) -> UNet:
        config = self.config
        inputs = self._told + config.noise
        network = UNet(inputs, self.light.channels, config.filters, config.depth, config.norm, config.dropout)
        return network.to(self.device, memory_format=torch.channels_last)

    @property
    def _told(self) -> int:
        """Planes of mask and appearance: what both networks see."""
        if not self.config.appearance:
            return self.light.classes
        of_objects = 0 if self.light.semantic else self.light.channels + 1
        return self.light.classes + of_objects + self.light.numbers.shape[1]

    def _train(self, train: SampleSet, context: Context, random: torch.Generator) -> None:
        config, budget = self.config, context.budget
        judge = discriminator(self._told + self.light.channels, config.discriminator_filters, config.norm)
        judge = judge.to(self.device, memory_format=torch.channels_last)
        assert config.structure != "auto"
        of_structure = structural(config.structure, config.structure_weight, self.light.semantic)
        losses = Losses([Term("l1", config.l1, l1), *of_structure])
        draws, judges = (
            torch.optim.Adam(net.parameters(), config.learning_rate, betas=(0.5, 0.999))
            for net in (self.network, judge)
        )
        stream = PatchStream(TrainingMix(train), budget, context.seed, encode=self._encoder(train), relit=False)
        batches = Batches(stream, context.device)
        numbers, grain = (torch.from_numpy(a).to(self.device) for a in (self.light.numbers, self.light.grain))

        def step(number: int) -> dict[str, torch.Tensor]:
            for optimiser in (draws, judges):
                set_rate(optimiser, config.learning_rate * linear_tail(number, budget.steps))
            real, targets = batches[number]
            condition, position = targets[:, :-1], targets[:, -1, 0, 0].long()
            told = self._tell(condition, numbers[position])
            shape = (len(real), config.noise + self.light.channels, *real.shape[2:])
            noise = torch.randn(shape, generator=random, device=self.device)
            with loop.autocast(self.device):
                smooth = self.network(torch.cat([told, noise[:, : config.noise]], dim=1))
                fake = self._with_grain(smooth, condition, grain[position], noise[:, config.noise :])
                of_real = judge(torch.cat([told, real], dim=1))[-1]
                of_fake = judge(torch.cat([told, fake.detach()], dim=1))[-1]
            judged = losses.discriminator(of_real, of_fake)
            judges.zero_grad()
            judged.backward()
            judges.step()
            judge.requires_grad_(False)
            with loop.autocast(self.device):
                verdict = judge(torch.cat([told, fake], dim=1))[-1]
            drawn, parts = losses.generator(verdict, smooth, real, condition)
            draws.zero_grad()
            drawn.backward()
            draws.step()
            judge.requires_grad_(True)
            return {**parts, "judge": judged}

        self.network.train()
        parts = {"generator": self.network, "discriminator": judge, "draws": draws, "judges": judges}
        loop.train(
            context,
            parts={**parts, "noise": random},
            step=step,
            draw=so_far(self, context.seed, self.network),
            task=train.task,
        )
        self.counts.clear()
        self.refuse_collapse(train, context.seed)

    def _encoder(self, train: SampleSet) -> Encode:
        def encoded(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
            position = train.position(sample.id)
            condition = self._condition(sample.labels, self.light.objects_of(sample.labels, position))
            which = np.full((1, *sample.labels.shape), position, np.float32)
            return self.light.scaled(sample.image, position), np.concatenate([condition, which])

        return encoded

    def _condition(self, labels: np.ndarray, of_objects: np.ndarray) -> np.ndarray:
        """Return the planes of a mask and, if the network is told, of its objects' light."""
        planes = self.light.mask(labels)
        return np.concatenate([planes, of_objects]) if self.config.appearance else planes

    def _tell(self, condition: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return the condition ``(B, K, H, W)`` and, as constant planes, the numbers ``(B, N)`` of each image."""
        if not self.config.appearance:
            return condition
        return torch.cat([condition, numbers[:, :, None, None].expand(-1, -1, *condition.shape[2:])], dim=1)

    def _with_grain(
        self, smooth: torch.Tensor, condition: torch.Tensor, grain: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Lay pixel noise over drawn images.

        Parameters
        ----------
        smooth, noise
            ``(B, C, H, W)``; the noise is white, of deviation 1.
        condition
            ``(B, K, H, W)``.
        grain
            ``(B, K, C)``, the deviation for each class.
        """
        if not self.config.grain:
            return smooth
        classes = condition[:, : self.light.classes]
        if not self.light.semantic:
            objects = (condition[:, :1] > 0).float()
            classes = torch.cat([1 - objects, objects], dim=1)
        strength = torch.einsum("bkhw,bkc->bchw", classes, grain)
        return (smooth.float() + strength * noise).clamp(-1, 1)

    @torch.no_grad()
    def _image(
        self, labels: np.ndarray, of_objects: np.ndarray, donor: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return one image without and with its grain, both ``(channels, height, width)`` float32 in −1 … 1.

        Images are drawn one by one, so that no batch changes them; each with a margin that is cut off, because the
        network's zero padding darkens its borders.
        """
        margin = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
        condition = torch.from_numpy(np.pad(self._condition(labels, of_objects), margin, mode="symmetric"))[None]
        told = self._tell(condition, torch.from_numpy(self.light.numbers[donor])[None])
        shape = (1, self.config.noise + self.light.channels, *condition.shape[2:])
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        self.network.keep_dropping(torch.Generator().manual_seed(int(rng.integers(2**62))))
        smooth = self.network(torch.cat([told, noise[:, : self.config.noise]], dim=1).to(self.device)).cpu()
        self.network.keep_dropping(None)
        grain = torch.from_numpy(self.light.grain[donor])[None]
        drawn = self._with_grain(smooth, condition, grain, noise[:, self.config.noise :])
        inside = (0, slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        return smooth[inside].numpy(), drawn[inside].numpy()

    def refuse_collapse(self, train: SampleSet, seed: int) -> None:
        """Raise `Diverged` if the images of the first training masks are flat where the real ones aren't."""
        self.network.eval()
        spreads = []
        for position in range(min(4, len(train))):
            sample = train[position]
            own = self.light.objects_of(sample.labels, position)
            drawn, _ = self._image(sample.labels, own, position, np.random.default_rng((seed, _DRAW)))
            spreads.append((float(drawn.std()), float(self.light.scaled(sample.image, position).std())))
        refuse_flat(spreads)
