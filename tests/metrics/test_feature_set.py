"""One pass over a set: a row of features per image, in order, or an error that says what came instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from helpers.blobs import blobs
from synthbench.metrics.feature_set import ImageToEncode, extract_features, rgb_pictures

SAMPLES = [blobs(seed) for seed in range(4)]


def images() -> Iterable[ImageToEncode]:
    return (ImageToEncode(s.id, s.image, s.labels, origin="new") for s in SAMPLES)


def ignore_progress(done: int, total: int, note: str) -> None:
    """Show no progress."""


def test_each_image_is_encoded_once_and_reported() -> None:
    reports = []
    feature_set = extract_features(
        lambda pixels: np.array([[image.mean()] for image in pixels]),
        images(),
        len(SAMPLES),
        lambda *report: reports.append(report),
    )
    assert feature_set.features.ravel().tolist() == [s.image.mean() for s in SAMPLES]
    assert feature_set.names == [s.id for s in SAMPLES]
    assert feature_set.mask_origins == ["new"] * 4
    assert len(feature_set.residuals) == len(feature_set.mask_measures) == 4
    assert reports == [(i, 4, "") for i in (1, 2, 3, 4)]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_encoder_sees_grey_and_rgb_from_which_every_channel_can_be_had(channels: int, dtype: type) -> None:
    top = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, top, (6, 7, channels), dtype=dtype, endpoint=True)
    image = image[..., 0] if channels == 1 else image
    pictures = rgb_pictures(image)
    assert all(picture.dtype == dtype and picture.shape in ((6, 7), (6, 7, 3)) for picture in pictures)
    if channels in (1, 3):
        assert pictures == [image]
        return
    assert len(pictures) == channels // 2
    for number, picture in enumerate(pictures):
        red, green, blue = np.moveaxis(picture, -1, 0)
        np.testing.assert_array_equal(green, image[..., 2 * number])
        np.testing.assert_array_equal(red, image[..., 2 * number + 1])
        assert (np.abs(blue - (red.astype(float) + green) / 2) <= 0.5).all()


def test_the_pictures_of_an_image_are_one_row() -> None:
    stack = np.stack([SAMPLES[0].image // (k + 1) for k in range(4)], axis=-1)
    given = [ImageToEncode("a", stack), ImageToEncode("b", stack[::-1])]
    found = extract_features(
        lambda pixels: np.array([image[0, :1, :2].mean(0) for image in pixels]), given, 2, ignore_progress
    )
    expected = [[one[0, 0, 1], one[0, 0, 0], one[0, 0, 3], one[0, 0, 2]] for one in (stack, stack[::-1])]
    assert found.features.tolist() == expected
    with pytest.raises(ValueError, match="b has 2 channels"):
        extract_features(
            lambda pixels: np.zeros((len(list(pixels)), 1)),
            [given[0], ImageToEncode("b", stack[..., :2])],
            2,
            ignore_progress,
        )


@pytest.mark.parametrize(
    ("encode", "named"),
    [
        (lambda pixels: np.zeros((len(list(pixels)) - 1, 2)), r"\(3, 2\)"),
        (lambda pixels: np.zeros(len(list(pixels))), r"\(4,\)"),
        (lambda pixels: np.full((len(list(pixels)), 2), np.nan), "finite"),
        (lambda pixels: np.full((len(list(pixels)), 2), "a"), "<U1"),
    ],
)
def test_an_encoder_that_does_not_return_a_finite_row_per_image_is_refused(encode: Callable, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        extract_features(encode, images(), len(SAMPLES), ignore_progress)
