"""cGAN-Seg: trained on pairs of image and mask, it draws images to new masks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import nn

from synthbench import Budget, Config, Context, Generator, Sample, SampleSet, TrainingMix
from synthbench.errors import ConfigError, StoreError
from synthbench.toolkit import loop
from synthbench.toolkit.batches import Batches
from synthbench.toolkit.joint import Joint
from synthbench.toolkit.masks import Layout, MaskSampler, Mode
from synthbench.toolkit.optimise import linear_tail
from synthbench.toolkit.patches import PatchStream
from synthbench_cganseg.cycle import DISCRIMINATORS, Cycle, Handover, Weights
from synthbench_cganseg.discriminator import discriminator
from synthbench_cganseg.networks import STYLE, Segmenter, StyleUNet
from synthbench_cganseg.perceptual import choose

FLAT = 1e-3
"""A spread of the drawn values below this, where the real ones have more, is a collapse."""

MARGIN = 16
"""Pixels by which an image is drawn larger on each side, and cut back."""

MAPPING_RATE = 0.1
"""Learning rate of the mapping network, against the others'."""

_JOINT, _WEIGHTS, _TRAINING = "joint.json", "generator.safetensors", "training.json"
_SMALLEST = 32
_DRAW = 81


class CGanSegConfig(Config):
    """Hyper-parameters of cGAN-Seg.

    Attributes
    ----------
    filters, depth : int
        Width of the StyleUNet at full resolution, and how often it halves that; the paper has 64 and 4.
    segmenter_filters : int
        Width of the segmenter at full resolution; the paper has 64.
    discriminator_filters, heads, head_width : int
        Of the discriminators and of their attention; the paper has 8 heads of 64.
    style : bool
        Without it the generator is a plain U-Net: no style, no noise (an ablation of the paper).
    mixing : float
        Chance that an image is drawn in two styles in training.
    perceptual : str
        Network whose features compare images: ``"auto"`` takes VGG19 if its weights are at hand, else SqueezeNet if
        its are, else none; ``"off"``, none (an ablation of the paper); or a torchvision network by name, which must
        have its weights. What came of it stands in ``training.json`` beside the weights of a fitted generator.
    perceptual_weights : Path or None
        Its state dict, as safetensors or as a torch checkpoint. Without it, the file that torchvision would download
        is looked for where torchvision would put it.
    adversarial, image_cycle, image_pair, mask_cycle, mask_pair : float
        Weights of the terms; see `synthbench_cganseg.cycle.Weights`.
    handover : {"straight-through", "soft"}
        How the segmenter's mask is handed to the generator and the discriminator; see `synthbench_cganseg.cycle`.
    learning_rate : float
        Of Adam, constant for half of the steps and then falling to 0; the paper has 1e-4 throughout.
    masks : {"auto", "train", "recombine", "mixed"}
        Which masks images are drawn to; see `synthbench.toolkit.masks.MaskSampler`. `auto` is `mixed` for instances
        and `train` for a semantic dataset. The paper's dense images are ``recombine`` with a `density`, scattered or
        as colonies (``layout: discs``).
    layout, density, touching
        Of recombined masks; see there.
    """

    filters: int = Field(8, ge=2)
    depth: int = Field(4, ge=1, le=6)
    segmenter_filters: int = Field(8, ge=2)
    discriminator_filters: int = Field(16, ge=2)
    heads: int = Field(4, ge=1)
    head_width: int = Field(16, ge=1)
    style: bool = True
    mixing: float = Field(0.9, ge=0, le=1)
    perceptual: str = "auto"
    perceptual_weights: Path | None = None
    adversarial: float = Field(1.0, ge=0)
    image_cycle: float = Field(100.0, ge=0)
    image_pair: float = Field(50.0, ge=0)
    mask_cycle: float = Field(100.0, ge=0)
    mask_pair: float = Field(50.0, ge=0)
    handover: Handover = "straight-through"
    learning_rate: float = Field(1e-3, gt=0)
    masks: Literal["auto", "train", "recombine", "mixed"] = "auto"
    layout: Layout = "scatter"
    density: float | None = Field(None, ge=0, le=1)
    touching: float | None = Field(None, ge=0, le=1)


class CGanSeg(Generator):
    """A StyleUNet and a segmenter, trained in a cycle on pairs against two discriminators (iScience 2024).

    The paper draws binary masks. Here, by this project's choice, a mask of instances is (distance per instance,
    foreground without inner borders), so touching objects stay apart, and a semantic one a plane per class. Images
    are scaled by their own range, and drawn ones get the range of a training image with objects of similar size.

    The paper stops by a validation score, and a fit here sees training samples alone: it takes all steps. Patches are
    always flipped and turned. The segmenter serves the training, and isn't saved.

    Attributes
    ----------
    counts : Counter
        What drawing has come to: ``drawn`` samples, ``removed`` specks and ``unplaced`` objects of their masks.
    perceptual : str
        The network that compared images, with the hash of its weights, or ``"off"`` with the reason.
    """

    Config = CGanSegConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=1000, batch_size=2, patch_size=128),
        "standard": Budget(steps=30_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=250_000, batch_size=2, patch_size=512),
    }

    def __init__(self, config: CGanSegConfig | None = None) -> None:
        super().__init__(config)
        self.counts: Counter[str] = Counter()

    def fit(self, train: SampleSet, context: Context) -> None:
        side = max(_SMALLEST, 2 * 2**self.config.depth)
        if context.budget.patch_size < side:
            raise ConfigError(
                f"patches of {context.budget.patch_size} are too small for a depth of {self.config.depth}; "
                f"give patches of {side} or more, or a smaller depth"
            )
        self.joint = Joint.of(train, "distance", 1)
        self.sampler = self._sampler(train)
        random = loop.runtime(context)
        self.device = torch.device(context.device)
        self.network = self._build()
        self._train(train, context, random)
        self.network.eval()
        self.refuse_collapse(train, context.seed)

    def draw(self, index: int | range, seed: int) -> Iterator[Sample]:
        for i in range(index, index + 1) if isinstance(index, int) else index:
            mask = self.sampler.sample(seed, i)
            rng = np.random.default_rng((seed, _DRAW, i))
            donor = int(rng.choice(self.sampler.alike(mask.source)))
            planes = self._image(mask.labels, rng)
            self.counts.update(drawn=1, removed=mask.removed, unplaced=mask.unplaced)
            yield Sample(f"{i:06d}", self.joint.picture(planes, donor), mask.labels)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.joint.save(folder / _JOINT)
        self.sampler.save(folder)
        loop.save_weights(self.network, folder / _WEIGHTS)
        (folder / _TRAINING).write_text(json.dumps({"perceptual": self.perceptual}) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.runtime(context)
        new.joint = Joint.load(folder / _JOINT)
        new.sampler = MaskSampler.load(folder)
        new.device = torch.device(context.device)
        new.network = new._build()
        loop.load_weights(new.network, folder / _WEIGHTS)
        new.network.eval()
        try:
            new.perceptual = json.loads((folder / _TRAINING).read_text(encoding="utf-8"))["perceptual"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{folder / _TRAINING}: can't be read: {error!r}; fit again") from None
        return new

    def _sampler(self, train: SampleSet) -> MaskSampler:
        auto: Mode = "train" if train.task == "semantic" else "mixed"
        return MaskSampler.of(
            train,
            mode=auto if self.config.masks == "auto" else self.config.masks,
            layout=self.config.layout,
            density=self.config.density,
            touching=self.config.touching,
        )

    def _build(self) -> StyleUNet:
        config = self.config
        network = StyleUNet(self.joint.masks, self.joint.channels, config.filters, config.depth, config.style)
        return network.to(self.device, memory_format=torch.channels_last)

    def _cycle(self, random: torch.Generator) -> Cycle:
        """Return the cycle around the generator's network, its other networks new."""
        config, joint = self.config, self.joint
        segments = Segmenter(joint.channels, joint.masks, config.segmenter_filters)
        planes = dict(zip(DISCRIMINATORS, (joint.channels, joint.masks), strict=True))
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
            segments.to(self.device, memory_format=torch.channels_last),
            judges.to(self.device, memory_format=torch.channels_last),
            choice.build(self.device),
            Weights(config.adversarial, config.image_cycle, config.image_pair, config.mask_cycle, config.mask_pair),
            semantic=joint.form == "classes",
            handover=config.handover,
            mixing=config.mixing,
            random=random,
        )

    def _train(self, train: SampleSet, context: Context, random: torch.Generator) -> None:
        config, budget = self.config, context.budget
        cycle = self._cycle(random)
        context.progress(0, budget.steps, f"perceptual {self.perceptual}")
        of_generators, of_judges = _optimisers(cycle)
        stream = PatchStream(
            TrainingMix(train),
            budget,
            context.seed,
            encode=lambda sample: self.joint.encode(sample, train.position(sample.id)),
            relit=False,
        )
        batches = Batches(stream, context.device)

        def step(number: int) -> dict[str, torch.Tensor]:
            rate = config.learning_rate * linear_tail(number, budget.steps)
            for group in [*of_generators.param_groups, *of_judges.param_groups]:
                group["lr"] = rate * group["share"]
            return cycle.step(*batches[number], of_generators, of_judges)

        for network in (self.network, cycle.segments, cycle.judges):
            network.train()
        parts = {"generator": self.network, "segmenter": cycle.segments, "judges": cycle.judges, "noise": random}
        loop.train(context, parts={**parts, "draws": of_generators, "judging": of_judges}, step=step)

    @torch.no_grad()
    def _image(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one image in one style, ``(channels, height, width)`` float32 in −1 … 1.

        Images are drawn one by one, so that no batch changes them; each with a margin that is cut off, because the
        network's zero padding shows at its borders.
        """
        margin = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
        mask = torch.from_numpy(np.pad(self.joint.mask(labels), margin, mode="symmetric"))[None]
        noise = torch.from_numpy(rng.standard_normal((1, 1, STYLE), dtype=np.float32))
        styles = noise.expand(-1, self.network.convolutions, -1).to(self.device)
        grain = torch.Generator().manual_seed(int(rng.integers(2**62)))
        image = self.network(mask.to(self.device), styles, grain)[0].cpu().numpy()
        planes: np.ndarray = image[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        return planes

    def refuse_collapse(self, train: SampleSet, seed: int) -> None:
        """Raise `Diverged` if the images of the first training masks are flat where the real ones aren't."""
        spreads = []
        for position in range(min(4, len(train))):
            sample = train[position]
            drawn = self._image(sample.labels, np.random.default_rng((seed, _DRAW)))
            spreads.append((float(drawn.std()), float(self.joint.encode(sample, position)[0].std())))
        if all(drawn < FLAT < real or not np.isfinite(drawn) for drawn, real in spreads):
            raise loop.Diverged("the generator draws flat images; lower the learning rate")


def _optimisers(cycle: Cycle) -> tuple[torch.optim.Adam, torch.optim.Adam]:
    """Return Adam for the generators and for the discriminators; a group's ``share`` is that of the learning rate."""
    mapping = [] if cycle.draws.mapping is None else list(cycle.draws.mapping.parameters())
    slow = {id(parameter) for parameter in mapping}
    both = [*cycle.draws.parameters(), *cycle.segments.parameters()]
    groups = [{"params": [p for p in both if id(p) not in slow], "share": 1.0}]
    if mapping:
        groups.append({"params": mapping, "share": MAPPING_RATE})
    judges = [{"params": list(cycle.judges.parameters()), "share": 1.0}]
    return torch.optim.Adam(groups, betas=(0.5, 0.999)), torch.optim.Adam(judges, betas=(0.5, 0.999))
