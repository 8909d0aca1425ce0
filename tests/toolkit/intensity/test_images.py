"""Images on their way into a network: normalised, of the right number of channels, never NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synthbench.toolkit.intensity.images import as_rgb, normalise, to_channels


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.one_of(
            st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(1, 9), st.just(4), st.just(3))
        ),
    )
)
def test_any_image_gives_finite_planes(image: np.ndarray) -> None:
    planes = normalise(image)
    assert planes.dtype == np.float32
    assert planes.shape == (1 if image.ndim == 2 else 3, *image.shape[:2])
    assert np.isfinite(planes).all()


def test_the_percentiles_go_to_0_and_1_in_each_channel() -> None:
    rng = np.random.default_rng(0)
    image = (rng.random((50, 60, 3)) * [255, 100, 20]).astype(np.uint8)
    planes = normalise(image)
    np.testing.assert_allclose(np.percentile(planes, (1, 99.8), axis=(1, 2)), [[0] * 3, [1] * 3], atol=1e-5)


def test_bit_depth_does_not_matter() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)
    np.testing.assert_allclose(normalise(image), normalise(image.astype(np.uint16) * 257), atol=1e-5)


def test_a_constant_channel_becomes_0() -> None:
    image = np.full((5, 5, 3), 7, np.uint8)
    image[..., 1] = np.arange(25).reshape(5, 5)
    planes = normalise(image)
    assert not planes[[0, 2]].any()
    assert planes[1].any()


def test_channels_are_repeated_or_averaged() -> None:
    grey, colour = np.ones((1, 2, 2), np.float32), np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    assert to_channels(grey, 3).shape == (3, 2, 2)
    np.testing.assert_allclose(to_channels(colour, 1)[0], colour.mean(axis=0))
    assert to_channels(colour, 3) is colour
    with pytest.raises(ValueError, match="3 channels"):
        to_channels(colour, 2)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_networks_of_rgb_images_take_any_number_of_channels(channels: int) -> None:
    images = torch.rand(2, channels, 4, 5)
    shown = as_rgb(images)
    assert shown.shape == (2, max(3, channels), 4, 5)
    assert torch.equal(shown[:, :channels], images)
    if channels == 1:
        assert torch.equal(shown[:, 2:], images)
    if channels == 2:
        assert not shown[:, 2].any()


@pytest.mark.parametrize(("given", "wanted"), [(2, 1), (2, 3), (4, 1), (4, 3), (1, 2), (1, 4), (2, 4)])
def test_no_channel_is_made_up_or_merged_where_channels_are_stains(given: int, wanted: int) -> None:
    planes = np.zeros((given, 2, 2), np.float32)
    assert to_channels(planes, given) is planes
    with pytest.raises(ValueError, match=f"{given} channels"):
        to_channels(planes, wanted)
