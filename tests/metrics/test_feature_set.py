"""One pass over a set: a row of features per image, in order, or an error that says what came instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from helpers.blobs import blobs
from synthbench.metrics.feature_set import ImageToEncode, extract_features

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
