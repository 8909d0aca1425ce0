"""Small files of the forms in which datasets are published, and what is read from them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from synthbench import Context, Sample

__all__ = ["encoded", "labels", "pack", "picture", "read", "splits", "write"]


def picture(seed: int, shape: tuple[int, ...] = (24, 30), dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 200, shape).astype(dtype)


def labels(seed: int, shape: tuple[int, int] = (24, 30), dtype: str = "uint16") -> np.ndarray:
    found = np.zeros(shape, dtype)
    found[2 : 8 + seed % 4, 3:9] = 1
    found[12:20, 14:25] = 2 + seed
    return found


def encoded(array: np.ndarray, suffix: str) -> bytes:
    out = io.BytesIO()
    if suffix == ".tif":
        tifffile.imwrite(out, array)
    else:
        Image.fromarray(array).save(out, "png")
    return out.getvalue()


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def read(cls, folder: Path, **config) -> dict[str, Sample]:
    """Read a dataset, whose samples have only the splits and groups that it declares."""
    samples = {s.id: s for s in cls(cls.Config(**config)).samples(Context(folder=folder))}
    for sample in samples.values():
        assert set(sample.groups) <= {"split", *cls.groups}
        assert sample.groups.get("split", "unlabelled") in {"unlabelled", *cls.splits}
    return samples


def splits(samples: dict[str, Sample]) -> dict[str, str]:
    return {name: sample.groups["split"] for name, sample in samples.items()}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder, which is returned."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
