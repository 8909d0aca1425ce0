"""The MEDIAR segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Instances, SampleSet, TrainingMix
from synthbench.toolkit.intensity.images import RGB, as_rgb, normalise, to_channels
from synthbench.toolkit.layers.tiles import predict_tiled
from synthbench.toolkit.masks import flows
from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import initialise_from, input_channels, read_start
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import cosine
from synthbench_mediar.config import PUBLISHED_NETWORK, STRIDE, MediarConfig
from synthbench_mediar.initial import Start, read_checked, with_network
from synthbench_mediar.network import MediarFormer, load_encoder

TILE = 512
"""Larger images are predicted in overlapping tiles of this side."""
OVERLAP = 128
"""Smallest overlap of the tiles, in pixels."""

FLOW_STEPS = 200
"""Steps that each pixel follows the flow."""


class Mediar(NetworkSegmenter[MediarConfig]):
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

    state_file = "mediar.json"
    default_thresholds = flows.DEFAULT_THRESHOLDS
    threshold_grid = flows.THRESHOLD_GRID
    tuning_pixels = 1_500_000

    network: MediarFormer

    @classmethod
    def check_init(cls, config: MediarConfig, file: Path) -> None:
        """Raise `PluginError` unless a file has the weights of the network; by default those of the published one."""
        read_checked(config, file)

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Train the network, then choose the thresholds of its decoding on the validation samples.

        Keys of the network that aren't given are those of the weights that it starts from.
        """
        start = self._read_start(context)
        if start is not None:
            self.config = with_network(self.config, start.network)
        self.config = self.config.resolve(context.budget)
        stream = PatchStream(train, context.budget, context.seed, encode=flows.encode)
        self.channels = stream.channels
        if start is not None:
            input_channels(max(RGB, self.channels), start.channels, start.source)
        self.build(context)
        self._initialise(start)
        if context.budget.steps:
            self._train(stream, context)
        self.prepare_predictions()
        self.choose_thresholds(validation, context, start.thresholds if start else None)

    def predict(self, image: NDArray[Any]) -> Instances:
        output = self.output(image)
        return flows.number_instances(output.masks(self.thresholds), output.logits)

    def build_network(self) -> MediarFormer:
        return MediarFormer(self.config, max(RGB, self.channels))

    def _read_start(self, context: Context) -> Start | None:
        """Return the weights that the context names; None if the network starts from the seed."""

        def of_model(folder: Path) -> Start:
            model = self.load(folder, context)
            network = {name: getattr(model.config, name) for name in PUBLISHED_NETWORK}
            return Start(folder, model.network.state_dict(), network, model.thresholds)

        return read_start(context, partial(read_checked, self.config), of_model)

    def _initialise(self, start: Start | None) -> None:
        """Give the network the weights that it starts from, or its encoder those that the configuration names."""
        if start is not None:
            initialise_from(self.network, start.tensors, start.source, hint=start.hint)
            return
        for path in self.config.files().values():
            load_encoder(self.network, path)

    def _train(self, stream: PatchStream, context: Context) -> None:
        """Take the budget's steps."""
        network, config, budget = self.network, self.config, context.budget
        tuning = Finetuning(network, [network.encoder], config.finetune, budget.steps) if context.init else None
        if tuning is not None:
            optimiser = torch.optim.AdamW(tuning.parameter_groups())
            schedule = LambdaLR(optimiser, tuning.factor)
        else:
            rate, end = resolved(config.learning_rate), config.final_lr_ratio
            optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=config.weight_decay)
            schedule = LambdaLR(optimiser, lambda number: cosine(number, budget.steps, end=end))
        batches = Batches(stream, context.device)

        def losses_of(number: int) -> dict[str, torch.Tensor]:
            images, planes = batches[number]
            planes = flows.transform_flows(planes, [slot.symmetry for slot in stream.slots(number)])
            with autocast(context.device):
                output = network(as_rgb(images))
            return {"loss": flows.loss(output.float(), planes)}

        train_network(context, network, optimiser, schedule, losses_of, tuning=tuning)

    def decode(
        self, output: flows.FlowDecoder, thresholds: Mapping[str, float], shape: tuple[int, ...]
    ) -> NDArray[Any]:
        return output.masks(thresholds)

    def output(self, image: NDArray[Any]) -> flows.FlowDecoder:
        """Return the network's output for an image, of its height and width, ready to be decoded."""
        planes = to_channels(normalise(image), self.channels)
        said = predict_tiled(self._predict_tile, planes, tile=TILE, overlap=OVERLAP, multiple=STRIDE)
        return flows.FlowDecoder(said[:2], said[2], rounds=FLOW_STEPS, device=self.device)

    def _predict_tile(self, planes: NDArray[Any]) -> NDArray[Any]:
        images = as_rgb(torch.from_numpy(planes)[None].to(self.device))
        with torch.inference_mode(), autocast(self.device):
            output: NDArray[Any] = predict_mirrored(self.network, images, tta=self.config.flip_tta)[0].cpu().numpy()
        return output


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
