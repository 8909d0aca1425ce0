"""The small pictures of the contract tests are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.testing._data import CLASSES, discs, partly_unknown


def test_they_depend_on_the_seed_and_the_index_alone() -> None:
    assert discs(4, seed=1).fingerprint == discs(4, seed=1).fingerprint
    assert discs(4, seed=1)[:2].fingerprint == discs(2, seed=1).fingerprint
    assert discs(4, seed=1).fingerprint != discs(4, seed=2).fingerprint


def test_they_have_the_form_that_was_asked_for() -> None:
    sample = discs(1, size=(40, 55), channels=3, dtype="uint16", objects=3)[0]
    assert sample.image.shape == (40, 55, 3)
    assert sample.image.dtype == np.uint16
    assert 255 < sample.image.max() < 4096
    assert set(np.unique(sample.labels)) <= {0, 1, 2, 3}
    assert discs(1, objects=0)[0].labels.max() == 0


def test_every_channel_shows_something_else() -> None:
    image = discs(1, channels=4, size=96)[0].image
    assert image.shape == (96, 96, 4)
    np.testing.assert_array_equal(image[..., :2], discs(1, channels=2, size=96)[0].image)
    assert np.abs(np.corrcoef(image.reshape(-1, 4).T) - np.eye(4)).max() < 0.95
    np.testing.assert_array_equal(image[..., 0], discs(1, size=96)[0].image)


def test_classes_grow_brighter() -> None:
    sample = discs(1, task="semantic", size=128)[0]
    means = [sample.image[sample.labels == k].mean() for k in range(len(CLASSES))]
    assert means == sorted(means)
    assert means[0] < 0.5 * means[2]


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_what_is_unknown_is_background_in_the_other_set(task: str) -> None:
    unknown, background = partly_unknown(discs(3, task=task))
    assert [entry.ignored for entry in unknown.entries] == [1.0, 0.5, 0.5]
    assert not background.has_ignored
    for first, second in zip(unknown, background, strict=True):
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.image, second.image)
        if task == "instances":
            assert np.array_equal(np.unique(first.labels), np.arange(first.labels.max() + 1))
