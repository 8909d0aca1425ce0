"""Diffusion models of image and mask, or of the image for a mask: fit the network, draw samples from noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.errors import StoreError
from synthbench.samples import MASK
from synthbench.toolkit.intensity.conditioning import IntensityConditioning, conditioning_planes
from synthbench.toolkit.intensity.texture import match_texture
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.objects import relabel
from synthbench.toolkit.masks.sampler import MaskSampler, SampledMask
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import SAMPLES_TO_CHECK, check_mode_collapse
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import averaged_model, one_cycle
from synthbench.toolkit.training.training_log import preview_of
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_diffusion.config import DiffusionConfig
from synthbench_diffusion.network import Denoiser
from synthbench_diffusion.process import Process, guided

_CODEC, _INTENSITY, _SIDE, _WEIGHTS = "codec.json", "intensity.json", "side.txt", "denoiser.safetensors"
_DRAW, _LOOK = 71, 72


class Diffusion(Generator[DiffusionConfig]):
    """A network learns to take noise away from training patches; drawing takes it from pure noise.

    After Ho et al. 2020 (DDPM, arXiv 2006.11239) and Song et al. 2021 (DDIM, arXiv 2010.02502), on cells as NuDiff
    (MICCAI 2023), but with one network. In joint mode image and mask are planes of one picture, and drawn at once;
    instances are a distance and a foreground plane, which a watershed decodes. In conditional mode the mask comes
    from the mask sampler, and the network is told its planes: for instances a distance for each and the foreground
    without inner borders, else a plane per class; in a long training, classifier-free guidance makes it heed them. In a
    short one it is told the light of the objects too, and their texture is laid over what it draws. The codes of masks
    and these two are this project's choice. Samples have the size of the training patches in joint mode, that of their
    masks else.

    Attributes
    ----------
    counts : Counter
        What drawing has come to: ``drawn`` samples, ``removed`` specks and giants of their masks, and ``unplaced``
        objects of masks that were recombined.
    """

    Config = DiffusionConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=20, batch_size=2, patch_size=64),
        "quick": Budget(steps=1800, batch_size=4, patch_size=128),
        "standard": Budget(steps=20_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=200_000, batch_size=16, patch_size=256),
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        self.side, self.config = context.budget.patch_size, self.config.resolve(context.budget)
        self.codec = ImageMaskCodec.of(train, "distance", levels=1)
        self.sampler = self.config.sampler(train) if self.conditional else None
        told = self.config.intensity_conditioning
        self.intensity = IntensityConditioning.of(train, self.codec) if told else IntensityConditioning.none(len(train))
        random = loop.prepare_torch(context)
        self._build(context)
        self._train(train, context, random)

    def sample(self, index: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, _DRAW, index))
        if self.sampler is None:
            donor = int(rng.integers(len(self.codec.normalisations)))
            image, labels, removed = self.codec.decode(self._planes(rng, None), donor, self._grainy(rng))
            groups = {MASK: "new"}
            self.counts.update(drawn=1, removed=removed)
        else:
            drawn = self.sampler.sample_mask(index, seed)
            groups = drawn.groups
            mask, labels, donor = self._mask(self.sampler, drawn, rng)
            told, texture = self.intensity.planes_for(labels, donor, rng)
            planes = self._planes(rng, np.concatenate([mask, told]))
            if self.config.texture:
                planes = match_texture(planes, labels, texture, rng)
            image = self.codec.decode_image(planes, labels, donor, self._grainy(rng))
        return Sample(f"{index:06d}", image, labels, groups)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.save(folder / _CODEC)
        self.intensity.save(folder / _INTENSITY)
        (folder / _SIDE).write_text(f"{self.side}\n", encoding="utf-8")
        if self.sampler is not None:
            self.sampler.save(folder)
        save_weights(self.network, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.prepare_torch(context)
        new.codec = ImageMaskCodec.load(folder / _CODEC)
        new.intensity = IntensityConditioning.load(folder / _INTENSITY)
        new.sampler = MaskSampler.load(folder) if new.conditional else None
        try:
            new.side = int((folder / _SIDE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder / _SIDE}: can't be read: {error}; fit again") from None
        new._build(context)
        load_weights(new.network, folder / _WEIGHTS)
        return new

    @property
    def conditional(self) -> bool:
        """Whether images are drawn to masks that are there already."""
        return self.config.mode == "conditional"

    def _build(self, context: Context) -> None:
        config = self.config
        self.device = torch.device(context.device)
        self.process = Process(config.times, config.schedule, config.prediction)
        drawn = self.codec.image_planes if self.conditional else self.codec.planes
        told = self.codec.planes - drawn + self.intensity.planes
        network = Denoiser(drawn, told, config.filters, config.levels, config.fold)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()

    # -- training ---------------------------------------------------------------------------------------------------

    def _train(self, train: SampleSet, context: Context, random: torch.Generator) -> None:
        config, budget, channels = self.config, context.budget, self.codec.image_planes

        def encoded(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
            position = train.position(sample.id)
            image, mask = self.codec.encode(sample, position)
            return image, np.concatenate([mask, self.intensity.training_planes(sample.labels, position)])

        stream = PatchStream(TrainingMix(train), budget, context.seed, encode=encoded, augment_intensity=False)
        batches = Batches(stream, context.device)
        network: torch.nn.Module = self.network.train()
        average = averaged_model(network, config.decay)
        optimiser = torch.optim.Adam(network.parameters(), self.config.learning_rate)
        schedule = LambdaLR(optimiser, lambda number: one_cycle(number, budget.steps))

        def step(number: int) -> dict[str, torch.Tensor]:
            image, mask = batches[number]
            clean = image if self.conditional else torch.cat([image, mask], dim=1)
            told = self._left_out(self._seen(mask), random) if self.conditional else None
            times = torch.randint(config.times, (len(clean),), generator=random, device=self.device)
            noise = torch.randn(clean.shape, generator=random, device=self.device)
            with loop.autocast(self.device):
                found = network(self.process.noisy(clean, noise, times), times, told)
            errors = self.process.weights(times) * (found.float() - self.process.wanted(clean, noise, times)) ** 2
            losses = {"image": errors[:, :channels].mean()}
            if not self.conditional:
                losses["mask"] = config.mask_weight * errors[:, channels:].mean()
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            return losses

        self.network = average.module
        loop.train(
            context,
            state={
                "network": network,
                "average": average,
                "optimiser": optimiser,
                "schedule": schedule,
                "noise": random,
            },
            step=step,
            preview=preview_of(self, context.seed),
            task=train.task,
        )
        self.counts.clear()
        self._check_mode_collapse(stream.first_patches(SAMPLES_TO_CHECK), context.seed)

    def _seen(self, planes: torch.Tensor) -> torch.Tensor:
        """Return what the network is told, of the planes of masks and of their light ``(B, masks + N, H, W)``."""
        mask, told = planes[:, : self.codec.mask_planes], planes[:, self.codec.mask_planes :]
        return conditioning_planes(mask, told, self.intensity.object_planes)

    def _left_out(self, condition: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Return the condition ``(B, K, H, W)``, zero for a random share of the batch."""
        kept = torch.rand(len(condition), generator=random, device=self.device) >= self.config.dropped
        return condition * kept[:, None, None, None]

    def _check_mode_collapse(self, real: np.ndarray, seed: int) -> None:
        """Raise `Diverged` if drawn planes are flat or alike where those of training patches aren't."""
        channels, rng = self.codec.image_planes, np.random.default_rng((seed, _LOOK))
        if self.conditional:
            drawn = [self._planes(rng, patch[channels:]) for patch in real]
            real = real[:, :channels]
        else:
            drawn = [self._planes(rng, None) for _ in real]
        check_mode_collapse(np.stack(drawn), real, channels)

    # -- drawing ------------------------------------------------------------------------------------------------------

    def _grainy(self, rng: np.random.Generator) -> np.random.Generator | None:
        return rng if self.config.pixel_noise else None

    def _mask(
        self, sampler: MaskSampler, drawn: SampledMask, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Return a label map's planes and itself, and the image whose range its image gets.

        A map that is too large to be drawn at once becomes planes as a whole, and then is cut, as in training: what the
        edge cuts is taken to go on.
        """
        window = tuple(_span(side, self.config.largest, rng) for side in drawn.labels.shape)
        told, labels, specks = self.codec.encode_mask(drawn.labels)[:, *window].copy(), drawn.labels[window], 0
        if sampler.task == "instances":
            kept, specks = relabel(labels, self.codec.min_area)
            told[:, (labels > 0) & (kept == 0)] = -1.0
            labels = kept
        self.counts.update(drawn=1, removed=drawn.removed + specks, unplaced=drawn.unplaced)
        return told, np.ascontiguousarray(labels), int(rng.choice(sampler.similar_masks(drawn.source)))

    @torch.no_grad()
    def _planes(self, rng: np.random.Generator, told: np.ndarray | None) -> np.ndarray:
        """Draw planes, float32 in −1 … 1; one by one, so that no batch counts.

        Parameters
        ----------
        rng
            Where the noise comes from.
        told
            ``(masks + N, H, W)``: the planes of a mask and of its light. None: image and mask are drawn.

        Returns
        -------
        ndarray
            ``(channels, H, W)`` to a mask, ``(channels + masks, side, side)`` without.
        """
        predict: Callable[..., torch.Tensor] = self.network
        last = self.network.cycle_spin if told is None else None
        shape: tuple[int, ...] = (self.codec.planes, self.side, self.side)
        if told is not None:
            margins = [(0, 0), *((0, -side % self.network.block) for side in told.shape[1:])]
            whole = np.pad(told, margins, mode="symmetric")
            seen = self._seen(torch.from_numpy(whole)[None].to(self.device))
            predict = guided(self.network, seen, self.config.guidance)
            shape = (self.codec.image_planes, *whole.shape[1:])
        noise = torch.from_numpy(rng.standard_normal((1, *shape), dtype=np.float32))
        drawn = self.process.draw(predict, noise.to(self.device), self.config.sampling_steps, last)[0].cpu().numpy()
        return drawn if told is None else drawn[:, : told.shape[1], : told.shape[2]]


def _span(side: int, largest: int, rng: np.random.Generator) -> slice:
    """Return where a side is cut to the longest that can be drawn at once."""
    first = int(rng.integers(max(side - largest, 0) + 1))
    return slice(first, first + min(side, largest))
