"""The Cellpose segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Instances, Sample, SampleSet, Segmenter, TrainingMix
from synthbench.toolkit.intensity.images import HIGH_PERCENTILE, normalise, to_channels
from synthbench.toolkit.masks import flows
from synthbench.toolkit.masks.flows import DEFAULT_THRESHOLDS, THRESHOLD_GRID
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import input_channels, read_start, refuse_new_head
from synthbench.toolkit.training.patches import PatchStream, channels_of
from synthbench.toolkit.training.schedules import one_cycle
from synthbench.toolkit.training.state_files import read_state, write_state
from synthbench.toolkit.training.threshold_tuning import tune_on
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench_cellpose import library
from synthbench_cellpose.config import STRIDE, CellposeConfig
from synthbench_cellpose.initial import Start, check_file, load_start, read_file

WEIGHTS = "weights.safetensors"
STATE = "cellpose.json"
MIN_SIDE = 16
"""Images with a shorter side are continued to this size before they are predicted."""

TILE = 1024
"""Larger images are predicted in overlapping tiles of this side; Cellpose's 224 computes a 256² image thrice over."""

MIN_CHANNELS = 2
"""Grey and nothing: Cellpose's own resizing loses the only channel of an image that has one."""

DIAMETER_SAMPLES = 200
TUNING_PIXELS = 1_500_000


class Cellpose(Segmenter[CellposeConfig]):
    """Cellpose 3.1: network, targets, loss, dynamics and post-processing are the library's own.

    What is not the library's: patches come from the patch stream, so its sampler (which seeds numpy with the number
    of the epoch), its rotations and its random resizing are not used; the rate of AdamW follows one cycle over the
    budget; an image is normalised once, whole, by its percentiles 1 and 99.8. Grey images enter with an empty second
    channel, as Cellpose has it; others with the channels they have.

    Size: the library brings each training image to `diam_mean` by its own objects' diameter, and then predicts
    every image with one diameter. Here one factor serves all images in both: `diam_mean` over the mean diameter of
    the real training masks (the mean over images of the median object's diameter, on at most 200 of them), the same
    in every arm. Without `diam_mean` the factor is 1.

    Trained weights to start from (init): its own model, or a file in Cellpose 3's form. The factor then brings objects
    to the diameter that these weights were trained with, unless `diam_mean` is given; images are normalised by the
    percentiles that they were trained with, 1 and 99 for a file. With 0 steps a file is used with the library's
    thresholds. docs/methods/cellpose.md has the details.

    Scores are the mean of sigmoid(cellprob) over the instance. The thresholds of cellprob and of the flow error are
    those with the best mean ``jaccard_ap`` on validation images.

    Equal seeds give equal weights on one machine; training resumed from a checkpoint ends with the same bits as
    training never stopped (on a CPU, with the same number of threads).

    Sources: Stringer et al., Nature Methods 18 (2021); Stringer & Pachitariu, Nature Methods 22 (2025) for Cellpose 3.
    """

    Config = CellposeConfig
    supports_ignore: ClassVar[bool] = True
    supports_init: ClassVar[frozenset[Literal["model", "file"]]] = frozenset({"model", "file"})
    budgets: ClassVar[dict[str, Budget]] = {
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=300, batch_size=4, patch_size=96),
        "standard": Budget(steps=12_000, batch_size=8, patch_size=224),
        "paper": Budget(steps=33_750, batch_size=8, patch_size=224),
    }

    def __init__(self, config: CellposeConfig | None = None) -> None:
        super().__init__(config)
        self.model: Any = None
        self._channels = 1
        self.diameter = 30.0
        self.high_percentile = HIGH_PERCENTILE
        self.thresholds: dict[str, float] = dict(DEFAULT_THRESHOLDS)

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        self.config = self.config.resolve(context.budget)
        start, patch_size = self._read_start(context), context.budget.patch_size
        loop.prepare_torch(context)
        target = self.config.diam_mean
        if start is not None:
            target = target or start.diam_mean
            self.high_percentile = start.high_percentile
        self.diameter = mean_diameter(train.reference, start.diameter if start else 30.0)
        side = patch_side(patch_size, target / self.diameter if target else 1.0)
        reached = self.diameter * (side / patch_size) if context.budget.steps else target or self.diameter
        channels = channels_of(train)
        if start is not None:
            channels = input_channels(channels, start.channels, start.source)
        self.build(channels, reached, context.device)
        if start is not None and not load_start(self.model.net, start, reached, self.diameter, context.notify):
            refuse_new_head(context, start.source)
        if context.budget.steps:
            stream = PatchStream(train, context.budget, context.seed, encode=self._encode, channels=self._channels)
            self._train(stream, side, context)
        if context.budget.steps or start is None:
            self.thresholds = self.tune_thresholds(validation, context)
        else:
            self.thresholds = dict(start.thresholds)

    @classmethod
    def check_init(cls, config: CellposeConfig, file: Path) -> None:
        """Raise `PluginError` if a file doesn't hold the weights of Cellpose 3's network."""
        check_file(file)

    def _read_start(self, context: Context) -> Start | None:
        """Return the trained weights to start from, and what is known of them."""

        def of_model(folder: Path) -> Start:
            model = self.load(folder, context)
            return Start(
                source=folder,
                tensors=model.model.net.state_dict(),
                channels=model._channels,
                diam_mean=model.model.diam_mean,
                diameter=model.diameter,
                high_percentile=model.high_percentile,
                thresholds=model.thresholds,
            )

        return read_start(context, read_file, of_model)

    def _encode(self, sample: Sample) -> tuple[NDArray[Any], NDArray[Any]]:
        return flows.encode(sample, self.high_percentile)

    def predict(self, image: NDArray[Any]) -> Instances:
        height, width = image.shape[:2]
        output = self._output(image)
        labels = output.masks(self.thresholds)[:height, :width]
        return flows.number_instances(labels, output.logits[:height, :width])

    def save(self, folder: Path) -> None:
        super().save(folder)
        state = {
            "channels": self._channels,
            "diameter": self.diameter,
            "diam_mean": self.model.diam_mean,
            "high_percentile": self.high_percentile,
            "thresholds": self.thresholds,
        }
        save_weights(self.model.net, folder / WEIGHTS)
        write_state(folder / STATE, state)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.prepare_torch(context)

        def restore(state: Any) -> tuple[int, float]:
            new.diameter = float(state["diameter"])
            new.high_percentile = float(state["high_percentile"])
            new.thresholds = flows.read_thresholds(state["thresholds"])
            return int(state["channels"]), float(state["diam_mean"])

        new.build(*read_state(folder / STATE, restore), context.device)
        load_weights(new.model.net, folder / WEIGHTS)
        return new

    def build(self, channels: int, diam_mean: float, device: str) -> None:
        self._channels = channels
        self.model = library.model(max(channels, MIN_CHANNELS), diam_mean, device)

    def _train(self, stream: PatchStream, side: int, context: Context) -> None:
        """Take the budget's steps."""
        network, config, budget = self.model.net, self.config, context.budget
        tuning = Finetuning(network, [network.downsample], config.finetune, budget.steps) if context.init else None
        optimiser: torch.optim.Optimizer
        if tuning is None:
            learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
            optimiser = torch.optim.AdamW(learning, lr=config.learning_rate, weight_decay=config.weight_decay)
            schedule = LambdaLR(optimiser, lambda number: one_cycle(number, budget.steps))
        else:
            optimiser = torch.optim.SGD(tuning.parameter_groups(), momentum=0.9)
            schedule = LambdaLR(optimiser, tuning.factor)
        batches = Batches(stream, context.device)
        missing = network.nchan - stream.channels

        def losses_of(number: int) -> dict[str, torch.Tensor]:
            symmetries = [slot.symmetry for slot in stream.slots(number)]
            images, planes = batches[number]
            images, planes = flows.resize(images, flows.transform_flows(planes, symmetries), side)
            images = F.pad(images, (0, 0, 0, 0, 0, missing)).contiguous(memory_format=torch.channels_last)
            with loop.autocast(context.device):
                output = network(images)[0]
            return {"loss": flows.loss(output.float(), planes)}

        train_network(context, network, optimiser, schedule, losses_of, tuning=tuning)
        network.eval()

    def tune_thresholds(self, validation: SampleSet, context: Context) -> dict[str, float]:
        """Return the thresholds that are best on validation images, spread evenly over the set."""

        def decode(output: flows.FlowDecoder, values: Mapping[str, float], shape: tuple[int, ...]) -> NDArray[Any]:
            return output.masks(values)[: shape[0], : shape[1]]

        return tune_on(validation, context, self._output, decode, THRESHOLD_GRID, DEFAULT_THRESHOLDS, TUNING_PIXELS)

    def as_input(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return a normalised image as ``(height, width, channels)`` float32, continued to `MIN_SIDE` if need be."""
        planes = np.moveaxis(to_channels(normalise(image, high=self.high_percentile), self._channels), 0, -1)
        missing = [max(0, MIN_SIDE - side) for side in planes.shape[:2]]
        return np.pad(planes, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else planes

    def _output(self, image: NDArray[Any]) -> flows.FlowDecoder:
        """Return what the network says of an image, continued to `MIN_SIDE`, ready to be decoded."""
        _, (_, flow, cellprob), _ = self.model.eval(
            self.as_input(image),
            channels=None,
            channel_axis=-1,
            normalize=False,
            diameter=self.diameter,
            bsize=TILE,
            batch_size=1,
            compute_masks=False,
        )
        rounds = 1 / (self.model.diam_mean / self.diameter) * 200
        return flows.FlowDecoder(flow, cellprob, rounds=rounds, device=self.model.device)


def patch_side(patch_size: int, factor: float) -> int:
    """Return the side of a patch as it enters the network, when images are resized by a factor.

    It is rounded to a multiple of `STRIDE`, so the factor is kept roughly; `Cellpose.fit` predicts with what it is.
    """
    return patch_size if factor == 1 else max(1, round(patch_size * factor / STRIDE)) * STRIDE


def mean_diameter(samples: SampleSet, default: float = 30.0) -> float:
    """Return the mean over images of the median object's diameter in pixels, at least 5; `default` without objects."""
    kept = min(len(samples), DIAMETER_SAMPLES)
    measured = (library.median_diameter(samples[i * len(samples) // kept].labels) for i in range(kept))
    found = [max(5.0, diameter) for diameter in measured if diameter > 0]
    return float(np.mean(found)) if found else default
