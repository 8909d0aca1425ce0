"""A network as TorchScript, with a description in the format of the BioImage Model Zoo (version 0.5)."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from synthbench.inference.trained import Trained
from synthbench.plugin.exports import NetworkExport
from synthbench.store import file_digest
from synthbench.toolkit.intensity.images import normalise
from synthbench.types import AnyArray, Image
from synthbench.version import __version__

__all__ = ["DESCRIPTION", "write_package"]

DESCRIPTION = "rdf.yaml"
WEIGHTS, INPUT, OUTPUT = "network.pt", "test_input.npy", "test_output.npy"


def write_package(folder: Path, trained: Trained, export: NetworkExport, image: Image) -> tuple[float, float]:
    """Write TorchScript, test arrays, `DESCRIPTION` and a README; return the largest difference and the largest value.

    The network is opened again from its file, and compared with the segmenter on the image and on a part of another
    shape.
    """
    import torch

    planes = _scaled(image, export)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript, which Fiji, ilastik and QuPath read
        traced = torch.jit.trace(export.network.eval(), torch.from_numpy(planes), check_trace=False)
        traced.save(str(folder / WEIGHTS))
        opened = torch.jit.load(str(folder / WEIGHTS), map_location="cpu")
        difference = largest = 0.0
        part = image[: image.shape[0] - export.multiple or None]
        for shown in (image, part):
            found = opened(torch.from_numpy(_scaled(shown, export))).numpy()
            expected = np.asarray(export.as_planes(shown), np.float32)[None]
            difference = max(difference, float(np.abs(found - expected).max()))
            largest = max(largest, float(np.abs(expected).max()))
        output = opened(torch.from_numpy(planes)).numpy()
    raw = np.moveaxis(np.atleast_3d(image), -1, 0)[None].astype(np.float32)
    np.save(folder / INPUT, raw)
    np.save(folder / OUTPUT, output)
    (folder / "README.md").write_text(_readme(trained, export), encoding="utf-8")
    content = yaml.safe_dump(
        _description(folder, trained, export, torch.__version__), sort_keys=False, allow_unicode=True
    )
    (folder / DESCRIPTION).write_text(content, encoding="utf-8")
    return difference, largest


def _scaled(image: Image, export: NetworkExport) -> AnyArray:
    return normalise(image, *export.percentiles)[None]


def _name(trained: Trained) -> str:
    return re.sub(r"[^\w ()+.-]+", " ", f"{trained.plugin} {trained.key[:12]}").strip()


def _description(folder: Path, trained: Trained, export: NetworkExport, version: str) -> dict[str, Any]:
    size = {"min": 4 * export.multiple, "step": export.multiple}
    channels = [f"channel{number}" for number in range(export.channels)]
    low, high = export.percentiles
    return {
        "format_version": "0.5.4",
        "type": "model",
        "name": _name(trained),
        "description": f"{trained.label}; trained with synthbench {__version__}. See README.md for how the output is "
        "decoded into objects.",
        "authors": [{"name": "not stated"}],
        "cite": [{"text": "synthbench", "url": "https://github.com/synthbench/synthbench"}],
        "tags": ["segmentation", "cells", "synthbench"],
        "documentation": "README.md",
        "version": "0.1.0",
        "inputs": [
            {
                "id": "image",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": channels},
                    {"type": "space", "id": "y", "size": size},
                    {"type": "space", "id": "x", "size": size},
                ],
                "data": {"type": "float32"},
                "test_tensor": _file(folder, INPUT),
                "preprocessing": [
                    {
                        "id": "scale_range",
                        "kwargs": {"axes": ["y", "x"], "min_percentile": low, "max_percentile": high, "eps": 1e-6},
                    }
                ],
            }
        ],
        "outputs": [
            {
                "id": "planes",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": [re.sub(r"\W+", "_", name) for name in export.planes]},
                    *(
                        {"type": "space", "id": axis, "size": {"tensor_id": "image", "axis_id": axis}}
                        for axis in ("y", "x")
                    ),
                ],
                "data": {"type": "float32"},
                "test_tensor": _file(folder, OUTPUT),
            }
        ],
        "weights": {"torchscript": {**_file(folder, WEIGHTS), "pytorch_version": version.partition("+")[0]}},
    }


def _file(folder: Path, name: str) -> dict[str, str]:
    return {"source": name, "sha256": file_digest(folder / name)}


def _readme(trained: Trained, export: NetworkExport) -> str:
    low, high = export.percentiles
    scaled = (
        f"\nThe training images were scaled by {trained.factor:.6g} first: scale yours likewise, and bring label maps "
        "back.\n"
        if trained.factor != 1
        else ""
    )
    return (
        f"# {_name(trained)}\n\n{trained.label}.\n\n"
        f"**Input** `(batch, {export.channels}, height, width)`, float32, sides multiples of {export.multiple}. The "
        f"percentiles {low:g} and {high:g} of each channel become 0 and 1, without clipping.\n{scaled}\n"
        f"**Output** `(batch, {len(export.planes)}, height, width)`, float32: {', '.join(export.planes)}.\n\n"
        f"**Objects** {export.decoding}\n\n"
        "The network is TorchScript; the decoding isn't part of it.\n"
    )
