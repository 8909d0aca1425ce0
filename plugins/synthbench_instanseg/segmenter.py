"""The InstanSeg segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from synthbench import Budget, Context, Instances, SampleSet, TrainingMix
from synthbench.toolkit.intensity.images import RGB, as_rgb, normalise, to_channels
from synthbench.toolkit.layers.tiles import predict_tiled
from synthbench.toolkit.rng import torch_seed
from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import check_tensors, initialise_from, input_channels, read_start
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import cosine
from synthbench_instanseg import library
from synthbench_instanseg.config import STRIDE, InstanSegConfig
from synthbench_instanseg.decoding import DEFAULT_THRESHOLDS, THRESHOLD_GRID, decode, score
from synthbench_instanseg.initial import HINT, Start, read_file, with_layers
from synthbench_instanseg.training import InstanceLoss

MIN_SIDE = 16
"""Images with a shorter side are continued to this size before they are predicted."""
TILE = 512
"""Larger images are predicted in overlapping tiles of this side; instances are decoded in the whole image."""


class InstanSeg(NetworkSegmenter[InstanSegConfig]):
    """InstanSeg: each seed gathers the pixels of its instance by their embeddings and a small classifier.

    Network, losses, classifier of pixels and decoding are those of the library instanseg. A training begins with the
    easier losses (`hot_start`), as the library's does.

    What is not the library's: patches come from the patch stream, so its rescaling to a pixel size and its
    augmentations are not used; images are normalised by their percentiles 1 and 99.8; the rate of Adam falls along a
    cosine, and the last weights predict, where the library chooses among epochs by the F1 of validation images; pixels
    of unknown label are left out of the losses of instances too; the strongest seeds are decoded where there are more
    than `max_seeds` (the library returns an empty image); small instances are dropped after decoding.

    Scores, which the library hasn't, are the highest value of the map of seeds in the instance. The thresholds of
    decoding are those with the best mean ``jaccard_ap`` on validation images.

    A training starts from ``init`` (a ``model_weights.pth`` of the library, its state dict, or a model of this
    segmenter) or from the seed. Equal seeds give equal weights on one machine; training resumed from a checkpoint ends
    with the same bits as training never stopped (on a CPU, with the same number of threads).

    Source: Goldsborough, Philps, O'Callaghan, Inglis, Leplat, Filby, Bilen & Bankhead, arXiv 2408.15954 (2024).
    """

    Config = InstanSegConfig
    supports_ignore: ClassVar[bool] = True
    supports_init = frozenset({"model", "file"})
    budgets: ClassVar[Mapping[str, Budget]] = {
        "smoke": Budget(steps=8, batch_size=2, patch_size=64),
        "quick": Budget(steps=600, batch_size=4, patch_size=96),
        "standard": Budget(steps=20_000, batch_size=8, patch_size=256),
        "paper": Budget(steps=170_000, batch_size=3, patch_size=256),
    }

    state_file = "instanseg.json"
    default_thresholds = DEFAULT_THRESHOLDS
    threshold_grid = THRESHOLD_GRID
    tuning_pixels = 500_000

    @classmethod
    def check_init(cls, config: InstanSegConfig, file: Path) -> None:
        """Raise `PluginError` unless a file has the weights of the network; by default those of the published one."""
        start = read_file(file)
        network = library.build(with_layers(config, start.layers), start.channels, device="meta")
        check_tensors(network.state_dict(), start.tensors, file, hint=HINT)

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        """Train the network, then choose the thresholds of its decoding on the validation samples.

        Where `layers` isn't given, a network that starts from weights has theirs.
        """
        start = read_start(context, read_file, lambda folder: self._from_model(folder, context))
        if start is not None:
            self.config = with_layers(self.config, start.layers)
        self.config = self.config.resolve(context.budget)
        stream = PatchStream(train, context.budget, context.seed)
        self.channels = stream.channels
        if start is not None:
            input_channels(max(RGB, self.channels), start.channels, start.source)
        self.build(context)
        stored: Mapping[str, float] = {}
        if start is not None:
            initialise_from(self.network, start.tensors, start.source, hint=start.hint)
            stored = start.thresholds
        if context.budget.steps:
            self._train(stream, context)
        self.prepare_predictions()
        self.choose_thresholds(validation, context, stored)

    def predict(self, image: NDArray[Any]) -> Instances:
        output = self.output(image)
        return score(self.decode(output, self.thresholds, image.shape), output[:, : image.shape[0], : image.shape[1]])

    def build_network(self) -> nn.Module:
        return library.build(self.config, max(RGB, self.channels))

    def prepare_predictions(self) -> None:
        super().prepare_predictions()
        self.method = library.method(self.network, self.config, self.device)

    def _from_model(self, folder: Path, context: Context) -> Start:
        model = self.load(folder, context)
        layers = resolved(model.config.layers)
        hint = f"set layers: {list(layers)} and mlp_width: {model.config.mlp_width}"
        return Start(folder, model.network.state_dict(), layers, hint, model.thresholds)

    def _train(self, stream: PatchStream, context: Context) -> None:
        """Take the budget's steps."""
        network, config, budget = self.network, self.config, context.budget
        tuning = Finetuning(network, [network.encoder], config.finetune, budget.steps) if context.init else None
        hot_steps = 0 if tuning else round(resolved(config.hot_start) * budget.steps)
        if tuning is not None:
            optimiser = torch.optim.Adam(tuning.parameter_groups())
            schedule = LambdaLR(optimiser, tuning.factor)
        else:
            optimiser = torch.optim.Adam(
                network.parameters(), lr=resolved(config.learning_rate), weight_decay=config.weight_decay
            )
            falling = config.schedule == "cosine"
            schedule = LambdaLR(optimiser, lambda number: cosine(number, budget.steps) if falling else 1.0)
        batches = Batches(stream, context.device)
        loss_of = InstanceLoss(library.method(network, config, self.device))

        def losses_of(number: int) -> dict[str, torch.Tensor]:
            torch.manual_seed(torch_seed(context.seed, "instanseg.seeds", number))  # the library draws seeds globally
            loss_of.use(hot=number < hot_steps)
            images, labels = batches[number]
            with autocast(context.device):
                output = network(as_rgb(images))
            return {"loss": loss_of(output.float(), labels.long())}

        train_network(context, network, optimiser, schedule, losses_of, tuning=tuning, max_norm=config.clip)

    def decode(
        self, output: torch.Tensor, thresholds: Mapping[str, float], shape: tuple[int, ...]
    ) -> NDArray[np.int32]:
        with torch.inference_mode():
            return decode(self.method, output, self.config, thresholds)[: shape[0], : shape[1]]

    def output(self, image: NDArray[Any]) -> torch.Tensor:
        """Return the network's output ``(5, height, width)`` float32, sides continued to `MIN_SIDE`."""
        planes = to_channels(normalise(image), self.channels)
        missing = [(0, max(0, MIN_SIDE - side)) for side in planes.shape[1:]]
        planes = np.pad(planes, [(0, 0), *missing], mode="edge")
        return torch.from_numpy(predict_tiled(self._predict_tile, planes, tile=TILE, multiple=STRIDE)).to(self.device)

    def _predict_tile(self, planes: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode(), autocast(self.device):
            output = self.network(as_rgb(torch.from_numpy(planes)[None].to(self.device)))
        result: NDArray[Any] = output[0].float().cpu().numpy()
        return result
