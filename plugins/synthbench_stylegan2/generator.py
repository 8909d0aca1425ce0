"""StyleGAN2 with masks: fit it against its discriminator, draw image and mask from z and a class."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch

from synthbench import Budget, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.errors import StoreError
from synthbench.samples import MASK
from synthbench.toolkit.masks.codec import ImageMaskCodec, MaskEncoding
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import SAMPLES_TO_CHECK, check_mode_collapse
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.training_log import preview_of
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_stylegan2.classes import Classes
from synthbench_stylegan2.config import StyleGan2MaskConfig
from synthbench_stylegan2.control import Best
from synthbench_stylegan2.discriminator import Discriminator
from synthbench_stylegan2.networks import Drawer, Mapping, Synthesis
from synthbench_stylegan2.training import Training

_CODEC, _CLASSES, _SIDE, _WEIGHTS = "codec.json", "classes.json", "side.txt", "generator.safetensors"
_DRAW, _LOOK = 82, 83
COMPARED = 128
"""Drawn patches in each comparison, with twice as many training patches."""


class StyleGan2Mask(Generator[StyleGan2MaskConfig]):
    """StyleGAN2 that draws image and mask at once from z and a class (ICAART 2025).

    The skip path carries features instead of colours; image and mask part at its end
    (`synthbench_stylegan2.networks.Synthesis`). The discriminator sees both. Where the samples have classes, ReACGAN's
    D2D-CE tells them apart, and a drawn sample carries its class, drawn by the shares of the training samples, in its
    groups. Samples have the size of the training patches.

    A discriminator and a few thousand patches on a CPU give rough pictures; the method is made for a GPU.

    Attributes
    ----------
    counts : Counter
        ``lost`` objects of the training masks, which would have needed one grey level more than there are; and what
        drawing has come to: ``drawn`` samples, and ``removed`` specks and giants of their masks.
    """

    Config = StyleGan2MaskConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=12, batch_size=2, patch_size=64),
        "quick": Budget(steps=3000, batch_size=8, patch_size=128),
        "standard": Budget(steps=20_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=60_000, batch_size=16, patch_size=512),
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        self.side, self.config = context.budget.patch_size, self.config.resolve(context.budget)
        form: MaskEncoding = "distance" if self.config.mask == "distance" else "grey"
        self.codec = ImageMaskCodec.of(train, form, self.config.levels)
        self.classes = Classes.of(train, self.config.group)
        random = loop.prepare_torch(context)
        self._build(context)
        self._train(train, context, random)
        self.counts.clear()
        self._count_lost(train)

    def sample(self, index: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, _DRAW, index))
        which, donor, groups = self.classes.draw(rng)
        planes = self._planes(rng, which)
        if self.masks:
            image, labels, removed = self.codec.decode(planes, donor)
        else:
            labels, removed = np.zeros(planes.shape[1:], np.int32), 0
            image = self.codec.decode_image(planes, labels, donor)
        self.counts.update(drawn=1, removed=removed)
        return Sample(f"{index:06d}", image, labels, {**groups, MASK: "new"} if self.masks else groups)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.save(folder / _CODEC)
        self.classes.save(folder / _CLASSES)
        (folder / _SIDE).write_text(f"{self.side}\n", encoding="utf-8")
        save_weights(self.network, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.prepare_torch(context)
        new.codec = ImageMaskCodec.load(folder / _CODEC)
        new.classes = Classes.load(folder / _CLASSES)
        try:
            new.side = int((folder / _SIDE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder / _SIDE}: can't be read: {error}; fit again") from None
        new._build(context)
        load_weights(new.network, folder / _WEIGHTS)
        return new

    @property
    def masks(self) -> int:
        """Planes of the mask that are drawn."""
        return 0 if self.config.mask == "none" else self.codec.mask_planes

    def _build(self, context: Context) -> None:
        config = self.config
        self.device = torch.device(context.device)
        synthesis = Synthesis(
            self.side,
            config.fold,
            config.channels,
            config.base,
            config.latent,
            self.codec.image_planes,
            self.masks,
            classes=self.codec.mask_encoding == "classes",
        )
        network = Drawer(Mapping(config.latent, len(self.classes.names), config.mapping_layers), synthesis)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()

    # -- training -----------------------------------------------------------------------------------------------------

    def _train(self, train: SampleSet, context: Context, random: torch.Generator) -> None:
        config, budget = self.config, context.budget
        planes, classes = self.codec.image_planes + self.masks, len(self.classes.names)
        judge = Discriminator(
            self.side, config.fold, config.channels, config.base, planes, classes, config.embedding
        ).to(self.device, memory_format=torch.channels_last)  # fmt: skip
        training = Training(
            config,
            self.network.train(),
            judge,
            channels=self.codec.image_planes,
            shares=self.classes.shares,
            batch=budget.batch_size,
            seed=context.seed,
            random=random,
        )
        stream = PatchStream(
            TrainingMix(train), budget, context.seed, encode=lambda s: self._encoded(s, train.position(s.id)),
            augment_intensity=False,
        )  # fmt: skip
        batches = Batches(stream, context.device)
        members = torch.tensor(self.classes.members, device=self.device)
        average = training.average.module
        best = Best(lambda: torch.from_numpy(stream.first_patches(2 * COMPARED)), self.codec.image_planes)

        def step(number: int) -> dict[str, float | torch.Tensor]:
            slots = range(number * budget.batch_size, (number + 1) * budget.batch_size)
            real = torch.cat(batches[number], dim=1)
            losses: dict[str, float | torch.Tensor] = {}
            losses.update(training.step(number, real, members[[stream.slot(slot).index for slot in slots]]))
            if (number + 1) % config.check_every == 0 or config.check_every < number + 1 == budget.steps:
                best.look(self._drawn(average, COMPARED, context.seed), average)
            losses["augmented"] = training.adaptive.p
            if np.isfinite(best.last):
                losses["distance"] = best.last
            return losses

        self.network = average
        loop.train(
            context,
            state={**training.parts, "best": best},
            step=step,
            preview=preview_of(self, context.seed),
            task=train.task,
        )
        best.restore(average)
        self._check_mode_collapse(stream.first_patches(SAMPLES_TO_CHECK), context.seed)

    def _count_lost(self, train: SampleSet) -> None:
        """Count the objects of the training masks for which there is no grey level."""
        if self.masks and self.codec.mask_encoding == "grey":
            self.counts["lost"] = self.codec.count_lost(train)

    def _encoded(self, sample: Sample, position: int) -> tuple[np.ndarray, np.ndarray]:
        image, mask = self.codec.encode(sample, position)
        return image, mask[: self.masks]

    def _check_mode_collapse(self, real: np.ndarray, seed: int) -> None:
        """Raise `Diverged` if drawn patches are flat or alike, though z and class differ; the noise is the same."""
        drawn = self._drawn(self.network, SAMPLES_TO_CHECK, seed, noise=seed)
        check_mode_collapse(drawn.numpy(), real, self.codec.image_planes)

    # -- drawing ------------------------------------------------------------------------------------------------------

    def _drawn(self, network: Drawer, count: int, seed: int, noise: int | None = None) -> torch.Tensor:
        """Draw patches from a seed to look at, ``(count, planes, side, side)`` on the CPU."""
        rngs = [np.random.default_rng((seed, _LOOK, i)) for i in range(count)]
        found = [self._planes(rng, self.classes.draw(rng)[0], network, noise) for rng in rngs]
        return torch.from_numpy(np.stack(found))

    @torch.no_grad()
    def _planes(
        self, rng: np.random.Generator, which: int, network: Drawer | None = None, noise: int | None = None
    ) -> np.ndarray:
        """Draw planes of a class, ``(channels + masks, side, side)`` float32; one by one, so that no batch counts.

        All randomness is drawn on the CPU, so that it is the same on every device. `noise` seeds the layers' noise;
        None: `rng` does.
        """
        z = torch.from_numpy(rng.standard_normal((1, self.config.latent), dtype=np.float32)).to(self.device)
        random = torch.Generator().manual_seed(int(rng.integers(2**62)) if noise is None else noise)
        planes = (network or self.network)(z, torch.tensor([which], device=self.device), random)
        drawn: np.ndarray = planes[0].float().cpu().numpy()
        return drawn
