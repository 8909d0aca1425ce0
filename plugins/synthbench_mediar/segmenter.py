"""The MEDIAR segmenter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Instances, SampleSet, Segmenter, TrainingMix
from synthbench.errors import ConfigError
from synthbench.toolkit.intensity.images import RGB, as_rgb, normalise, to_channels
from synthbench.toolkit.layers.tiles import predict_tiled
from synthbench.toolkit.masks import flows
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import initialise_from
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import cosine
from synthbench.toolkit.training.state_files import read_state
from synthbench.toolkit.training.threshold_tuning import tune_on
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_mediar.config import PUBLISHED_NETWORK, STRIDE, MediarConfig
from synthbench_mediar.network import MediarFormer, load_encoder, read_published

WEIGHTS = "network.safetensors"
STATE = "mediar.json"

TILE = 512
"""Larger images are predicted in overlapping tiles of this side."""
OVERLAP = 128
"""Smallest overlap of the tiles, in pixels."""

FLOW_STEPS = 200
"""Steps that each pixel follows the flow."""

TUNING_PIXELS = 1_500_000


class Mediar(Segmenter[MediarConfig]):
    """MEDIAR: a SegFormer encoder and a MA-Net decoder predict Cellpose's flows.

    Encoder and decoder are those of segmentation_models_pytorch; targets, dynamics and post-processing are the library
    cellpose's; the loss is that of both methods: cross-entropy of the inside, and half the mean squared error of five
    times the flow.

    What is not the authors': patches come from the patch stream, so their over-sampling of image kinds, their
    augmentation of single cells, and their second, public dataset are not used; images are normalised by their
    percentiles 1 and 99.8; tiles overlap by a quarter; predictions of several networks aren't averaged; the last
    weights predict.

    Scores are the mean of sigmoid(cellprob) over the instance. The thresholds of cellprob and of the flow error are
    those with the best mean ``jaccard_ap`` on validation images.

    A training starts from ``init`` (the authors' files, or a model of this segmenter) or from the seed, with the
    encoder from `encoder_weights` if it is given. Equal seeds give equal weights on one machine; training resumed from
    a checkpoint ends with the same bits as training never stopped (on a CPU, with the same number of threads).

    Source: Lee, Kim, Kim & Yun, NeurIPS 2022 Cell Segmentation Challenge, PMLR 212 (2023).
    """

    Config = MediarConfig
    supports_ignore: ClassVar[bool] = True
    supports_init = frozenset({"model", "file"})
    budgets: ClassVar[Mapping[str, Budget]] = {
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=500, batch_size=8, patch_size=128),
        "standard": Budget(steps=12_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=64_000, batch_size=9, patch_size=256),
    }

    network: MediarFormer
    thresholds: dict[str, float]

    @classmethod
    def check_init(cls, config: MediarConfig, file: Path) -> None:
        read_published(file)

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        self.config = self.config.resolve(context.budget)
        stream = PatchStream(train, context.budget, context.seed, encode=flows.encode)
        self._build(stream.channels, context)
        stored = self._initialise(context)
        if context.budget.steps:
            self._train(stream, context)
        self.network.eval()
        if stored and context.budget.steps == 0:
            self.thresholds = stored
        else:
            self.tune_thresholds(validation, context)

    def predict(self, image: NDArray[Any]) -> Instances:
        planes = self._planes(image)
        return flows.number_instances(self._decode(planes, self.thresholds), planes[2])

    def save(self, folder: Path) -> None:
        super().save(folder)
        save_weights(self.network, folder / WEIGHTS)
        state = {"channels": self.channels, "thresholds": self.thresholds}
        (folder / STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        channels, thresholds = read_state(
            folder / STATE,
            lambda state: (
                int(state["channels"]),
                {name: float(state["thresholds"][name]) for name in flows.DEFAULT_THRESHOLDS},
            ),
        )
        new._build(channels, context)
        load_weights(new.network, folder / WEIGHTS)
        new.network.eval()
        new.thresholds = thresholds
        return new

    def _build(self, channels: int, context: Context) -> None:
        """Build the network, with initial weights drawn from the seed."""
        loop.prepare_torch(context)
        self.channels, self.device = channels, torch.device(context.device)
        self.thresholds = dict(flows.DEFAULT_THRESHOLDS)
        self.network = MediarFormer(self.config, max(RGB, channels)).to(self.device)

    def _initialise(self, context: Context) -> dict[str, float]:
        """Give the network the weights that it starts from, and return the thresholds stored with them, if any."""
        init = context.init
        if init is None:
            for path in self.config.files().values():
                load_encoder(self.network, path)
            return {}
        if self.config.encoder_weights is not None:
            raise ConfigError("encoder_weights has no effect on a training with init; remove it")
        if init.file is not None:
            initialise_from(self.network, read_published(init.file), init.file, hint=settings(PUBLISHED_NETWORK))
            return {}
        assert init.model is not None
        model = self.load(init.model, context)
        hint = settings({name: getattr(model.config, name) for name in PUBLISHED_NETWORK})
        initialise_from(self.network, model.network.state_dict(), init.model, hint=hint)
        return model.thresholds

    def _train(self, stream: PatchStream, context: Context) -> None:
        """Take the budget's steps."""
        network, config, budget = self.network.train(), self.config, context.budget
        tuning = Finetuning(network, [network.encoder], config.finetune, budget.steps) if context.init else None
        if tuning is not None:
            optimiser = torch.optim.AdamW(tuning.parameter_groups())
            schedule = LambdaLR(optimiser, tuning.factor)
        else:
            rate, end = resolved(config.learning_rate), config.final_lr_ratio
            optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=config.weight_decay)
            schedule = LambdaLR(optimiser, lambda number: cosine(number, budget.steps, end=end))
        batches = Batches(stream, context.device)

        def step(number: int) -> dict[str, torch.Tensor]:
            first = number * budget.batch_size
            symmetries = [stream.slot(slot).symmetry for slot in range(first, first + budget.batch_size)]
            images, planes = batches[number]
            planes = flows.transform_flows(planes, symmetries)
            if tuning is not None:
                tuning.freeze(number)
            with loop.autocast(context.device):
                output = network(as_rgb(images))
            loss = flows.loss(output.float(), planes)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            return {"loss": loss.detach()}

        loop.train(context, state={"network": network, "optimiser": optimiser, "schedule": schedule}, step=step)
        if tuning is not None:
            tuning.release()

    def tune_thresholds(self, validation: SampleSet, context: Context) -> None:
        """Set the thresholds to those that are best on validation images, spread evenly over the set."""
        self.thresholds = tune_on(
            validation,
            context,
            self._planes,
            lambda planes, values, shape: self._decode(planes, values),
            flows.THRESHOLD_GRID,
            flows.DEFAULT_THRESHOLDS,
            TUNING_PIXELS,
        )

    def _decode(self, planes: NDArray[Any], thresholds: Mapping[str, float]) -> NDArray[Any]:
        """Return the label map ``(height, width)`` of the network's output."""
        labels: NDArray[Any] = flows.dynamics().resize_and_compute_masks(
            planes[:2], planes[2], niter=FLOW_STEPS, device=self.device, **thresholds
        )
        return labels

    def _planes(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the network's output for an image: flow y, flow x and logit, ``(3, height, width)`` float32."""
        planes = to_channels(normalise(image), self.channels)
        return predict_tiled(self._predict_tile, planes, tile=TILE, overlap=OVERLAP, multiple=STRIDE)

    def _predict_tile(self, planes: NDArray[Any]) -> NDArray[Any]:
        images = as_rgb(torch.from_numpy(planes)[None].to(self.device))
        with torch.inference_mode(), loop.autocast(self.device):
            output: NDArray[Any] = predict_mirrored(self.network, images, tta=self.config.flip_tta)[0].cpu().numpy()
        return output


def settings(network: Mapping[str, Any]) -> str:
    """Return a hint: the keys of a network, as a configuration has them."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in network.items()}
    return "set " + ", ".join(f"{name}: {value}" for name, value in values.items())


def predict_mirrored(network: torch.nn.Module, images: torch.Tensor, *, tta: bool) -> torch.Tensor:
    """Return the mean of what the network says of images and of their mirror images, float32.

    Parameters
    ----------
    network
        ``(B, 3, H, W)`` → ``(B, 3, H, W)``: flow y, flow x, and a third plane without direction.
    images
    tta
        False: of the images alone.
    """
    total: torch.Tensor = network(images).float()
    if not tta:
        return total
    for plane, axis in enumerate((2, 3)):
        sign = torch.ones(3, 1, 1, device=images.device)
        sign[plane] = -1
        total = total + sign * network(images.flip(axis)).float().flip(axis)
    return total / 3
