"""Base class of segmenters with one torch network, whose output is decoded with thresholds.

The base class saves, loads, and tunes the thresholds on validation images; a method adds its network, its training, and
what the output means::

    class Method(NetworkSegmenter[MethodConfig]):
        Config = MethodConfig
        budgets = {"smoke": Budget(8, 2, 64), "quick": ..., "standard": ..., "paper": ...}  # steps, batch, patch
        state_file = "method.json"
        default_thresholds = {"foreground": 0.5}
        threshold_grid = {"foreground": (0.3, 0.4, 0.5, 0.6, 0.7)}

        def build_network(self):
            return make_network(self.channels)

        def fit(self, train, validation, context):
            stream = PatchStream(train, context.budget, context.seed)
            self.channels = stream.channels
            self.build(context)
            ...  # train self.network, for example by network_training.train_network
            self.prepare_predictions()
            self.choose_thresholds(validation, context)

        def output(self, image):
            planes = to_channels(normalise(image), self.channels)
            return predict_tiled(self.predict_tile, planes)

        def decode(self, output, thresholds, shape):
            return label(output[0] > thresholds["foreground"])

        def predict(self, image):
            return Instances(self.decode(self.output(image), self.thresholds, image.shape[:2]))
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import nn

from synthbench.errors import StoreError
from synthbench.plugin.api import Config, Context, Segmenter
from synthbench.samples import SampleSet
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.state_files import read_state, write_state
from synthbench.toolkit.training.threshold_tuning import MAX_PIXELS, tune_on
from synthbench.toolkit.training.weights import load_weights, save_weights
from synthbench.types import Image, LabelMap

__all__ = ["NetworkSegmenter"]

ConfigT = TypeVar("ConfigT", bound=Config)

_WEIGHTS = "network.safetensors"


class NetworkSegmenter(Segmenter[ConfigT]):
    """A segmenter with one network, and thresholds that decode its output.

    Attributes
    ----------
    state_file : str
        Name of the JSON file that is saved beside the weights.
    tuning_pixels : int
        About how many pixels of validation images the thresholds are tuned on.
    channels : int
        Of the images that the network is trained on; set before `build` is called.
    device : torch.device
    network : nn.Module
    thresholds : dict
        Name → value; those of `default_thresholds` until they are tuned.
    """

    state_file: ClassVar[str]
    tuning_pixels: ClassVar[int] = MAX_PIXELS

    channels: int
    device: torch.device
    network: Any
    thresholds: dict[str, Any]

    # -- what a method writes -----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def default_thresholds(self) -> Mapping[str, Any]:
        """Thresholds that the tuning starts from, by name: numbers."""

    @property
    @abstractmethod
    def threshold_grid(self) -> Mapping[str, Sequence[Any]]:
        """Values of each threshold that are tried on validation images; empty where there is nothing to tune."""

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Return a new network for images of `channels` channels; torch's global generator draws its weights."""

    @abstractmethod
    def output(self, image: Image) -> Any:
        """Return what the network says of an image; the input of `decode`."""

    @abstractmethod
    def decode(self, output: Any, thresholds: Mapping[str, Any], shape: tuple[int, ...]) -> LabelMap:
        """Return the label map of an image.

        Parameters
        ----------
        output
            Of the method `output`.
        thresholds
        shape
            ``(height, width)`` of the image, and of the result.
        """

    @property
    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON has it; a method adds what `build_network` depends on beside the config."""
        return {"channels": self.channels}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `state` was; may raise `ValueError`, `TypeError` or `KeyError`."""
        self.channels = int(state["channels"])

    def prepare_predictions(self) -> None:
        """Prepare the trained network for `output`."""
        self.network.eval()

    # -- fitting ------------------------------------------------------------------------------------------------------

    def build(self, context: Context) -> None:
        """Build the network on the context's device, with initial weights drawn from the seed."""
        loop.prepare_torch(context)
        self.device = torch.device(context.device)
        self.network = self.build_network().to(self.device)
        self.thresholds = dict(self.default_thresholds)

    def choose_thresholds(
        self, validation: SampleSet, context: Context, stored: Mapping[str, Any] | None = None
    ) -> None:
        """Tune the thresholds, or keep those that were stored with weights that are used as they are.

        Parameters
        ----------
        validation
        context
        stored
            Thresholds that belong to the weights of ``context.init``.
        """
        if stored and context.budget.steps == 0:
            self.thresholds = dict(stored)
        else:
            self.tune_thresholds(validation, context)

    def tune_thresholds(self, validation: SampleSet, context: Context) -> None:
        """Set the thresholds to those that are best on validation images, spread evenly over the set."""
        if self.threshold_grid:
            self.thresholds = tune_on(
                validation,
                context,
                self.output,
                self.decode,
                self.threshold_grid,
                self.thresholds,
                self.tuning_pixels,
            )

    # -- files --------------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        super().save(folder)
        save_weights(self.network, folder / _WEIGHTS)
        write_state(folder / self.state_file, {**self.state, "thresholds": self.thresholds})

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)

        def restored(state: Any) -> dict[str, Any]:
            new.restore(state)
            return _numbers(state["thresholds"])

        thresholds = read_state(folder / cls.state_file, restored)
        new.build(context)
        if thresholds.keys() != new.thresholds.keys():
            raise StoreError(f"{folder / cls.state_file}: its thresholds aren't {sorted(new.thresholds)}; fit again")
        load_weights(new.network, folder / _WEIGHTS)
        new.prepare_predictions()
        new.thresholds = thresholds
        return new


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return named values; raise `ValueError` if one isn't a number."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}")
    return dict(values)
