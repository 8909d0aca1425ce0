"""The Mask R-CNN segmenter: fit, predict, save, load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LambdaLR
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from synthbench import Budget, Context, Instances, SampleSet, TrainingMix
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import LONG_TRAINING_STEPS, resolved
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import input_channels, refuse_new_head
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.patches import PatchStream, channels_of
from synthbench.toolkit.training.schedules import one_cycle
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_maskrcnn.config import MaskRCNNConfig
from synthbench_maskrcnn.detection import GRID, START, Detections, assemble, detect
from synthbench_maskrcnn.initial import check_layout, load_into
from synthbench_maskrcnn.network import build
from synthbench_maskrcnn.sizes import UNMEASURED, Geometry, measure
from synthbench_maskrcnn.targets import training_batch

NETWORK_KEYS = ("preset", "backbone", "norm", "fpn_channels", "head_convs", "representation_size")


@dataclass(frozen=True)
class Initial:
    """Weights to start from; of a trained model, also its channels, geometry and thresholds."""

    source: Path
    weights: Mapping[str, torch.Tensor]
    channels: int = 0
    geometry: Geometry | None = None
    thresholds: Mapping[str, float] | None = None


class MaskRCNN(NetworkSegmenter[MaskRCNNConfig]):
    """Mask R-CNN (He et al. 2017): boxes with scores, and a mask in each.

    Network, matching, sampling and losses are torchvision's. Patches and their augmentation are those of the patch
    stream; grey images enter with three equal planes. This project's are the sizes of anchors, the number of detections
    and the enlargement, which follow from the training objects, and how detections become a label map. An instance has
    the probability of its class as its score.
    """

    Config = MaskRCNNConfig
    supports_ignore: ClassVar[bool] = True
    supports_init: ClassVar = frozenset({"model", "file"})
    budgets: ClassVar[Mapping[str, Budget]] = {
        "smoke": Budget(steps=4, batch_size=1, patch_size=64),
        "quick": Budget(steps=300, batch_size=4, patch_size=128),
        "standard": Budget(steps=10_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=90_000, batch_size=16, patch_size=256),
    }

    state_file = "mask_rcnn.json"
    default_thresholds = START
    threshold_grid = GRID

    geometry: Geometry

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Train the network, then choose the thresholds of its decoding on the validation samples.

        Started from a trained model, the network and what follows from the training objects are that model's.
        """
        initial = self._read_init(context)
        self.config = self.config.resolve(context.budget)
        self.channels = channels_of(train)
        if initial and initial.channels:
            self.channels = input_channels(self.channels, initial.channels, initial.source)
        measured = measure(train.reference, self.config)
        known = initial.geometry if initial else None
        self.geometry = known.extended(measured) if known else measured
        self.build(context)
        if initial:
            if not load_into(self.network, initial.weights, initial.source, context.notify):
                refuse_new_head(context, initial.source)
            self.thresholds.update(initial.thresholds or {})
        if context.budget.steps:
            self._train(PatchStream(train, context.budget, context.seed, channels=self.channels), context)
        self.prepare_predictions()
        self.choose_thresholds(validation, context, initial.thresholds if initial else None)

    def predict(self, image: NDArray[Any]) -> Instances:
        """Segment one image, ``(height, width[, channels])``, uint8 or uint16, of any size."""
        return assemble(self.output(image), image.shape[:2], **self.thresholds)

    @classmethod
    def check_init(cls, config: MaskRCNNConfig, file: Path) -> None:
        """Raise `PluginError` unless a file has the weights of the network; by default that of a long training."""
        with torch.device("meta"):
            network = build(config.resolve(Budget(steps=LONG_TRAINING_STEPS)), UNMEASURED)
        check_layout(network, read_state_dict(file), str(file))

    @property
    def state(self) -> dict[str, Any]:
        return {**super().state, "geometry": self.geometry.to_json()}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.geometry = Geometry.from_json(state["geometry"])

    def build_network(self) -> GeneralizedRCNN:
        return build(self.config, self.geometry, self.channels)

    def _read_init(self, context: Context) -> Initial | None:
        """Read the weights that the context names, and take from them what the configuration leaves open."""
        if context.init is None:
            return None
        if context.init.file is not None:
            long = self.config.resolve(Budget(steps=LONG_TRAINING_STEPS))
            initial, kept = Initial(context.init.file, read_state_dict(context.init.file)), long.model_dump()
        else:
            assert context.init.model is not None
            other = type(self).load(context.init.model, context)
            kept = other.config.model_dump()
            weights = other.network.state_dict()
            initial = Initial(context.init.model, weights, other.channels, other.geometry, other.thresholds)
        given = self.config.model_dump()
        self.config = self.config.model_copy(update={k: kept[k] for k in NETWORK_KEYS if given[k] is None})
        return initial

    def _train(self, stream: PatchStream, context: Context) -> None:
        budget, config, network = context.budget, self.config, self.network
        rate, decay = resolved(config.learning_rate), resolved(config.weight_decay)
        optimiser: torch.optim.Optimizer
        tuning = Finetuning(network, [network.backbone.body], config.finetune, budget.steps) if context.init else None
        if tuning is not None:
            optimiser = torch.optim.AdamW(tuning.parameter_groups())
            schedule = LambdaLR(optimiser, tuning.factor)
        elif config.optimizer == "sgd":
            rate *= budget.batch_size / SGD_BATCH
            optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
            schedule = LambdaLR(optimiser, lambda number: stepped(number, budget.steps))
        else:
            optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
            schedule = LambdaLR(optimiser, lambda number: one_cycle(number, budget.steps))
        batches = Batches(stream, context.device)

        def losses_of(number: int) -> dict[str, torch.Tensor]:
            images, targets = training_batch(*batches[number], self.geometry.scale)
            with autocast(context.device):
                losses: dict[str, torch.Tensor] = network(images, targets)
            return losses

        train_network(context, network, optimiser, schedule, losses_of, tuning=tuning, max_norm=config.max_grad_norm)

    def decode(self, output: Detections, thresholds: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[Any]:
        return assemble(output, shape, **thresholds).labels

    def output(self, image: NDArray[Any]) -> Detections:
        return detect(self.network, to_channels(normalise(image), self.channels), self.geometry, self.device)


SGD_BATCH = 16
"""Batch size that the paper's learning rate is for."""


def stepped(step: int, steps: int) -> float:
    """Return the factor of the learning rate at a step: the paper's, relative to the number of steps.

    Up linearly in the first 1/90 of the steps, at most 1,000, then 1; a tenth after 2/3, a hundredth after 8/9.
    """
    warm = min(1000, max(1, steps // 90))
    factor = min(1.0, (step + 1) / warm)
    return factor * (0.1 if step >= 2 * steps / 3 else 1.0) * (0.1 if step >= 8 * steps / 9 else 1.0)
