"""Datasets that are read from the user's own copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plugins.catalogue.catalogue_files import encoded, labels, pack, picture, read, splits, write
from synthbench.errors import DataError
from synthbench_catalogue.deepsea import DeepSea


def test_deepsea_has_its_splits_and_numbers_the_pieces_of_binary_masks(tmp_path: Path) -> None:
    files = {}
    for split, numbers in (("train", (0, 1)), ("test", (2,))):
        for n in numbers:
            mask = labels(n, dtype="uint8")
            binary = np.uint8(255) * (mask > 0)
            files[f"segmentation_dataset/{split}/images/{n}.png"] = encoded(picture(n), ".png")
            files[f"segmentation_dataset/{split}/masks/{n}.png"] = encoded(binary if n == 1 else mask, ".png")
    found = read(DeepSea, tmp_path / "work", archive=pack(tmp_path / "d.zip", files))
    assert splits(found) == {"0": "train", "1": "train", "2": "test"}
    assert np.array_equal(found["2"].labels, labels(2))
    assert np.unique(found["1"].labels).tolist() == [0, 1, 2]
    mine = write(tmp_path / "mine", files)
    assert read(DeepSea, tmp_path / "work", archive=mine)["1"].digest == found["1"].digest
    (mine / "segmentation_dataset" / "train" / "masks" / "0.png").unlink()
    with pytest.raises(DataError, match=r"0\.png: has no mask"):
        read(DeepSea, tmp_path / "work", archive=mine)
