"""Small annotated images on disk, in whatever form a test needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthbench.datasets.importing import Import, prepare_import
from synthbench.samples import Sample

Put = Callable[[str, np.ndarray], Path]
Bring = Callable[..., tuple[list[Sample], Import]]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write an array to a path below the test's folder: TIFF or what PIL makes of the suffix."""

    def write(name: str, array: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".tif", ".tiff"):
            tifffile.imwrite(path, array)
        else:
            Image.fromarray(array).save(path)
        return path

    return write


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    """Import what is in the test's folder, or at a path: all samples, and the import with its log."""

    def run(path: Path | None = None, **options: object) -> tuple[list[Sample], Import]:
        found = prepare_import(path or tmp_path, **options)  # type: ignore[arg-type]
        return list(found.samples()), found

    return run


@pytest.fixture
def grey() -> np.ndarray:
    """A grey image, 24 × 32, uint8."""
    return np.random.default_rng(1).integers(0, 255, (24, 32), dtype=np.uint8)


@pytest.fixture
def two_cells() -> np.ndarray:
    """A label map, 24 × 32, uint16, of two touching rectangles: 1 and 2."""
    labels = np.zeros((24, 32), np.uint16)
    labels[4:12, 4:10] = 1
    labels[4:12, 10:20] = 2
    return labels
