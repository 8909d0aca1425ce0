"""The Cellpose-SAM segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Init, Instances, Sample, SampleSet, Segmenter, TrainingMix
from synthbench.errors import ConfigError, DataError
from synthbench.samples import IGNORED
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.masks import flows
from synthbench.toolkit.masks.flows import DEFAULT_THRESHOLDS, THRESHOLD_GRID
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.patches import PatchStream, channels_of
from synthbench.toolkit.training.state_files import read_state, write_state
from synthbench.toolkit.training.threshold_tuning import tune_on
from synthbench.toolkit.training.weights import read_state_dict, save_weights
from synthbench.toolkit.training.weights_conversion import tensor_infos
from synthbench_cellpose_sam import library
from synthbench_cellpose_sam.config import SIDE, CellposeSAMConfig

WEIGHTS = "weights.safetensors"
STATE = "cellpose-sam.json"
HIGH_PERCENTILE = 99.0
"""Percentile that becomes 1 in the library's normalisation."""

CHANNELS = 3
"""Of the network; images of one have two empty ones."""

MIN_SIDE = 16
"""Images with a shorter side are continued to this size before they are predicted."""

ROUNDS = 200
"""Steps of the dynamics, the library's for images that aren't resized."""

TUNING_PIXELS = 500_000


class CellposeSAM(Segmenter[CellposeSAMConfig]):
    """Cellpose-SAM (Cellpose 4): network, targets, loss, dynamics and post-processing are the library's own.

    Training always starts from trained weights (init): a file such as `cpsam`, or its own model. Weights are never
    downloaded. With 0 steps they are used as published, with the library's thresholds; otherwise the network is
    fine-tuned by AdamW, and the thresholds of cellprob and of the flow error are those with the best mean
    ``jaccard_ap`` on validation images.

    What is not the library's: patches come from the patch stream, so its sampler, its rotations and its random
    resizing are not used, and no image is left out for having few objects; smaller patches are continued to 256² by
    zeros, which have no part in the loss; predictions are made in float32, not in bfloat16. Images are not resized to a
    diameter, as the library recommends.

    Scores are the mean of sigmoid(cellprob) over the instance.

    Source: Pachitariu, Rariden, Stringer, "Cellpose-SAM: superhuman generalization for cellular segmentation", bioRxiv
    2025.
    """

    Config = CellposeSAMConfig
    supports_ignore: ClassVar[bool] = True
    bfloat16_on_cpu: ClassVar[bool] = False
    supports_init: ClassVar[frozenset[Literal["model", "file"]]] = frozenset({"model", "file"})
    requires_init: ClassVar[str] = (
        "its transformer was pretrained on SA-1B, a billion masks, and the library has no other training"
    )
    budgets: ClassVar[dict[str, Budget]] = {
        "smoke": Budget(steps=2, batch_size=1, patch_size=64),
        "quick": Budget(steps=8, batch_size=1, patch_size=256),
        "standard": Budget(steps=800, batch_size=1, patch_size=256),
        "paper": Budget(steps=800, batch_size=1, patch_size=256),
    }

    def __init__(self, config: CellposeSAMConfig | None = None) -> None:
        super().__init__(config)
        self.model: Any = None
        self.channels = 1
        self.thresholds: dict[str, float] = dict(DEFAULT_THRESHOLDS)

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        self.config = self.config.resolve(context.budget)
        if context.init is None:
            raise ConfigError(f"cellpose-sam can't start from scratch: {self.requires_init}; give it an init")
        channels = channels_of(train)
        if channels > CHANNELS:
            raise DataError(
                f"{train.reference.name!r}: images with {channels} channels; cellpose-sam takes at most {CHANNELS}"
            )
        self._start(context.init, context)
        self.channels = channels
        if context.budget.steps:
            self._train(train, context)
            self.thresholds = self.tune_thresholds(validation, context)

    @classmethod
    def check_init(cls, config: CellposeSAMConfig, file: Path) -> None:
        """Raise `PluginError` if a file doesn't hold weights of Cellpose-SAM; its values aren't read."""
        infos = tensor_infos(file)
        library.refuse_others(infos, file)
        library.check_shapes({name: info.shape for name, info in infos.items()}, file)

    def predict(self, image: NDArray[Any]) -> Instances:
        height, width = image.shape[:2]
        labels, (_, _, cellprob), _ = self._eval(self.as_input(image), **self.thresholds)
        return flows.number_instances(labels[:height, :width], cellprob[:height, :width])

    def save(self, folder: Path) -> None:
        super().save(folder)
        save_weights(self.model.net, folder / WEIGHTS)
        write_state(folder / STATE, {"channels": self.channels, "thresholds": self.thresholds})

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new._load(folder, context)
        return new

    def _start(self, init: Init, context: Context) -> None:
        """Take the weights of an init, and the thresholds that belong to them."""
        if init.model is not None:
            self._load(init.model, context)
            return
        assert init.file is not None
        loop.prepare_torch(context)
        self._build(init.file, context)

    def _load(self, folder: Path, context: Context) -> None:
        loop.prepare_torch(context)
        self.channels, self.thresholds = read_state(
            folder / STATE,
            lambda state: (int(state["channels"]), flows.read_thresholds(state["thresholds"])),
        )
        self._build(folder / WEIGHTS, context)

    def _build(self, weights: Path, context: Context) -> None:
        network = library.network(read_state_dict(weights), weights, context.device)
        self.model = library.model(network, context.device)

    def _train(self, train: TrainingMix, context: Context) -> None:
        """Take the budget's steps."""
        network, budget = self.model.net, context.budget
        stream = PatchStream(train, budget, context.seed, encode=encode)
        batches = Batches(stream, context.device)
        tuning = Finetuning(network, [network.encoder], self.config.finetune, budget.steps)
        optimiser = torch.optim.AdamW(tuning.parameter_groups())
        schedule = LambdaLR(optimiser, tuning.factor)
        missing, rim = CHANNELS - stream.channels, SIDE - budget.patch_size

        def losses_of(number: int) -> dict[str, torch.Tensor]:
            images, planes = batches[number]
            planes = flows.transform_flows(planes, [slot.symmetry for slot in stream.slots(number)])
            images = F.pad(images, (0, rim, 0, rim, 0, missing))
            output = network(images)[0]
            return {"loss": flows.loss(output.float(), F.pad(planes, (0, rim, 0, rim), value=IGNORED))}

        train_network(context, network, optimiser, schedule, losses_of, tuning=tuning)
        network.eval()

    def tune_thresholds(self, validation: SampleSet, context: Context) -> dict[str, float]:
        """Return the thresholds that are best on validation images, spread evenly over the set."""

        def predict(image: NDArray[Any]) -> flows.FlowDecoder:
            _, (_, flow, cellprob), _ = self._eval(self.as_input(image), compute_masks=False)
            return flows.FlowDecoder(flow, cellprob, rounds=ROUNDS, device=self.model.device)

        def decode(output: flows.FlowDecoder, values: Mapping[str, float], shape: tuple[int, ...]) -> NDArray[Any]:
            return output.masks(values)[: shape[0], : shape[1]]

        return tune_on(validation, context, predict, decode, THRESHOLD_GRID, DEFAULT_THRESHOLDS, TUNING_PIXELS)

    def as_input(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return a normalised image as ``(height, width, 3)`` float32, continued to `MIN_SIDE` if need be."""
        planes = np.moveaxis(to_channels(normalise(image, high=HIGH_PERCENTILE), self.channels), 0, -1)
        missing = [max(0, MIN_SIDE - side) for side in planes.shape[:2]]
        edges = np.pad(planes, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        return np.pad(edges, ((0, 0), (0, 0), (0, CHANNELS - self.channels)))

    def _eval(self, planes: NDArray[Any], **options: Any) -> Any:
        flows.dynamics()
        return self.model.eval(
            planes, channel_axis=-1, normalize=False, batch_size=self.config.inference_batch_size, **options
        )


def encode(sample: Sample) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a sample as the patch stream cuts it, normalised by the library's percentiles."""
    return flows.encode(sample, HIGH_PERCENTILE)
