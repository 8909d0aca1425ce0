"""The DeepSea segmenter: fit, predict, save, load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import RMSprop
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from synthbench import Budget, Context, Instances, Sample, SampleSet, TrainingMix, TrainingPartner
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.layers.tiles import predict_tiled
from synthbench.toolkit.masks.distance import mean_foreground
from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import input_channels
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.partner_losses import partner_losses
from synthbench.toolkit.training.patches import PatchStream, channels_of
from synthbench_deepsea.config import DeepSeaConfig
from synthbench_deepsea.initial import Start, load_into, read_file
from synthbench_deepsea.losses import segmentation_losses
from synthbench_deepsea.network import DeepSeaNet, widths_of
from synthbench_deepsea.targets import EDGE_GRID, EDGE_START, decode_edges, decode_paper, encode

MULTIPLE = 16
"""Images are padded to multiples of this before they are predicted."""


class DeepSea(NetworkSegmenter[DeepSeaConfig]):
    """DeepSea's segmentation (Zargari et al. 2023): cells, and the edges where they touch.

    Network, losses and optimiser are those of the published code, patches and their augmentation those of the patch
    stream. What a touching edge is, and the decoding that uses them, are this project's: the published targets aren't
    available, and the published decoding doesn't use the edges. An instance has the mean probability of its pixels as
    its score.
    """

    Config = DeepSeaConfig
    supports_ignore: ClassVar[bool] = True
    supports_joint: ClassVar[bool] = True
    supports_init: ClassVar = frozenset({"model", "file"})
    budgets: ClassVar[Mapping[str, Budget]] = {
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=500, batch_size=8, patch_size=128),
        "standard": Budget(steps=10_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=50_000, batch_size=16, patch_size=256),
    }

    state_file = "deepsea.json"

    network: DeepSeaNet

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Train the network, then choose the thresholds of its decoding on the validation samples.

        Started from a trained model, its widths, its decoding and its preset stay where the configuration doesn't set
        them; started from a file, its widths do.
        """
        start = self._read_start(context)
        self.config = self.config.resolve(context.budget)
        self.channels = channels_of(train)
        if start:
            self.channels = input_channels(self.channels, start.channels, start.source)
        self.build(context)
        if start:
            load_into(self.network, start)
        if context.budget.steps:
            stream = PatchStream(train, context.budget, context.seed, encode=self._encode, channels=self.channels)
            self._train(stream, context)
        self.prepare_predictions()
        self.choose_thresholds(validation, context, start.thresholds if start else None)

    def predict(self, image: NDArray[Any]) -> Instances:
        """Segment one image, ``(height, width[, channels])``, uint8 or uint16, of any size."""
        return self._instances(self.output(image), self.thresholds)

    @classmethod
    def check_init(cls, config: DeepSeaConfig, file: Path) -> None:
        """Raise `PluginError` unless a file has the weights of this network, or of the published code's."""
        read_file(file, config.widths)

    @property
    def default_thresholds(self) -> Mapping[str, Any]:
        return EDGE_START if self.config.decoding == "edges" else {}

    @property
    def threshold_grid(self) -> Mapping[str, Sequence[Any]]:
        """Of the decoding `edges`; the published one has no thresholds to choose."""
        return EDGE_GRID if self.config.decoding == "edges" else {}

    def build_network(self) -> DeepSeaNet:
        network = DeepSeaNet(self.channels, resolved(self.config.widths), self.config.dropout)
        return network.to(memory_format=torch.channels_last)

    def _read_start(self, context: Context) -> Start | None:
        """Read the weights that the context names, and take from them what the configuration leaves open."""
        if context.init is None:
            return None
        if context.init.file is not None:
            start = read_file(context.init.file, self.config.widths)
            kept: dict[str, Any] = {"widths": widths_of(start.weights)}
        else:
            assert context.init.model is not None
            other = type(self).load(context.init.model, context)
            kept = {key: getattr(other.config, key) for key in ("preset", "widths", "decoding")}
            same = self.config.decoding in (None, other.config.decoding)
            start = Start(context.init.model, other.network.state_dict(), other.thresholds if same else {})
        given = self.config.model_dump()
        self.config = self.config.model_copy(update={k: v for k, v in kept.items() if given[k] is None})
        return start

    def _train(self, stream: PatchStream, context: Context) -> None:
        budget, config, network = context.budget, self.config, self.network
        schedule: LRScheduler
        tuning = Finetuning(network, network.encoder, config.finetune, budget.steps) if context.init else None
        if tuning is None:
            optimiser = RMSprop(
                network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, momentum=0.9
            )
            schedule = OneCycleLR(optimiser, max_lr=config.learning_rate, total_steps=budget.steps)
        else:
            optimiser = RMSprop(tuning.parameter_groups(), momentum=0.9)
            schedule = LambdaLR(optimiser, tuning.factor)
        batches, partner = Batches(stream, context.device), context.partner

        def losses_of(number: int) -> dict[str, torch.Tensor]:
            images, targets = batches[number]
            with autocast(context.device):
                cells, edges = network(to_input(images))
            losses = segmentation_losses(cells.float(), edges.float(), targets, config.edge_weight)
            if partner is not None:
                losses |= self._losses_with(partner, number, (cells, edges), targets)
            return losses

        train_network(context, network, optimiser, schedule, losses_of, tuning=tuning)

    def _losses_with(
        self, partner: TrainingPartner, number: int, heads: tuple[torch.Tensor, torch.Tensor], targets: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the losses on the images that a partner draws for a step's masks, and the partner's own."""

        def predictions() -> list[NDArray[Any]]:
            planes = torch.cat([head.detach().float().softmax(dim=1)[:, 1:] for head in heads], dim=1)
            return [self._instances(each, self.thresholds).labels for each in planes.cpu().numpy()]

        def losses_of(images: torch.Tensor) -> dict[str, torch.Tensor]:
            with autocast(images.device):
                cells, edges = self.network(to_input(images))
            return segmentation_losses(cells.float(), edges.float(), targets, self.config.edge_weight)

        return partner_losses(partner, number, self.channels, predictions, losses_of)

    def _encode(self, sample: Sample) -> tuple[NDArray[Any], NDArray[Any]]:
        return normalise(sample.image), encode(sample.labels, sample.ignore, self.config.edge_radius)

    def decode(self, output: NDArray[Any], thresholds: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[Any]:
        return self._instances(output, thresholds).labels

    def _instances(self, planes: NDArray[Any], thresholds: Mapping[str, Any]) -> Instances:
        cells, edges = planes
        if self.config.decoding == "paper":
            labels = decode_paper(cells)
            return Instances(labels, mean_foreground(labels, cells))
        labels = decode_edges(cells, edges, self.config.edge_radius, **thresholds)
        return Instances(labels, mean_foreground(labels, np.maximum(cells, edges)))

    def output(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the probabilities of cells and of edges in one image, ``(2, H, W)`` float32."""
        return predict_tiled(self._predict, to_channels(normalise(image), self.channels), multiple=MULTIPLE)

    @torch.inference_mode()
    def _predict(self, planes: NDArray[Any]) -> NDArray[Any]:
        image = torch.from_numpy(np.ascontiguousarray(planes))[None].to(self.device)
        with autocast(self.device):
            heads = self.network(to_input(image))
        return torch.cat([head.float().softmax(dim=1)[0, 1:] for head in heads]).cpu().numpy()


def to_input(images: torch.Tensor) -> torch.Tensor:
    """Return normalised images, about 0 … 1, as the network takes them: about −1 … 1."""
    return (2 * images - 1).contiguous(memory_format=torch.channels_last)
