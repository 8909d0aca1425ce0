"""What trainings have recorded, read bit by bit while they go on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["TrainingLogReader", "picture"]

_PICTURE = re.compile(r"(.+)-(\d{6,})\.png")
_MOST_PIXELS = 2**24


class TrainingLogReader:
    """Reads the log of one training, first where it is written and then where it is kept, each row and picture once."""

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}
        self._pictures: set[str] = set()

    def losses(self, folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield steps with their losses that weren't yielded before; the names are ``PHASE/LOSS``."""
        for path in sorted(folder.glob("*.jsonl")):
            phase = path.stem
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            except OSError:
                continue
            for line in lines:
                try:
                    row = {str(name): float(value) for name, value in json.loads(line).items()}
                    step = int(row.pop("step"))
                except (ValueError, KeyError, AttributeError, TypeError, OverflowError):
                    continue
                values = {f"{phase}/{name}": value for name, value in row.items() if math.isfinite(value)}
                if step > self._steps.get(phase, -1) and values:
                    self._steps[phase] = step
                    yield step, values

    def pictures(self, folder: Path) -> Iterator[tuple[int, str, NDArray[np.uint8]]]:
        """Yield the step, the phase and the pixels of pictures that weren't yielded before."""
        for path in sorted(folder.glob("*.png")):
            match = _PICTURE.fullmatch(path.name)
            if match is None or path.name in self._pictures:
                continue
            pixels = picture(path)
            if pixels is not None:
                self._pictures.add(path.name)
                yield int(match[2]), match[1], pixels


def picture(path: Path) -> NDArray[np.uint8] | None:
    """Return a picture as height × width × 3 in uint8; None if it can't be read, as while it is written."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            return np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError):
        return None
