"""What a drawn sample must be to be kept."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.errors import DataError
from synthbench.samples import Sample
from synthbench.tasks.draw import _check_image

LABELS = np.zeros((4, 5), np.uint8)


def drawn(dtype: str, *channels: int) -> Sample:
    return Sample("000007", np.zeros((4, 5, *channels), dtype), LABELS)


@pytest.mark.parametrize("images", [[["uint8", 1]], [["uint8", 3], ["uint8", 1]]])
def test_an_image_like_a_training_image_is_kept(images: list) -> None:
    _check_image(drawn("uint8"), images, "any")


@pytest.mark.parametrize("sample", [drawn("uint16"), drawn("uint8", 3)])
def test_another_depth_or_colour_is_refused(sample: Sample) -> None:
    """Sixteen bits in eight are another light, and nobody would see it in the table."""
    with pytest.raises(DataError, match=r"'any': sample '000007' is .* training images are uint8 with 1;"):
        _check_image(sample, [["uint8", 1]], "any")
