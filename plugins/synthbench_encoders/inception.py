"""Inception-v3 of 2015, the network of FID (Heusel 2017) and KID (Bińkowski 2018), with clean-fid's resizing."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from synthbench.errors import PluginError
from synthbench.toolkit.training import weights
from synthbench_encoders.base import EncoderConfig, Features, NetworkEncoder

SCRIPT = "inception-2015-12-05.pt"
SCRIPT_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
SCRIPT_URL = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/" + SCRIPT
TENSORS = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
TENSORS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


class InceptionConfig(EncoderConfig):
    """Which file to take."""

    weights: Path | None = Field(
        None,
        description="inception-2015-12-05.pt, the TorchScript file of clean-fid and StyleGAN, or the state dict of "
        "pytorch-fid and torch-fidelity; without it both are looked for where those tools keep them",
    )
    sha256: str = Field(
        "",
        pattern="^([0-9a-f]{64})?$",
        description="of a state dict that isn't the published one; distances on its features are no longer called FID "
        "and KID. A TorchScript file is a program, so the published one is the only one that is ever opened",
    )


class Inception(NetworkEncoder[InceptionConfig]):
    """The 2048 features of the last pooling layer, of images resized to 299²."""

    Config = InceptionConfig
    size: ClassVar[int] = 299

    @classmethod
    def unavailable(cls, config: Any) -> str:
        path = _find(config)
        if path is None:
            place = weight_files()[0]
            return (
                f"no Inception weights; fetch {SCRIPT_URL} and put it at {place}, or give it with --inception FILE (in "
                "a study: the encoder's key 'weights')"
            )
        if not path.is_file():
            return f"no Inception weights at {path}; fetch {SCRIPT_URL}"
        found, expected = weights.sha256(path), _expected(path, config)
        if found != expected:
            return f"{path} is not the published file (SHA-256 {found[:16]}…, not {expected[:16]}…); fetch it again"
        return ""

    def fingerprint(self) -> str:
        path = self._path()
        return f"inception-v3-2015 clean-resize-299 white:{self.config.white_level} sha256:{weights.sha256(path)}"

    def variant(self) -> str:
        return "" if weights.sha256(self._path()) in (SCRIPT_SHA256, TENSORS_SHA256) else "own weights"

    def build(self, device: str) -> Features:
        import torch

        path = self._path()
        expected = _expected(path, self.config)
        if expected == SCRIPT_SHA256:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                script = torch.jit.load(io.BytesIO(weights.read_bytes(path, expected)), map_location=device).eval()
            return lambda batch: script.layers((batch - 128) / 128).flatten(1)
        from synthbench_encoders.inception_network import inception_network

        network = inception_network(weights.read_state_dict(path, expected), str(path)).to(device)
        return lambda batch: network((batch - 128) / 128)

    def _path(self) -> Path:
        reason = self.unavailable(self.config)
        path = _find(self.config)
        if reason or path is None:
            raise PluginError(f"encoder 'inception': {reason}")
        return path


def weight_files() -> list[Path]:
    """Where clean-fid, pytorch-fid and torch-fidelity keep their copies."""
    return [Path(tempfile.gettempdir()) / SCRIPT, *(weights.torch_hub_folder() / name for name in (SCRIPT, *TENSORS))]


def _find(config: InceptionConfig) -> Path | None:
    if config.weights is not None:
        return config.weights.expanduser()
    return next((path for path in weight_files() if path.is_file()), None)


def _expected(path: Path, config: InceptionConfig) -> str:
    """Return the SHA-256 that the file must have; by its ending it is one or the other."""
    return SCRIPT_SHA256 if path.suffix == ".pt" else config.sha256 or TENSORS_SHA256
