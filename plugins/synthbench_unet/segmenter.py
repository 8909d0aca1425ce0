"""The U-Net as a segmenter: fit, predict, save, load."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Instances, Sample, SampleSet, Segmenter, TrainingMix, TrainingPartner
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import input_channels, refuse_new_head
from synthbench.toolkit.training.loop import autocast, prepare_torch
from synthbench.toolkit.training.partner_losses import partner_losses
from synthbench.toolkit.training.patches import PatchStream, channels_of
from synthbench.toolkit.training.schedules import averaged_model, one_cycle
from synthbench.toolkit.training.state_files import read_state
from synthbench.toolkit.training.threshold_tuning import tune_on
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_unet.config import UNetConfig
from synthbench_unet.heads import default_thresholds, head_for
from synthbench_unet.initial import Start, check_file, load_start, read_file
from synthbench_unet.network import Predictor, build, encoder_of, pad_to_multiple

WEIGHTS = "network.safetensors"
STATE = "unet.json"


class UNet(Segmenter[UNetConfig]):
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
        "quick": Budget(steps=500, batch_size=8, patch_size=128),
        "standard": Budget(steps=10_000, batch_size=16, patch_size=256),
        "paper": Budget(steps=50_000, batch_size=16, patch_size=256),
    }

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Train the network, then choose the thresholds of its decoding on the validation samples."""
        start = self._read_start(context)
        channels = channels_of(train)
        if start:
            channels = input_channels(channels, start.channels, start.source)
        self._build_network(context, train.task, channels, count_classes(train))
        is_complete = start is not None and self._start(start, context)
        if context.budget.steps:
            self._train(train, context)
        self._build_predictor(context)
        if context.budget.steps == 0 and is_complete and start is not None and start.thresholds:
            self.thresholds.update(start.thresholds)
        else:
            self.tune_thresholds(validation, context)

    @classmethod
    def check_init(cls, config: UNetConfig, file: Path) -> None:
        """Raise `PluginError` if a file doesn't hold the weights of a network with these features."""
        check_file(config, file)

    def predict(self, image: NDArray[Any]) -> Instances:
        """Segment one image, ``(height, width[, 3])``, uint8 or uint16, of any size."""
        return self.head.decode(self._planes(image), self.thresholds)

    def save(self, folder: Path) -> None:
        """Write configuration, weights, and what else `load` needs."""
        super().save(folder)
        save_weights(self.network, folder / WEIGHTS)
        state = {
            "task": self.task,
            "channels": self.channels,
            "classes": self.classes,
            "thresholds": self.thresholds,
        }
        beside = folder / f"{STATE}.tmp"
        beside.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        os.replace(beside, folder / STATE)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return what `save` wrote, on the context's device."""
        new = super().load(folder, context)
        task, channels, classes, thresholds = read_state(
            folder / STATE, lambda state: tuple(state[key] for key in ("task", "channels", "classes", "thresholds"))
        )
        new._build_network(context, task, channels, classes)
        load_weights(new.network, folder / WEIGHTS)
        new._build_predictor(context)
        new.thresholds = thresholds
        return new

    def _build_network(self, context: Context, task: str, channels: int, classes: int) -> None:
        """Build the network, with initial weights drawn from the seed, and what decodes its output."""
        self.generator = prepare_torch(context)
        self.task, self.channels, self.classes = task, channels, classes
        self.head = head_for(self.config, task, classes)
        self.network = build(channels, self.head.planes, self.config.features).to(context.device)
        self.thresholds: dict[str, Any] = default_thresholds(self.head)

    def _read_start(self, context: Context) -> Start | None:
        """Return the trained weights to start from, and what is known of them."""
        init = context.init
        if init is None:
            return None
        if init.file is not None:
            return read_file(init.file)
        assert init.model is not None
        model = self.load(init.model, context)
        return Start(init.model, model.network.state_dict(), model.channels, model.head, model.thresholds)

    def _start(self, start: Start, context: Context) -> bool:
        """Give the network trained weights; return False if its output layer starts from the seed."""
        is_complete = load_start(self.network, start, self.config, self.head, self.channels, context.notify)
        if not is_complete:
            refuse_new_head(context, start.source)
        return is_complete

    def _build_predictor(self, context: Context) -> None:
        """Prepare the trained network for predictions."""
        self.predictor = Predictor(self.network, context.device, self.head.activation, self.config.flip_tta)

    def _train(self, mix: TrainingMix, context: Context) -> None:
        budget, config, network = context.budget, self.config, self.network.train()
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

        def step(number: int) -> dict[str, torch.Tensor]:
            if tuning is not None:
                tuning.freeze(number)
            images, targets = (pad_to_multiple(part) for part in batches[number])
            with autocast(context.device):
                logits = network(images.contiguous(memory_format=torch.channels_last))
            losses = self.head.losses(logits.float(), targets)
            if partner is not None:
                losses |= self._losses_with(partner, number, logits, targets, budget.patch_size)
            optimiser.zero_grad(set_to_none=True)
            total: Any = sum(losses.values())
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm, foreach=True)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            return losses if partner is None else {**losses, **partner.update()}

        parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule, "average": average}
        parts |= {} if partner is None else partner.state
        loop.train(context, state=parts, step=step)
        if tuning is not None:
            tuning.release()
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

    def tune_thresholds(self, validation: SampleSet, context: Context) -> None:
        if self.head.grid:
            self.thresholds = tune_on(
                validation,
                context,
                self._planes,
                lambda planes, values, shape: self.head.decode(planes, values).labels,
                self.head.grid,
                self.thresholds,
            )

    def _planes(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the activated output planes of one image, ``(K, H, W)`` float32."""
        return self.predictor(to_channels(normalise(image), self.channels))


def count_classes(mix: TrainingMix) -> int:
    """Number of classes of a semantic mix: as many as have names, else as the highest in its masks says."""
    if mix.task != "semantic":
        return 0
    if mix.classes:
        return len(mix.classes)
    return max(2, 1 + max(int(sample.labels.max()) for sample in mix.reference))
