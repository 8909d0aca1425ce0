"""Write a trained segmenter for other programs, and prove that it computes the same there."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.datasets.import_options import ImportLog
from synthbench.datasets.pixels import read_image
from synthbench.errors import DataError, PluginError
from synthbench.export.bioimageio import write_package
from synthbench.inference.choosing import ChosenSegmenter
from synthbench.inference.trained import Trained, plugin_errors
from synthbench.io.new_folder import check_new_folder, new_folder
from synthbench.plugin.exports import MODULE, ExportedModel, NetworkExport
from synthbench.plugin.registry import registry
from synthbench.types import Image

__all__ = ["TOLERANCE", "Exported", "export_segmenter"]

TOLERANCE = 1e-3
"""Largest difference between outputs of the exported model and of the segmenter, relative to the largest value."""
_SIDE = 256


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes
    ----------
    folder : Path
    about : mapping
        Format, training, and the largest difference on the test image.
    notes : tuple of str
        What the user should know, a sentence each.
    """

    folder: Path
    about: Mapping[str, Any]
    notes: tuple[str, ...]


def export_segmenter(chosen: ChosenSegmenter, out: Path, image: Path | None = None) -> Exported:
    """Write a trained segmenter into a new folder, which appears when it is proved equal on a test image.

    Parameters
    ----------
    chosen
    out
        Doesn't exist, or is empty.
    image
        The test image; by default a drawn one.

    Raises
    ------
    PluginError
        If the segmenter can't be exported, or computes something else when it is opened again.
    SynthbenchError
        If the image can't be used, or nothing can be written.
    """
    check_new_folder(out)
    trained = chosen.trained
    export = _exporter(trained)
    with trained.loaded("cpu") as segmenter, new_folder(out) as folder:
        with plugin_errors("segmenter", trained.plugin):
            made = export(segmenter, folder)
        if isinstance(made, NetworkExport):
            form, usage = "TorchScript with a BioImage.IO description", ""
            difference, largest = write_package(folder, trained, made, _test_image(image, made.channels, made.multiple))
        else:
            assert isinstance(made, ExportedModel)
            form, usage = made.format, made.usage
            with plugin_errors("segmenter", trained.plugin):
                difference, largest = made.compare(_test_image(image, _channels(segmenter), 32))
        if not difference <= TOLERANCE * max(largest, 1e-6):
            raise PluginError(
                f"segmenter {trained.plugin!r}: the exported model differs from the trained one by {difference:.2g} of "
                f"{largest:.2g} on the test image; nothing was written"
            )
        if usage:
            scaled = f"\n{scale_hint(trained)}\n" if trained.factor != 1 else ""
            text = f"# {trained.plugin}: {trained.label}\n\n{usage}\n{scaled}"
            (folder / "README.md").write_text(text, encoding="utf-8")
    about = {
        "segmenter": trained.plugin,
        "training": trained.label,
        "key": trained.key,
        "format": form,
        "scaled_by": trained.factor,
        "largest_difference": difference,
        "largest_value": largest,
    }
    return Exported(out, about, (*chosen.notes, *trained.notes))


def scale_hint(trained: Trained) -> str:
    """Return what to do with images where the study scaled them."""
    return f"The training images were scaled by {trained.factor:.6g}: scale yours likewise, and bring label maps back."


def _exporter(trained: Trained) -> Any:
    """Return the function of the plugin that exports its segmenters."""
    package = registry().get("segmenter", trained.plugin).spec.package
    name = f"{package}.{MODULE}"
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:  # the plugin is one module, not a package
        found = None
    if found is None:
        raise PluginError(
            f"segmenter {trained.plugin!r} can't be exported: its package has no module {MODULE}; 'synthbench predict' "
            "uses it as it is"
        )
    return importlib.import_module(name).export


def _channels(segmenter: Any) -> int:
    known: int = getattr(segmenter, "channels", getattr(segmenter, "_channels", 1))
    return known


def _test_image(path: Path | None, channels: int, multiple: int) -> Image:
    """Return an image with the channels of the training, whose sides are multiples of a number."""
    if path is None:
        return _drawn(channels, -(-_SIDE // multiple) * multiple)
    image = read_image(path, ImportLog())
    found = 1 if image.ndim == 2 else image.shape[2]
    if found != channels:
        raise DataError(f"{path}: has {found} channel(s), and the model takes {channels}; give another --image")
    sides = [min(side, 2 * _SIDE) // multiple * multiple for side in image.shape[:2]]
    if min(sides) < multiple:
        raise DataError(f"{path}: is smaller than {multiple} pixels; give another --image")
    return np.ascontiguousarray(image[: sides[0], : sides[1]])


def _drawn(channels: int, side: int) -> Image:
    """Return an image of discs with soft edges and noise, uint8."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    image = rng.normal(30, 4, (side, side, channels))
    for _ in range(40):
        centre, radius = rng.uniform(0, side, 2), rng.uniform(6, 16)
        disc = 1 / (1 + np.exp(np.hypot(y - centre[0], x - centre[1]) - radius))
        image += disc[..., None] * rng.uniform(40, 120, channels)
    drawn: Image = image.clip(0, 255).astype(np.uint8)
    return drawn[..., 0] if channels == 1 else drawn
