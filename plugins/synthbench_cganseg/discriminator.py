"""The two discriminators: PatchGANs that see the whole patch through one layer of linear attention."""

from __future__ import annotations

import torch
from torch import nn

_SLOPE = 0.2
_FAINT = 0.01


class LinearAttention(nn.Module):
    """Residual attention of every place to every place, in time that grows with their number (Shen et al. 2021).

    Keys are normalised over the places and queries over their length, so that the places are summed up before they
    are asked. The published code's has a norm before it, depthwise convolutions of keys and values, and a GELU; this is
    the attention alone.

    Parameters
    ----------
    planes
    heads, width
        The paper has 8 heads of 64.
    """

    def __init__(self, planes: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Conv2d(planes, 3 * heads * width, 1, bias=False)
        self.answer = nn.Conv2d(heads * width, planes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, _, height, width = x.shape
        queries, keys, values = self.ask(x).reshape(count, 3, self.heads, -1, height * width).unbind(dim=1)
        context = torch.einsum("bhkn,bhvn->bhkv", keys.softmax(dim=-1), values)
        found = torch.einsum("bhkv,bhkn->bhvn", context, queries.softmax(dim=-2))
        return x + self.answer(found.reshape(count, -1, height, width))


def discriminator(planes: int, filters: int, heads: int, width: int) -> nn.Sequential:
    """Return a PatchGAN of 4×4 convolutions, ``(B, planes, H, W)`` → one logit per overlapping 70-pixel patch.

    Three layers halve the resolution, as in Isola et al. 2017; attention follows the first. There is no norm (this
    project's choice): instance norm divides by the spread within a patch, which is next to nothing in an empty one, and
    there its pull on the drawn pixels was fifteen times that of the absolute difference. Which of the two draws nearer
    to real images isn't known: nuclei lay at 275 thousand without it and at 221 with it, and the intervals of these
    kernel distances hold each other.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(planes, filters, 4, 2, 1),
        nn.LeakyReLU(_SLOPE),
        LinearAttention(filters, heads, width),
    ]
    for k, stride in ((1, 2), (2, 2), (3, 1)):
        convolution = nn.Conv2d(filters * 2 ** (k - 1), filters * 2**k, 4, stride, 1)
        nn.init.kaiming_normal_(convolution.weight, a=_SLOPE)
        nn.init.zeros_(convolution.bias)
        layers += [convolution, nn.LeakyReLU(_SLOPE)]
    last = nn.Conv2d(filters * 8, 1, 4, 1, 1)
    nn.init.normal_(last.weight, std=_FAINT)
    return nn.Sequential(*layers, last)
