"""What a drawn sample must be to be kept."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.engine.tasks.draw import check_image, check_origin
from synthbench.errors import DataError
from synthbench.samples import Sample

LABELS = np.zeros((4, 5), np.uint8)


def drawn(dtype: str, *channels: int) -> Sample:
    return Sample("000007", np.zeros((4, 5, *channels), dtype), LABELS)


@pytest.mark.parametrize("images", [[["uint8", 1]], [["uint8", 3], ["uint8", 1]]])
def test_an_image_like_a_training_image_is_kept(images: list) -> None:
    check_image(drawn("uint8"), images, "any")


@pytest.mark.parametrize("sample", [drawn("uint16"), drawn("uint8", 3)])
def test_another_depth_or_colour_is_refused(sample: Sample) -> None:
    """Sixteen bits in eight are another light, and nobody would see it in the table."""
    with pytest.raises(DataError, match=r"'any': sample '000007' is .* training images are uint8 with 1;"):
        check_image(sample, [["uint8", 1]], "any")


@pytest.mark.parametrize("groups", [{}, {"mask": "new"}, {"mask": "training"}, {"mask": "recombined"}])
def test_a_sample_says_where_its_mask_comes_from_or_nothing(groups: dict[str, str]) -> None:
    check_origin(Sample("000007", np.zeros((4, 5), np.uint8), LABELS, groups), "any")


def test_another_word_for_where_a_mask_comes_from_is_refused() -> None:
    sample = Sample("000007", np.zeros((4, 5), np.uint8), LABELS, {"mask": "cell_3"})
    with pytest.raises(DataError, match=r"'any': sample '000007' has the group mask: 'cell_3'"):
        check_origin(sample, "any")
