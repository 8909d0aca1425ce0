"""Copies of images: exact, nearly equal, turned and shifted ones; images of similar layout are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synthbench.datasets.copies import Copy, find_copies
from synthbench.samples import Sample, SampleSet

SIZES = (192, 256)


def cells(number: int, size: tuple[int, int] = SIZES, texture: int | None = None) -> np.ndarray:
    """Blobs on a dim background; of equal number they have one layout, and textures of their own."""
    rng = np.random.default_rng(number)
    field = gaussian_filter(rng.normal(size=size), 8)
    grain = np.random.default_rng(1000 + (number if texture is None else texture)).normal(size=size)
    return (40 + 120 * (field > 0.03) + 90 * gaussian_filter(grain, 0.7)).clip(0, 255).astype(np.uint8)


def found(image: np.ndarray, *originals: np.ndarray) -> list[Copy]:
    def put(images, letter: str) -> SampleSet:
        return SampleSet.of([Sample(f"{letter}{i}", one, np.zeros(one.shape[:2], int)) for i, one in enumerate(images)])

    return find_copies(put([image], "i"), put(originals, "o"))


@pytest.mark.parametrize("shift", [(0, 0), (1, 1), (-2, 1), (3, -5), (11, 14)])
def test_a_shifted_copy_is_found_among_others(shift: tuple[int, int]) -> None:
    originals = [cells(number) for number in range(4)]
    copied = np.roll(originals[2], shift, (0, 1)) + np.uint8(1)
    assert found(copied, *originals) == [Copy("i0", "o2", exact=False)]


def test_a_turned_and_shifted_colour_copy_is_found() -> None:
    original = np.stack([cells(3, (192, 192)), cells(4, (192, 192)), cells(5, (192, 192))], axis=2)
    copied = np.roll(np.rot90(original[:, ::-1]), (2, -3), (0, 1)).copy()
    assert found(copied, original) == [Copy("i0", "o0", exact=False)]


def test_other_images_of_one_layout_and_flat_ones_are_no_shifted_copies() -> None:
    drawn = np.roll(cells(3, texture=50), (3, 4), (0, 1))
    flat = np.full(SIZES, 9, np.uint8)
    assert found(drawn, cells(3), flat) == []
    assert found(flat, cells(3), flat + np.uint8(1)) == []


def test_a_shifted_copy_of_another_size_is_not_compared_by_pixels() -> None:
    assert found(np.roll(cells(3), 4, 0)[:-8], cells(3)) == []
