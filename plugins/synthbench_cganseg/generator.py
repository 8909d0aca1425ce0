"""The generator plugin cgan-seg."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from synthbench import Budget, Context, SampleSet
from synthbench.samples import Task
from synthbench.toolkit.generators.mask_to_image import ConditionedBatches, MaskToImageGenerator, Training
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.perceptual_loss import Perceptual
from synthbench.toolkit.training.state_files import read_state
from synthbench_cganseg.config import CGanSegConfig
from synthbench_cganseg.cycle import Cycle
from synthbench_cganseg.drawing import Drawing
from synthbench_cganseg.joint import JointPartner
from synthbench_cganseg.layers import STYLE_DIM, StyledNetwork
from synthbench_cganseg.microscopy import BilinearStyleUNet, DiscriminatorWithoutNorm
from synthbench_cganseg.networks import Discriminator, SegmentationUNet, StyleUNet
from synthbench_cganseg.training import CGanSegTraining

__all__ = ["CGanSeg"]

_TRAINING = "training.json"


class CGanSeg(MaskToImageGenerator[CGanSegConfig]):
    """A StyleUNet and a segmentation U-Net, trained in a cycle on pairs against two discriminators.

    After cGAN-Seg (Zargari et al., iScience 2024). The mask of an instance dataset is a distance per object and a
    foreground without inner borders, so that touching objects stay apart; of a semantic one, a plane per class.
    `preset` chooses between the published method and this project's additions; `docs/generators.md` has a table of the
    differences. The segmentation network serves the training, and isn't saved.

    Attributes
    ----------
    counts : Counter
        What sampling has come to: ``drawn`` samples, ``removed`` small objects and ``unplaced`` objects of their masks.
    perceptual : str
        The network of the perceptual loss, with the SHA-256 of its weights, or ``"off"``.
    """

    Config = CGanSegConfig
    budgets = {  # noqa: RUF012
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=1000, batch_size=2, patch_size=128),
        "standard": Budget(steps=30_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=250_000, batch_size=2, patch_size=512),
    }
    supports_joint = True
    random_stream = "cgan-seg"
    trains_on_texture = True
    network: StyledNetwork
    perceptual: str

    @property
    def margin(self) -> int:
        return 0 if self.config.architecture == "paper" else super().margin

    def build_network(self) -> StyledNetwork:
        config, channels = self.config, self.codec.image_planes
        filters = resolved(config.gen_filters)
        network: StyledNetwork
        if config.architecture == "paper":
            network = StyleUNet(self.condition_planes, channels, filters, config.gen_depth, config.style)
        else:
            network = BilinearStyleUNet(
                self.condition_planes,
                channels,
                filters,
                config.gen_depth,
                config.style,
                resolved(config.norm),
                self.conditioning.planes,
                self.conditioning.object_planes,
            )
        return network.to(memory_format=self._memory_format)

    def partner(self, train: SampleSet, context: Context) -> JointPartner:
        random = self.prepare(train, context)
        drawing = Drawing(
            self.network.train(),
            self._discriminators(image=self.codec.image_planes),
            self._perceptual(),
            self.config,
            object_planes=self.conditioning.object_planes,
            random=random,
        )
        return JointPartner(drawing, self.codec, ConditionedBatches(self, train, context), train)

    def cycle(self, random: torch.Generator) -> Cycle:
        """Return a cycle around `network`, with new other networks."""
        config, codec = self.config, self.codec
        segmenter = SegmentationUNet(codec.image_planes, codec.mask_planes, resolved(config.seg_filters))
        discriminators = self._discriminators(image=codec.image_planes, mask=codec.mask_planes)
        return Cycle(
            self.network,
            segmenter.to(self.device).to(memory_format=self._memory_format),
            discriminators,
            self._perceptual(),
            config,
            semantic=codec.mask_encoding == "classes",
            object_planes=self.conditioning.object_planes,
            random=random,
        )

    def _discriminators(self, **planes: int) -> nn.ModuleDict:
        """Return new discriminators, by what they look at: its number of planes."""
        config = self.config
        attention = resolved(config.attention_heads), resolved(config.attention_dim_head)
        architecture = Discriminator if config.architecture == "paper" else DiscriminatorWithoutNorm
        networks = {name: architecture(count, resolved(config.ndf), *attention) for name, count in planes.items()}
        return nn.ModuleDict(networks).to(self.device).to(memory_format=self._memory_format)

    def _perceptual(self) -> Perceptual | None:
        choice = self.config.perceptual_network()
        self.perceptual = choice.name
        return choice.build(self.device)

    def training(self, batches: ConditionedBatches, context: Context, random: torch.Generator) -> CGanSegTraining:
        training = CGanSegTraining(self.cycle(random), batches)
        context.progress(0, context.budget.steps, f"perceptual {self.perceptual}")
        return training

    def run_training(self, training: Training, context: Context, task: Task) -> None:
        super().run_training(training, context, task)
        assert isinstance(training, CGanSegTraining)
        self.network.train()
        training.measure_batch_norms()
        self.network.eval()

    def generate(self, condition: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        noise = torch.from_numpy(rng.standard_normal((1, 1, STYLE_DIM), dtype=np.float32))
        one_style = noise.expand(-1, self.network.styles, -1).to(self.device)
        random = torch.Generator().manual_seed(int(rng.integers(2**62)))
        image: torch.Tensor = self.network(condition, one_style, random)
        return image

    def save_state(self, folder: Path) -> None:
        super().save_state(folder)
        (folder / _TRAINING).write_text(json.dumps({"perceptual": self.perceptual}) + "\n", encoding="utf-8")

    def load_state(self, folder: Path) -> None:
        super().load_state(folder)
        self.perceptual = read_state(folder / _TRAINING, lambda state: str(state["perceptual"]))

    @property
    def _memory_format(self) -> torch.memory_format:
        """Channels last on a GPU only: with few planes, a CPU is slower with it."""
        return torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
