"""cGAN-Seg: trained on pairs of image and mask, it draws images to new masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn

from synthbench import Budget, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.errors import StoreError
from synthbench.toolkit.intensity.conditioning import IntensityConditioning, conditioning_planes
from synthbench.toolkit.intensity.texture import match_texture
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.masks.sampler import MaskSampler
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.mode_collapse import check_flat
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import linear_tail
from synthbench.toolkit.training.training_log import preview_of
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.cycle import DISCRIMINATORS, Cycle, optimisers
from synthbench_cganseg.discriminator import discriminator
from synthbench_cganseg.networks import STYLE, Segmenter, StyleUNet
from synthbench_cganseg.perceptual import choose

MARGIN = 16
"""Pixels by which an image is drawn larger on each side, and cut back."""

SETTLING = 32
"""Batches that the statistics of the batch norms are taken from in the end."""

_CODEC, _INTENSITY = "codec.json", "intensity.json"
_WEIGHTS, _TRAINING = "generator.safetensors", "training.json"
_DRAW = 81


class CGanSeg(Generator[CGanSegConfig]):
    """A StyleUNet and a segmenter, trained in a cycle on pairs against two discriminators (iScience 2024).

    The paper draws binary masks. Here, by this project's choice, a mask of instances is (distance per instance,
    foreground without inner borders), so touching objects stay apart, and a semantic one a plane per class. Images
    are scaled by their own range, and drawn ones get the range, and where the network is told it the light, of a
    training image with objects of similar size.

    The paper stops by a validation score, and a fit here sees training samples alone: it takes all steps. Patches are
    always flipped and turned. The segmenter serves the training, and isn't saved.

    Attributes
    ----------
    counts : Counter
        What drawing has come to: ``drawn`` samples, ``removed`` specks and ``unplaced`` objects of their masks.
    perceptual : str
        The network that compared images, with the hash of its weights, or ``"off"``.
    """

    Config = CGanSegConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=1000, batch_size=2, patch_size=128),
        "standard": Budget(steps=30_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=250_000, batch_size=2, patch_size=512),
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        self.config = self.config.resolve(context.budget)
        self.codec = ImageMaskCodec.of(train, "distance", 1)
        told = self.config.intensity_conditioning
        self.intensity = IntensityConditioning.of(train, self.codec) if told else IntensityConditioning.none(len(train))
        self.sampler = self.config.sampler(train)
        random = loop.prepare_torch(context)
        self.device = torch.device(context.device)
        self.network = self._build()
        self._train(train, context, random)
        self.network.eval()
        self.check_mode_collapse(train, context.seed)

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
        (folder / _TRAINING).write_text(json.dumps({"perceptual": self.perceptual}) + "\n", encoding="utf-8")

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
        try:
            new.perceptual = json.loads((folder / _TRAINING).read_text(encoding="utf-8"))["perceptual"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{folder / _TRAINING}: can't be read: {error!r}; fit again") from None
        return new

    def _build(self) -> StyleUNet:
        config = self.config
        told, codec = self.intensity, self.codec
        network = StyleUNet(
            codec.mask_planes + told.planes,
            codec.image_planes,
            config.filters,
            config.depth,
            config.style,
            config.norm,
            told.planes,
            told.object_planes,
        )
        return network.to(self.device, memory_format=self._layout)

    @property
    def _layout(self) -> torch.memory_format:
        """How planes lie in memory: channels last on a GPU alone, a CPU is slower with so few of them."""
        return torch.channels_last if self.device.type == "cuda" else torch.contiguous_format

    def _cycle(self, random: torch.Generator) -> Cycle:
        """Return the cycle around the generator's network, its other networks new."""
        config, codec = self.config, self.codec
        segments = Segmenter(codec.image_planes, codec.mask_planes, config.segmenter_filters)
        planes = dict(zip(DISCRIMINATORS, (codec.image_planes, codec.mask_planes), strict=True))
        judges = nn.ModuleDict(
            {
                name: discriminator(count, config.discriminator_filters, config.heads, config.head_width)
                for name, count in planes.items()
            }
        )
        choice = choose(config.perceptual, config.perceptual_weights)
        self.perceptual = choice.name
        return Cycle(
            self.network,
            segments.to(self.device, memory_format=self._layout),
            judges.to(self.device, memory_format=self._layout),
            choice.build(self.device),
            config,
            semantic=codec.mask_encoding == "classes",
            object_planes=self.intensity.object_planes,
            random=random,
        )

    def _train(self, train: SampleSet, context: Context, random: torch.Generator) -> None:
        config, budget = self.config, context.budget
        cycle = self._cycle(random)
        context.progress(0, budget.steps, f"perceptual {self.perceptual}")
        of_generators, of_judges = optimisers(cycle)
        stream = PatchStream(
            TrainingMix(train),
            budget,
            context.seed,
            encode=lambda sample: self._encode(sample, train.position(sample.id)),
            augment_intensity=False,
        )
        batches = Batches(stream, context.device)

        def step(number: int) -> dict[str, torch.Tensor]:
            rate = config.learning_rate * linear_tail(number, budget.steps)
            for group in [*of_generators.param_groups, *of_judges.param_groups]:
                group["lr"] = rate * group["share"]
            image, planes = batches[number]
            return cycle.step(image, *self._parts(planes), of_generators, of_judges)

        for network in (self.network, cycle.segments, cycle.judges):
            network.train()
        parts = {"generator": self.network, "segmenter": cycle.segments, "judges": cycle.judges, "noise": random}
        loop.train(
            context,
            state={**parts, "draws": of_generators, "judging": of_judges},
            step=step,
            preview=preview_of(self, context.seed, self.network),
            task=train.task,
        )
        self.counts.clear()
        self._settle(cycle, batches)

    @torch.no_grad()
    def _settle(self, cycle: Cycle, batches: Batches) -> None:
        """Measure the batch norms' statistics anew, on real masks alone: in training they saw the segmenter's too."""
        norms = [module for module in self.network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for number in range(min(len(batches), SETTLING) if norms else 0):
            mask, told, _ = self._parts(batches[number][1])
            with loop.autocast(self.device):
                cycle.image_of(mask, told)

    def _encode(self, sample: Sample, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the image of a training sample, and its mask with what is told of its light, and with its noise."""
        image, mask = self.codec.encode(sample, position)
        grain = (
            self.codec.pixel_noise_planes(sample.labels, position) if self.config.pixel_noise else np.zeros_like(image)
        )
        planes = [mask, self.intensity.training_planes(sample.labels, position), grain]
        if self.config.texture:
            planes.append(self.intensity.texture(sample.labels, position))
        return image, np.concatenate(planes)

    def _parts(self, planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take mask, told planes and noise apart."""
        masks, told = self.codec.mask_planes, self.intensity.planes
        return planes[:, :masks], planes[:, masks : masks + told], planes[:, masks + told :]

    @torch.no_grad()
    def _image(self, labels: np.ndarray, told: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one image in one style, ``(channels, height, width)`` float32, about −1 … 1.

        Images are drawn one by one, so that no batch changes them; each with a margin that is cut off, because the
        network's zero padding shows at its borders.
        """
        margin = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
        planes = (self.codec.encode_mask(labels), told)
        mask, light = (torch.from_numpy(np.pad(a, margin, mode="symmetric"))[None] for a in planes)
        seen = conditioning_planes(mask, light, self.intensity.object_planes).to(self.device)
        noise = torch.from_numpy(rng.standard_normal((1, 1, STYLE), dtype=np.float32))
        styles = noise.expand(-1, self.network.convolutions, -1).to(self.device)
        grain = torch.Generator().manual_seed(int(rng.integers(2**62)))
        image = self.network(seen, styles, grain)[0].cpu().numpy()
        inside: np.ndarray = image[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        return inside

    def check_mode_collapse(self, train: SampleSet, seed: int) -> None:
        """Raise `Diverged` if the images of the first training masks are flat where the real ones aren't."""
        spreads = []
        for position in range(min(4, len(train))):
            sample = train[position]
            own = self.intensity.training_planes(sample.labels, position)
            drawn = self._image(sample.labels, own, np.random.default_rng((seed, _DRAW)))
            spreads.append((float(drawn.clip(-1, 1).std()), float(self.codec.encode(sample, position)[0].std())))
        check_flat(spreads)
