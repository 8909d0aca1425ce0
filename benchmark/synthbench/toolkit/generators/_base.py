"""What all trained generators with an image–mask codec share: training in the loop, weights on disk."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self, TypeVar

import torch
from torch import nn

from synthbench.errors import StoreError
from synthbench.plugin.api import Config, Context, Generator
from synthbench.samples import Task
from synthbench.toolkit.generators.conditions import Conditions
from synthbench.toolkit.masks.codec import ImageMaskCodec
from synthbench.toolkit.training import loop
from synthbench.toolkit.training.checkpoints import State
from synthbench.toolkit.training.training_log import preview_of
from synthbench.toolkit.training.weights import load_weights, save_weights

__all__ = ["CodecGenerator", "Training"]

ConfigT = TypeVar("ConfigT", bound=Config)

_CODEC = "codec.json"
_CONDITIONS = "conditions.json"
_PATCH_SIZE = "patch_size.txt"


class Training(Protocol):
    """The training step of a method: its losses, optimisers, and the networks that only training needs."""

    @property
    def state(self) -> Mapping[str, State]:
        """Everything that changes during training, by name; see `synthbench.toolkit.training.loop.train`."""

    def step(self, number: int) -> loop.Losses:
        """Take optimiser step `number`, and return its losses by name."""


class CodecGenerator(Generator[ConfigT]):
    """A trained generator whose networks see samples as planes of an image–mask codec.

    A subclass sets `codec`, `conditions` and `patch_size` in `fit`, and writes `networks` and `build_networks`. What it
    saves beside its weights, it writes in `save_state` and reads in `load_state`.

    Attributes
    ----------
    codec : ImageMaskCodec
        Of the training set.
    conditions : Conditions
        Of the training set; without groups unless the configuration is a
        `synthbench.toolkit.generators.conditions.ConditionConfig`.
    patch_size : int
        Side of the training patches in pixels.
    device : torch.device
        Where the networks are; set before `build_networks` is called.
    """

    codec: ImageMaskCodec
    conditions: Conditions
    patch_size: int
    device: torch.device

    @property
    def random_stream(self) -> str:
        """Prefix of the names of the method's streams of random numbers; see `synthbench.toolkit.rng`.

        By default the package and the name of the class; a method may override it with a class attribute, so that its
        samples stay the same when the class is renamed.
        """
        return f"{type(self).__module__.partition('.')[0]}.{type(self).__name__}"

    @property
    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks that sampling needs, by name: their weights are saved as ``<name>.safetensors``."""

    @abstractmethod
    def build_networks(self) -> None:
        """Create `networks` on `device` with initial weights, from the configuration and the codec."""

    def save_state(self, folder: Path) -> None:
        """Write what `load_state` needs; nothing, unless overridden."""

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote; codec and patch size are there, the networks aren't yet."""

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.codec.save(folder / _CODEC)
        self.conditions.save(folder / _CONDITIONS)
        (folder / _PATCH_SIZE).write_text(f"{self.patch_size}\n", encoding="utf-8")
        self.save_state(folder)
        for name, network in self.networks.items():
            save_weights(network, folder / f"{name}.safetensors")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        loop.prepare_torch(context)
        new.device = torch.device(context.device)
        new.codec = ImageMaskCodec.load(folder / _CODEC)
        new.conditions = Conditions.load(folder / _CONDITIONS)
        new.patch_size = _read_patch_size(folder / _PATCH_SIZE)
        new.load_state(folder)
        new.build_networks()
        for name, network in new.networks.items():
            load_weights(network, folder / f"{name}.safetensors")
            network.eval()
        return new

    def run_training(self, training: Training, context: Context, task: Task) -> None:
        """Take the budget's steps with pictures for the log; the networks are in evaluation mode afterwards.

        `counts` is empty afterwards: what the pictures counted isn't part of the result.
        """
        for network in self.networks.values():
            network.train()
        loop.train(
            context,
            state=training.state,
            step=training.step,
            preview=preview_of(self, context.seed, *self.networks.values()),
            task=task,
        )
        for network in self.networks.values():
            network.eval()
        self.counts.clear()


def _read_patch_size(path: Path) -> int:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: can't be read: {error}; fit again") from None
