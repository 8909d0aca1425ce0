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
from synthbench.errors import PluginError
from synthbench.toolkit.intensity.images import RGB, as_rgb, normalise, to_channels
from synthbench.toolkit.layers.tiles import predict_tiled
from synthbench.toolkit.rng import torch_seed
from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter
from synthbench.toolkit.segmenters.network_training import train_network
from synthbench.toolkit.training.batches import Batches
from synthbench.toolkit.training.budget_defaults import resolved
from synthbench.toolkit.training.finetuning import Finetuning
from synthbench.toolkit.training.initial_weights import initialise_from
from synthbench.toolkit.training.loop import autocast
from synthbench.toolkit.training.patches import PatchStream
from synthbench.toolkit.training.schedules import cosine
from synthbench.toolkit.training.weights import read_state_dict
from synthbench_instanseg import library
from synthbench_instanseg.config import STRIDE, InstanSegConfig
from synthbench_instanseg.decoding import DEFAULT_THRESHOLDS, THRESHOLD_GRID, decode, score
from synthbench_instanseg.training import InstanceLoss

CHECKPOINT_ENTRY = "model_state_dict"
"""Name of the state dict in the library's ``model_weights.pth``."""

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
        read_published(file)

    def fit(self, train: TrainingMix, validation: SampleSet, context: Context) -> None:
        self.config = self.config.resolve(context.budget)
        stream = PatchStream(train, context.budget, context.seed)
        self.channels = stream.channels
        self.build(context)
        stored = self._initialise(context)
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

    def _initialise(self, context: Context) -> dict[str, float]:
        """Give the network the weights that it starts from, and return the thresholds stored with them, if any."""
        init = context.init
        if init is None:
            return {}
        if init.file is not None:
            hint = "set layers and mlp_width to theirs, such as layers: [32, 64, 128, 256] and mlp_width: 5"
            initialise_from(self.network, read_published(init.file), init.file, hint=hint)
            return {}
        assert init.model is not None
        model = self.load(init.model, context)
        hint = f"set layers: {list(resolved(model.config.layers))} and mlp_width: {model.config.mlp_width}"
        initialise_from(self.network, model.network.state_dict(), init.model, hint=hint)
        return model.thresholds

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


def read_published(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the library's ``model_weights.pth``, or of a state dict of its network.

    Raises
    ------
    PluginError
        If the file can't be read, or holds the weights of something else, such as a TorchScript program.
    """
    tensors = read_state_dict(path, entry=CHECKPOINT_ENTRY)
    tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    if "pixel_classifier.fc1.weight" not in tensors:
        raise PluginError(f"{path}: not weights of InstanSeg: there is no tensor pixel_classifier.fc1.weight")
    return tensors
