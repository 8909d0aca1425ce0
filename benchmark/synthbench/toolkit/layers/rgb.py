"""Images of any number of channels as RGB, for networks that were made for RGB, such as those of ImageNet."""

from __future__ import annotations

import torch

__all__ = ["to_rgb"]

_COLOURS = ((0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1))
"""Colours of the first to the fourth channel: cyan, magenta, yellow, white, as in the pictures of samples."""


def to_rgb(images: torch.Tensor) -> torch.Tensor:
    """Return images with three channels.

    Grey is repeated, RGB is unchanged. Two or four channels are cyan, magenta, yellow and white light: each of red,
    green and blue is the mean of the channels whose colour has it, so values keep their range. Of two channels the
    first is green, the second red, and their mean blue.

    Parameters
    ----------
    images
        ``(B, 1 … 4, H, W)``.

    Returns
    -------
    torch.Tensor
        ``(B, 3, H, W)``; a view where that is possible.
    """
    channels = images.shape[1]
    if channels == 1:
        return images.expand(-1, 3, -1, -1)
    if channels == 3:
        return images
    colours = torch.tensor(_COLOURS[:channels], dtype=images.dtype, device=images.device)
    return torch.einsum("bchw,cp->bphw", images, colours / colours.sum(dim=0))
