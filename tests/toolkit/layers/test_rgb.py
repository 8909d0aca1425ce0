"""Images of any number of channels as RGB: the range stays, and two channels can be had back."""

from __future__ import annotations

import pytest
import torch

from synthbench.toolkit.layers.rgb import to_rgb


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_range_stays_and_every_channel_counts(channels: int) -> None:
    images = torch.rand((2, channels, 5, 6), generator=torch.Generator().manual_seed(0))
    rgb = to_rgb(images)
    assert rgb.shape == (2, 3, 5, 6)
    torch.testing.assert_close(to_rgb(torch.ones_like(images)), torch.ones_like(rgb))
    for channel in range(channels):
        brighter = images.clone()
        brighter[:, channel] += 1
        gain = to_rgb(brighter) - rgb
        assert gain.min() > -1e-6
        assert gain.amax(dim=1).min() > 0.3


def test_grey_is_repeated_rgb_kept_and_of_two_the_first_is_green() -> None:
    grey, colour, two = torch.rand(1, 1, 2, 2), torch.rand(1, 3, 2, 2), torch.rand(1, 2, 2, 2)
    assert torch.equal(to_rgb(grey), grey.repeat(1, 3, 1, 1))
    assert to_rgb(colour) is colour
    expected = torch.stack([two[:, 1], two[:, 0], two.mean(dim=1)], dim=1)
    torch.testing.assert_close(to_rgb(two), expected)
