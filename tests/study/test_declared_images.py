"""Names of images that a tool has seen: the image that is meant is found, or the name refused."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.datasets.library import open_dataset
from synthbench.errors import ConfigError
from synthbench.samples import SampleSet, write_array
from synthbench.study._declared_images import find_images


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> SampleSet:
    """A dataset as it is imported, with files of one name in both splits."""
    root = tmp_path_factory.mktemp("declared")
    files = {"train": ("cell-0", "cell-1", "cell 7", "only"), "test": ("cell-0", "cell-1", "other")}
    for number, (part, name) in enumerate((part, name) for part, names in files.items() for name in names):
        for kind in ("images", "labels"):
            (root / "cells" / part / kind).mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(number).integers(0, 200, (32, 32)).astype(np.uint8)
        labels = np.zeros((32, 32), np.uint8)
        labels[8:20, 8:20] = 1
        write_array(root / "cells" / part / "images" / f"{name}.png", image)
        write_array(root / "cells" / part / "labels" / f"{name}.png", labels)
    return open_dataset(str(root / "cells"), root / "imported")[0]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("test-cell-1", "test-cell-1"),
        ("test/images/cell-1.png", "test-cell-1"),
        ("D:\\cells\\Test\\images\\cell-1.TIF", "test-cell-1"),
        ("/data/cells/train/cell-0.png", "train-cell-0"),
        ("raw/only.png", "only"),
        ("cell 7.png", "cell_7"),
    ],
)
def test_folders_say_which_of_several_files_of_one_name_is_meant(samples: SampleSet, name: str, image: str) -> None:
    assert find_images([name], samples) == {name: image}


@pytest.mark.parametrize("name", ["cell-1", "cell-1.png", "images/cell-1.png"])
def test_a_name_that_could_be_a_test_image_and_a_training_image_is_refused(samples: SampleSet, name: str) -> None:
    with pytest.raises(ConfigError, match="test-cell-1, train-cell-1; give the id"):
        find_images([name], samples)


def test_names_of_other_images_are_left_out(samples: SampleSet) -> None:
    assert find_images(["cell-9", "test/images/cell-9.png", "", "train"], samples) == {}
