"""The last features of a torchvision classifier, with weights from a local file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from synthbench.errors import PluginError, suggest
from synthbench.toolkit.training import weights
from synthbench_encoders.base import EncoderConfig, Features, NetworkEncoder


class ClassifierConfig(EncoderConfig):
    """Which network, and its weights."""

    architecture: str = Field(
        "squeezenet1_0", description="as torchvision names it: squeezenet1_0, resnet50, vit_b_16 …"
    )
    weights: Path | None = Field(
        None,
        description="its state dict, as safetensors or as a torch checkpoint, with any number of classes; without it, "
        "the file that torchvision would download is looked for where torchvision would put it",
    )


class Classifier(NetworkEncoder[ClassifierConfig]):
    """What enters the layer that decides on the class, averaged over the image where it is a map.

    Images are resized to what the network was trained on, by the rule of `pictures.resize`, and normalised as
    torchvision does for it.
    """

    Config = ClassifierConfig

    @classmethod
    def unavailable(cls, config: Any) -> str:
        try:
            preset = _published(config.architecture)
        except PluginError as error:
            return str(error)
        if config.weights is None:
            path = _cached(preset)
            return "" if path.is_file() else f"no weights of {config.architecture}; fetch {preset.url} to {path}"
        return "" if config.weights.expanduser().is_file() else f"no weights at {config.weights}; give a local file"

    def fingerprint(self) -> str:
        digest = weights.sha256(self._path())
        return f"{self.config.architecture} resize-{self.side()} white:{self.config.white_level} sha256:{digest}"

    def variant(self) -> str:
        return f"{self.config.architecture}, own weights" if self.config.weights else str(self.config.architecture)

    def side(self) -> int:
        return int(_published(self.config.architecture).transforms().crop_size[0])

    def build(self, device: str) -> Features:
        import torch

        from synthbench_encoders.classifier_network import classifier_features

        preset = _published(self.config.architecture)
        path = self._path()
        expected = "" if self.config.weights else path.stem.rsplit("-", 1)[-1]
        features = classifier_features(
            self.config.architecture, weights.read_state_dict(path, expected), str(path), device
        )
        how = preset.transforms()
        mean, spread = (torch.tensor(values, device=device)[:, None, None] for values in (how.mean, how.std))
        return lambda batch: features((batch / 255 - mean) / spread)

    def _path(self) -> Path:
        reason = self.unavailable(self.config)
        if reason:
            raise PluginError(f"encoder 'torchvision': {reason}")
        given: Path | None = self.config.weights
        return given.expanduser() if given else _cached(_published(self.config.architecture))


def _published(architecture: str) -> Any:
    """Return torchvision's description of an architecture's published weights."""
    from torchvision import models

    known = models.list_models(module=models)
    if architecture not in known:
        raise PluginError(
            f"architecture {architecture!r} is not a classifier of torchvision{suggest(architecture, known)}"
        )
    return models.get_model_weights(architecture).DEFAULT


def _cached(preset: Any) -> Path:
    path: Path = weights.torch_hub_folder() / preset.url.rsplit("/", 1)[-1]
    return path
