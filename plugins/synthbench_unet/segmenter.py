"""The U-Net as a segmenter: fit, predict, save, load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Instances, Sample, SampleSet, TrainingMix, TrainingPartner
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import input_channels, read_start, refuse_new_head
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.partner_losses import partner_losses
from synthbench.toolkit.training.patches import PatchStream, channels_of
from synthbench.toolkit.training.schedules import averaged_model, one_cycle
from synthbench.toolkit.training.threshold_tuning import tune_on
from synthbench_unet.config import UNetConfig
from synthbench_unet.heads import default_thresholds, head_for
from synthbench_unet.initial import Start, check_file, load_start, read_file
from synthbench_unet.network import Predictor, build, encoder_of, pad_to_multiple


class UNet(NetworkSegmenter[UNetConfig]):
    """A U-Net (Ronneberger 2015) for instances and for classes of pixels.

    The network is MONAI's BasicUNet with batch norm, trained by AdamW with a one-cycle schedule; a running average
    of its weights predicts. Instances have the mean foreground probability as their score.

    Trained weights to start from (init) are those of the same `features`; docs/methods/unet.md says what happens where
    the images or the task are others.
    """

    Config = UNetConfig
    supports_ignore: ClassVar[bool] = True
    supports_joint: ClassVar[bool] = True
    supports_init: ClassVar[frozenset[Literal["model", "file"]]] = frozenset({"model", "file"})
    budgets: ClassVar[Mapping[str, Budget]] = {
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=1_600, batch_size=2, patch_size=128),
        "standard": Budget(steps=10_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=50_000, batch_size=16, patch_size=256),
    }

    state_file = "unet.json"

    task: str
    classes: int

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Train the network, then choose the thresholds of its decoding on the validation samples."""
        start = self._read_start(context)
        self.task, self.classes, self.channels = train.task, count_classes(train), channels_of(train)
        if start:
            self.channels = input_channels(self.channels, start.channels, start.source)
        self.build(context)
        is_complete = start is not None and self._start(start, context)
        if context.budget.steps:
            self._train(train, context)
        self.prepare_predictions()
        self.choose_thresholds(validation, context, start.thresholds if start and is_complete else None)

    @classmethod
    def check_init(cls, config: UNetConfig, file: Path) -> None:
        """Raise `PluginError` if a file doesn't hold the weights of a network with these features."""
        check_file(config, file)

    def predict(self, image: NDArray[Any]) -> Instances:
        """Segment one image, ``(height, width[, 3])``, uint8 or uint16, of any size."""
        return self.head.decode(self.output(image), self.thresholds)

    @property
    def state(self) -> dict[str, Any]:
        return {**super().state, "task": self.task, "classes": self.classes}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.task, self.classes = str(state["task"]), int(state["classes"])

    def build(self, context: Context) -> None:
        self.head = head_for(self.config, self.task, self.classes)
        super().build(context)

    def build_network(self) -> nn.Module:
        return build(self.channels, self.head.planes, self.config.features)

    @property
    def default_thresholds(self) -> Mapping[str, Any]:
        return default_thresholds(self.head)

    @property
    def threshold_grid(self) -> Mapping[str, Sequence[Any]]:
        return self.head.grid

    def _read_start(self, context: Context) -> Start | None:
        """Return the trained weights to start from, and what is known of them."""

        def of_model(folder: Path) -> Start:
            model = self.load(folder, context)
            return Start(folder, model.network.state_dict(), model.channels, model.head, model.thresholds)

        return read_start(context, read_file, of_model)

    def _start(self, start: Start, context: Context) -> bool:
        """Give the network trained weights; return False if its output layer starts from the seed."""
        is_complete = load_start(self.network, start, self.config, self.head, self.channels, context.notify)
        if not is_complete:
            refuse_new_head(context, start.source)
        return is_complete

    def prepare_predictions(self) -> None:
        self.predictor = Predictor(self.network, self.device, self.head.activation, self.config.flip_tta)

    def _train(self, mix: TrainingMix, context: Context) -> None:
        budget, config, network = context.budget, self.config, self.network
        tuning = Finetuning(network, encoder_of(network), config.finetune, budget.steps) if context.init else None
        if tuning is None:
            optimiser = torch.optim.AdamW(
                network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, foreach=True
            )
            schedule = LambdaLR(optimiser, lambda number: one_cycle(number, budget.steps))
        else:
            optimiser = torch.optim.AdamW(tuning.parameter_groups(), foreach=True)
            schedule = LambdaLR(optimiser, tuning.factor)
        average, partner = averaged_model(network, config.ema_decay), context.partner
        stream = PatchStream(mix, budget, context.seed, encode=self._encode, channels=self.channels)
        batches = Batches(stream, context.device)

        def losses_of(number: int) -> dict[str, torch.Tensor]:
            images, targets = (pad_to_multiple(part) for part in batches[number])
            with autocast(context.device):
                logits = network(images.contiguous(memory_format=torch.channels_last))
            losses = self.head.losses(logits.float(), targets)
            if partner is not None:
                losses |= self._losses_with(partner, number, logits, targets, budget.patch_size)
            return losses

        train_network(
            context,
            network,
            optimiser,
            schedule,
            losses_of,
            tuning=tuning,
            max_norm=config.max_grad_norm,
            average=average,
        )
        network.load_state_dict(average.module.state_dict())

    def _losses_with(
        self, partner: TrainingPartner, number: int, logits: torch.Tensor, targets: torch.Tensor, side: int
    ) -> dict[str, torch.Tensor]:
        """Return the losses on the images that a partner draws for a step's masks, and the partner's own."""

        def predictions() -> list[NDArray[Any]]:
            planes = self.head.activation(logits.detach().float())[..., :side, :side].cpu().numpy()
            return [self.head.decode(each, self.thresholds).labels for each in planes]

        def losses_of(images: torch.Tensor) -> dict[str, torch.Tensor]:
            with autocast(images.device):
                drawn = self.network(pad_to_multiple(images).contiguous(memory_format=torch.channels_last))
            return self.head.losses(drawn.float(), targets)

        return partner_losses(partner, number, self.channels, predictions, losses_of)

    def _encode(self, sample: Sample) -> tuple[NDArray[Any], NDArray[Any]]:
        return normalise(sample.image), self.head.encode(sample)

    def decode(self, output: NDArray[Any], thresholds: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[Any]:
        return self.head.decode(output, thresholds).labels

    def tune_thresholds(self, validation: SampleSet, context: Context) -> None:
        """Set the thresholds to those that are best on validation images, spread evenly over the set."""
        if self.threshold_grid:
            self.thresholds = tune_on(
                validation,
                context,
                lambda image: self.head.decoder(self.output(image)),
                lambda decoder, thresholds, shape: decoder(thresholds),
                self.threshold_grid,
                self.thresholds,
                self.tuning_pixels,
            )

    def output(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the activated output planes of one image, ``(K, H, W)`` float32."""
        return self.predictor(to_channels(normalise(image), self.channels))


def count_classes(mix: TrainingMix) -> int:
    """Number of classes of a semantic mix: as many as have names, else as the highest in its masks says."""
    if mix.task != "semantic":
        return 0
    if mix.classes:
        return len(mix.classes)
    return max(2, 1 + max(int(sample.labels.max()) for sample in mix.reference))
