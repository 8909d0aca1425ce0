"""Predictions that were made before a command was stopped, kept beside its folder until the folder is finished."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synthbench.io.atomic import atomic_write
from synthbench.plugin.api import Instances
from synthbench.types import Image

__all__ = ["UnfinishedPredictions"]


class UnfinishedPredictions:
    """Label maps by what they follow from, so that a command that is given again doesn't compute them again.

    They lie in ``.NAME.unfinished`` beside the folder `out` that they are for.

    Parameters
    ----------
    out
        The folder that is being written.
    settings
        What a prediction depends on beside the image: JSON.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.folder = out.parent / f".{out.name}.unfinished"
        self._settings = json.dumps(settings, sort_keys=True).encode()

    def get(self, image: Image) -> Instances | None:
        """Return the prediction for an image, or None where there is none, or a damaged one."""
        try:
            with np.load(self._file(image), allow_pickle=False) as found:
                labels = found["labels"]
                scores = found.get("scores")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        return Instances(labels, scores) if labels.shape == image.shape[:2] else None

    def put(self, image: Image, answer: Instances) -> None:
        """Keep a prediction.

        Raises
        ------
        DataError
            If it can't be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {"labels": answer.labels} | ({} if answer.scores is None else {"scores": answer.scores})
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        atomic_write(self._file(image), content.getvalue())

    def remove(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, image: Image) -> Path:
        digest = hashlib.sha256(self._settings)
        digest.update(f"{image.shape} {image.dtype}".encode())
        digest.update(np.ascontiguousarray(image).tobytes())
        return self.folder / f"{digest.hexdigest()}.npz"
