"""Predictions as PNG: other programs read the labels that were written, and files are small."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from skimage.draw import disk
from skimage.io import imread

from synthbench.bundle.label_png import decode_labels, encode_labels
from synthbench.types import AnyArray

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)


@given(st.data(), st.sampled_from([1, 255, 256, 65_535, 65_536, 2**31 - 1]))
def test_labels_come_back(data: st.DataObject, highest: int) -> None:
    labels = data.draw(arrays.arrays(np.int64, SHAPES, elements=st.integers(0, highest)))
    found = decode_labels(encode_labels(labels), labels.shape, "a.png")
    assert np.array_equal(found, labels)


@pytest.mark.parametrize("highest", [7, 255, 256, 65_535])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.int64])
def test_other_programs_read_them(highest: int, dtype: type[np.integer]) -> None:
    labels = np.random.default_rng(0).integers(0, highest + 1, (30, 21)).astype(dtype)
    labels[0, 0] = highest
    data = encode_labels(labels.T)
    assert np.array_equal(imread(io.BytesIO(data)), labels.T)
    with Image.open(io.BytesIO(data)) as picture:
        picture.verify()


def test_files_of_cells_are_smaller_than_those_of_a_library() -> None:
    random = np.random.default_rng(0)
    labels: AnyArray = np.zeros((512, 512), np.uint16)
    for label in range(1, 400):
        labels[disk(random.uniform(0, 512, 2), random.uniform(5, 15), shape=labels.shape)] = label
    theirs = io.BytesIO()
    Image.fromarray(labels).save(theirs, "PNG", compress_level=9)
    assert len(encode_labels(labels)) < 0.9 * len(theirs.getvalue())
