"""The features of any timm network, such as DINOv2, with weights from a local file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import Field

from synthbench.errors import PluginError, suggest
from synthbench.toolkit.training import weights
from synthbench_encoders.base import EncoderConfig, Features, NetworkEncoder

__all__ = ["SIZE", "TimmConfig", "TimmModel"]

SIZE = 224


class TimmConfig(EncoderConfig):
    """Which network, and its weights."""

    model: str = Field(
        "vit_small_patch14_dinov2",
        description="as timm names it, without that of its weights: vit_small_patch14_dinov2 (DINOv2), convnext_tiny …",
    )
    weights: Path | None = Field(
        None,
        description="its state dict, as safetensors or as a torch checkpoint, in timm's form or in that of its "
        "authors, which timm converts; required",
    )
    size: int = Field(
        SIZE,
        ge=32,
        le=1024,
        description="side in pixels that images are resized to; a multiple of the patch size of a transformer. 224 is "
        "what Stein et al. (2023) use for distances on DINOv2",
    )


class TimmModel(NetworkEncoder[TimmConfig]):
    """The pooled features of a timm network: what enters its classifier; of DINOv2, the class token.

    Images are resized by the rule of `pictures.resize`, and normalised by timm's mean and standard deviation for the
    network. timm isn't asked to download anything.
    """

    Config = TimmConfig

    @classmethod
    def unavailable(cls, config: Any) -> str:
        import timm

        known = timm.list_models()
        if config.model not in known:
            return f"model {config.model!r} isn't one of timm's{suggest(config.model, known)}"
        if config.weights is None:
            return f"no weights of {config.model}; download {_address(config.model)} and give it as 'weights: FILE'"
        return "" if config.weights.expanduser().is_file() else f"no weights at {config.weights}; give a local file"

    def fingerprint(self) -> str:
        digest = weights.sha256(self._path())
        return f"timm {self.config.model} resize-{self.side()} white:{self.config.white_level} sha256:{digest}"

    def variant(self) -> str:
        side = "" if self.config.size == SIZE else f", {self.config.size} px"
        return f"{self.config.model}{side}"

    def side(self) -> int:
        return self.config.size

    def build(self, device: str) -> Features:
        import torch

        path = self._path()
        network = _network(self.config.model, self.config.size, weights.read_state_dict(path), path)
        network = network.float().eval().requires_grad_(False).to(device)
        normal: Any = network.pretrained_cfg
        mean, spread = (torch.tensor(normal[name], device=device)[:, None, None] for name in ("mean", "std"))
        return lambda batch: network((batch / 255 - mean) / spread)

    def _path(self) -> Path:
        reason = self.unavailable(self.config)
        if reason or self.config.weights is None:
            raise PluginError(f"encoder 'timm': {reason}")
        return self.config.weights.expanduser()


def _address(model: str) -> str:
    """Return where the default weights of a model are published."""
    import timm

    published = timm.get_pretrained_cfg(model)
    if published is None:
        return "its weights"
    return str(published.url or f"https://huggingface.co/{published.hf_hub_id}")


def _network(model: str, size: int, tensors: dict[str, Any], path: Path) -> Any:
    """Return a network without its classifier, for images of one size; every parameter is from the file."""
    network = _untrained(model, size)
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    try:
        missing = network.load_state_dict(convert(tensors, network) if convert else tensors, strict=False).missing_keys
    except Exception as error:  # a conversion may raise anything for the file of another network
        raise PluginError(f"{path}: not the weights of {model}: {' '.join(str(error).split())[:200]}") from None
    if missing:
        raise PluginError(
            f"{path}: not the weights of {model}: {len(missing)} tensors are missing, such as {missing[0]}"
        )
    return network


def _untrained(model: str, size: int) -> Any:
    import timm

    try:
        return timm.create_model(model, num_classes=0, img_size=size)
    except TypeError:  # networks for images of any size don't take one
        return timm.create_model(model, num_classes=0)
    except (AssertionError, ValueError) as error:
        raise PluginError(
            f"encoder 'timm': {model} can't take images of {size} px: {error}; give another size"
        ) from None
