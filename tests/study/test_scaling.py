"""Images and label maps at another scale: means over areas, labels of nearest pixels, outlines that come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from synthbench.samples import Sample, SampleSet
from synthbench.study.scaling import (
    resize_image,
    resize_labels,
    restore_labels,
    scale_sample,
    scale_set,
    scaled_shape,
    scaled_side,
)

SIDES = st.integers(1, 40)


def disc(side: int, diameter: float, label: int = 1, dtype: str = "uint16") -> np.ndarray:
    """A disc in the middle of a label map."""
    places = np.arange(side) + 0.5 - side / 2
    return (label * (places[:, None] ** 2 + places**2 <= diameter**2 / 4)).astype(dtype)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_disc_of_90_pixels_becomes_one_of_30() -> None:
    labels = disc(180, 90, label=7)
    scaled = scale_sample(Sample("s", labels, labels), 30 / 90)
    assert scaled.image.shape == scaled.labels.shape == (60, 60)
    assert np.unique(scaled.labels).tolist() == [0, 7]
    assert 2 * np.sqrt((scaled.labels > 0).sum() / np.pi) == pytest.approx(30, abs=0.3)
    assert iou(scaled.labels > 0, disc(60, 30) > 0) > 0.97


def test_a_pixel_of_a_smaller_image_is_the_mean_over_its_area() -> None:
    image = np.array([[0, 10, 100, 200], [20, 30, 101, 202]], np.uint8)
    assert resize_image(image, (1, 2)).tolist() == [[15, 151]]
    thirds = np.array([[0, 90, 30]], np.uint16)
    assert resize_image(thirds, (1, 2)).tolist() == [[30, 50]]  # (0 + 90/2) / 1.5, (90/2 + 30) / 1.5


def test_a_larger_image_is_interpolated_linearly() -> None:
    assert resize_image(np.array([[0, 100]], np.uint8), (1, 4)).tolist() == [[0, 25, 75, 100]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(11, 7), (60, 9), (50, 64)])
def test_type_channels_and_intensities_stay(dtype: str, shape: tuple[int, int]) -> None:
    image = np.zeros((30, 32, 2), dtype)
    image[..., 0], image[..., 1] = 3, np.iinfo(dtype).max
    resized = resize_image(image, shape)
    assert (resized.dtype, resized.shape) == (image.dtype, (*shape, 2))
    assert np.unique(resized).tolist() == [3, np.iinfo(dtype).max]


@given(
    arrays(
        st.sampled_from([np.uint8, np.uint16, np.uint32, np.int64]), array_shapes(min_dims=2, max_dims=2), fill=None
    ),
    st.tuples(SIDES, SIDES),
)
def test_label_maps_keep_their_type_and_get_no_new_label(labels: np.ndarray, shape: tuple[int, int]) -> None:
    labels = np.abs(labels // 2)
    for resize in (resize_labels, restore_labels):
        resized = resize(labels, shape)
        assert (resized.shape, resized.dtype) == (shape, labels.dtype)
        assert set(np.unique(resized)) <= set(np.unique(labels))
        assert np.array_equal(resize(labels, labels.shape), labels)


@given(SIDES, SIDES)
def test_a_pixel_has_the_label_at_its_centre(new: int, old: int) -> None:
    """Written with fractions of the side in place of pixels; a centre on a border between two belongs to the second."""
    row = resize_labels(np.arange(old)[None], (1, new))[0]
    assert row.tolist() == [(2 * i + 1) * old // (2 * new) for i in range(new)]
    if new >= old:
        assert set(row) == set(range(old))


def test_the_label_of_the_largest_weight_comes_back() -> None:
    labels = np.array([[1, 2], [3, 3]], np.uint8)
    restored = restore_labels(labels, (4, 4))
    # row 1, column 1 lies at (¼, ¼): weights 9/16 of 1, 3/16 of 2, and 3/16 + 1/16 of 3
    # row 1, column 2 lies at (¼, ¾); rows 2 and 3 have ¾ of their weight below
    assert restored.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 3], [3, 3, 3, 3]]
    tie_broken_by_sum = np.array([[1, 2], [2, 3]], np.uint8)
    # at (0.3, 0.3): .49 of 1, .42 of 2, .09 of 3; at (0.5, 0.5): ¼, ½, ¼
    assert restore_labels(tie_broken_by_sum, (3, 3))[1, 1] == 2
    assert resize_labels(tie_broken_by_sum, (3, 3))[1, 1] == 3


@pytest.mark.parametrize("factor", [0.25, 1 / 3, 0.4, 0.77])
def test_outlines_that_come_back_are_nearer_to_the_true_ones_than_nearest_pixels(factor: float) -> None:
    found = []
    for side in range(180, 196):
        labels = disc(side, 90)
        scaled = resize_labels(labels, scaled_shape(labels.shape, factor))
        both = (resize(scaled, labels.shape) for resize in (resize_labels, restore_labels))
        found.append([iou(other > 0, labels > 0) for other in both])
    nearest, restored = np.mean(found, axis=0)
    assert restored > max(nearest + 0.0005, 0.95)


def test_ignored_pixels_are_scaled_with_the_labels() -> None:
    labels = disc(90, 60)
    ignore = np.zeros((90, 90), bool)
    ignore[:, :30] = True
    scaled = scale_sample(Sample("s", labels, labels, {"well": "a"}, ignore), 1 / 3)
    assert scaled.ignore is not None
    assert scaled.ignore[:, :10].all()
    assert not scaled.ignore[:, 10:].any()
    assert not scaled.labels[:, :10].any()
    assert scaled.groups == {"well": "a"}


def test_a_scaled_set_reads_scaled_samples_and_knows_their_sizes_before() -> None:
    samples = SampleSet.of([Sample(f"s{n}", disc(60 + n, 30), disc(60 + n, 30)) for n in range(3)])
    scaled = scale_set(samples, 0.5)
    assert [(entry.height, entry.width) for entry in scaled.entries] == [(30, 30), (31, 31), (31, 31)]
    assert [sample.labels.shape for sample in scaled] == [(30, 30), (31, 31), (31, 31)]
    assert scaled.subset(["s2"])[0].image.shape == (31, 31)
    assert scaled.fingerprint not in (samples.fingerprint, scale_set(samples, 0.51).fingerprint)
    assert scale_set(samples, 1.0) is samples
    assert scale_sample(samples[0], 1.0).image is samples[0].image


@pytest.mark.parametrize(("side", "factor", "scaled"), [(90, 1 / 3, 30), (5, 0.5, 3), (1, 0.05, 1), (7, 1.5, 11)])
def test_sides_are_rounded_half_up(side: int, factor: float, scaled: int) -> None:
    assert scaled_side(side, factor) == scaled
