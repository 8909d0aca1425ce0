"""One scale for one set, found from all of its images or given."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.importing import prepare_import
from synthbench.datasets.intensity_scale import IntensityScale
from synthbench.errors import ConfigError, DataError

SHAPE = (24, 32)
RAMP = np.linspace(0, 1, SHAPE[0] * SHAPE[1]).reshape(SHAPE)


@pytest.fixture
def imported(put, tmp_path, two_cells):
    """Import images by name, and return their pixels and what was said of them."""

    def run(images: list[np.ndarray], **options: object) -> tuple[list[np.ndarray], list[str]]:
        for i, image in enumerate(images):
            put(f"images/{i}.tif", image)
            put(f"labels/{i}.tif", two_cells)
        found = prepare_import(tmp_path, **options)
        return [sample.image for sample in found.samples()], found.log.lines()

    return run


@pytest.mark.parametrize(
    ("images", "black", "white", "says"),
    [
        ([RAMP, 0.2 * RAMP], 0, 1, "float64 images of 0 … 1 stored as 0 … 65535 (uint16): 2"),
        (
            [np.floor(4000 * RAMP), 2000.5 * RAMP],
            0,
            4000,
            "float64 images rescaled together: 0 … 4000",
        ),
        ([100 * RAMP - 3, 7 * RAMP], -3, 97, "rescaled together: -3 … 97"),
        ([RAMP - 0.5, RAMP], -0.5, 1, "rescaled together: -0.5 … 1"),
        (
            [np.floor(900 * RAMP).astype(np.int16) - 200, np.floor(50 * RAMP).astype(np.int16)],
            -200,
            700,
            "int16 images",
        ),
        ([RAMP.astype(np.float16), RAMP.astype(np.float32)], 0, 1, "float16 images of 0 … 1 stored"),
    ],
    ids=["unit", "whole and fractions", "negative", "around 0", "int16", "two types"],
)
def test_all_images_have_the_scale_of_the_set(imported, images, black, white, says):
    found, lines = imported(images)
    for image, pixels in zip(images, found, strict=True):
        assert pixels.dtype == np.uint16
        expected = (image.astype(float) - black) / (white - black) * 65535
        np.testing.assert_allclose(pixels, expected, atol=0.51)
    assert any(says in line for line in lines)
    assert sum("images" in line for line in lines) == len({image.dtype for image in images})


@pytest.mark.parametrize("kind", ["int32", "int64", "uint32", "float32", "float64"])
def test_whole_numbers_keep_their_values_in_the_type_that_holds_the_set(imported, kind):
    dark, bright = np.floor(200 * RAMP), np.floor(4000 * RAMP)
    found, _ = imported([dark.astype(kind), bright.astype(kind)])
    for image, pixels in zip((dark, bright), found, strict=True):
        assert pixels.dtype == np.uint16
        np.testing.assert_array_equal(pixels, image)
    found, _ = imported([dark.astype(kind), np.zeros(SHAPE, kind)])
    assert {pixels.dtype.name for pixels in found} == {"uint8"}


@pytest.mark.parametrize("kind", ["uint8", ">u2", "uint16", "bool"])
def test_eight_and_sixteen_bits_and_bool_need_no_scale(imported, kind):
    image = (200 * RAMP).astype(kind)
    found, lines = imported([image, image])
    np.testing.assert_array_equal(found[0], image * 255 if kind == "bool" else image)
    assert not any("on one scale" in line or "values" in line or "rescaled" in line for line in lines)


def test_the_white_that_is_given_holds_for_every_type(imported):
    twelve = np.floor(4095 * RAMP).astype(np.uint16)
    found, lines = imported([twelve, twelve // 4, twelve.astype(np.float32)], white=4095)
    for image, pixels in zip((twelve, twelve // 4, twelve), found, strict=True):
        np.testing.assert_array_equal(pixels, np.rint(image / 4095 * 65535))
    assert "uint16 images on one scale: 4095 stored as 65535 (uint16): 2" in lines
    assert not any("bits" in line for line in lines)
    with pytest.raises(DataError, match=r"0\.tif: the image contains 0 … 4095, outside .* 0 … 4000; .*larger"):
        imported([twelve], white=4000)


def test_a_white_of_eight_bits_gives_eight_bits(imported):
    found, _ = imported([np.floor(100 * RAMP).astype(np.uint16)], white=100)
    assert found[0].dtype == np.uint8
    assert found[0].max() == 255


@pytest.mark.parametrize("white", [0, -1, float("nan"), float("inf")])
def test_a_white_that_is_none_is_refused(white):
    with pytest.raises(ConfigError, match=rf"--white {white}: .* above 0"):
        ImportOptions(white=white)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([RAMP, np.where(RAMP > 0.5, np.nan, RAMP)], r"1\.tif: the image.*NaN or infinity"),
        ([RAMP, RAMP * 1j], r"1\.tif: the image.*is complex128"),
        ([np.array([[0, 70000]] * 2).repeat(16, 1).repeat(12, 0)], "0 … 70000; convert it"),
        (
            [np.full(SHAPE, -40000, np.int32), np.full(SHAPE, 40000, np.int32)],
            r"its images.*-40000 … 40000, more than 16 bits",
        ),
    ],
)
def test_what_has_no_scale_is_refused_by_name(imported, images, says):
    with pytest.raises(DataError, match=says):
        imported(images)


def test_without_the_set_the_first_image_makes_the_scale_and_others_have_to_fit():
    scaling = ImportLog().rescaler
    told: list[str] = []
    first = scaling.apply(np.array([[0.5, 3.5]]), "a", told.append)
    assert first.tolist() == [[0, 65535]]
    assert scaling.apply(np.array([[2.0]]), "b", told.append).tolist() == [[32768]]
    with pytest.raises(DataError, match=r"c: the image contains 0.1 … 0.1, outside .* 0.5 … 3.5"):
        scaling.apply(np.array([[0.1]]), "c", told.append)
    assert len(told) == 3


def test_a_constant_set_is_black_or_its_value():
    assert IntensityScale(-3.5, -3.5, np.dtype(np.uint16), "").apply(np.full((2, 2), -3.5), "a").max() == 0
    assert IntensityScale(0.0, 0.0, np.dtype(np.uint8), "").apply(np.full((2, 2), 7), "a").min() == 7
