"""Pixels as they are found: what is changed, what is counted, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from synthbench.datasets.components import connected_components
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import log_bit_depth, read_image, read_mask, to_label_map, to_sample_image
from synthbench.errors import ConfigError, DataError

SEMANTIC = ImportOptions("semantic", ("background", "a", "b"))


def _squares(*places: tuple[int, int, int], value: int = 255, dtype: str = "uint8") -> np.ndarray:
    mask = np.zeros((24, 32), dtype)
    for top, left, size in places:
        mask[top : top + size, left : left + size] = value
    return mask


@pytest.mark.parametrize(
    ("mode", "shape", "note"),
    [
        ("L", (24, 32), None),
        ("LA", (24, 32), "opaque alpha channels dropped: 1"),
        ("RGBA", (24, 32), "colour images with three equal channels stored as grey: 1"),
        ("RGB", (24, 32), "colour images with three equal channels stored as grey: 1"),
        ("P", (24, 32), "colour images with three equal channels stored as grey: 1"),
    ],
)
def test_grey_in_any_png_mode_is_read_as_grey(tmp_path, grey, mode, shape, note):
    Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    log = ImportLog()
    image = read_image(tmp_path / "a.png", log)
    np.testing.assert_array_equal(image, grey)
    assert image.shape == shape
    assert log.lines()[-1:] == ([note] if note else [])


def test_a_palette_picture_gives_its_colours_and_not_its_indices(tmp_path):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 200, 10, 30])
    picture.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", ImportLog())[0, 0].tolist() == [200, 10, 30]


def test_sixteen_bits_per_colour_are_read_from_tiff_and_refused_from_png(put, tmp_path, grey):
    colour = np.stack([grey.astype(np.uint16) * 257, grey.astype(np.uint16), grey.astype(np.uint16) // 2], axis=-1)
    np.testing.assert_array_equal(read_image(put("a.tif", colour), ImportLog()), colour)
    head = (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (32).to_bytes(4, "big") + (24).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    )
    (tmp_path / "b.png").write_bytes(head + bytes(20))
    with pytest.raises(DataError, match=r"b\.png: a PNG with 16 bits .* TIFF"):
        read_image(tmp_path / "b.png", ImportLog())


@pytest.mark.parametrize(
    ("image", "expected", "note"),
    [
        (
            np.array([[0, 70]], np.int32),
            np.array([[0, 70]], np.uint8),
            "int32 images with unchanged values stored as uint8",
        ),
        (
            np.array([[0.0, 700.0]]),
            np.array([[0, 700]], np.uint16),
            "float64 images with unchanged values stored as uint16",
        ),
        (np.array([[0.0, 1.0]]), np.array([[0, 65535]], np.uint16), "of 0 … 1 stored as 0 … 65535"),
        (
            np.array([[-1.0, 0.0, 1.0]]),
            np.array([[0, 32768, 65535]], np.uint16),
            "rescaled together: -1 … 1, the range",
        ),
        (np.array([[0.25, 0.25]], np.float32), np.array([[16384, 16384]], np.uint16), "float32 images of 0 … 1"),
        (np.array([[False, True]]), np.array([[0, 255]], np.uint8), ""),
    ],
)
def test_other_types_become_unsigned_by_a_stated_rule(image, expected, note):
    log = ImportLog()
    result = to_sample_image(image, "a", log)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    assert note in " ".join(log.lines())


@pytest.mark.parametrize(("top", "bits"), [(200, 8), (900, 10), (4095, 12), (16000, 14), (16384, None), (65535, None)])
def test_unused_bits_are_told_with_the_option_that_stretches(top, bits):
    log = ImportLog()
    for high in (1, top):
        to_sample_image(np.array([[0, high]], np.uint16), "a", log)
    log_bit_depth(log)
    told = "".join(log.lines())
    assert bool(told) == bool(bits)
    for value in (f"{bits} bits", f"maximum {top}", f"--white {2 ** (bits or 0) - 1} ") if bits else ():
        assert value in told


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_first_are_turned(grey, channels):
    planes = np.stack([grey // (k + 1) for k in range(channels)])
    log = ImportLog()
    np.testing.assert_array_equal(to_sample_image(planes, "a", log), np.moveaxis(planes, 0, -1))
    assert log.lines() == ["images transposed from channels first to channels last: 1"]


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((9, 5, 7), np.uint8), r"shape \(9, 5, 7\); save .*single plane"),
        (np.zeros((0, 5), np.uint8), "the image is empty"),
        (np.array([[0, 70000]]), "0 … 70000; .*uint16"),
        (np.full((4, 5), np.inf), "NaN or infinity"),
        (np.zeros((4, 5), complex), "the image type is complex128"),
    ],
)
def test_an_image_that_would_lose_something_is_refused(image, says):
    with pytest.raises(DataError, match=f"^a: .*{says}"):
        to_sample_image(image, "a", ImportLog())


@pytest.mark.parametrize("high", [1, 255, 256, 65535, 65536, 2**31 - 1])
def test_labels_up_to_two_billion_are_kept(put, high):
    from synthbench.datasets.pixels import read_mask

    labels = _squares((2, 2, 4), value=1, dtype="uint32") + _squares((10, 10, 4), value=high, dtype="uint32")
    path = put("mask.tif", labels)
    np.testing.assert_array_equal(read_mask(path, ImportOptions(), ImportLog()), labels)


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (_squares((2, 2, 4)).astype(np.float32), r"the mask.*is float32; save it as"),
        (_squares((2, 2, 4)).astype(np.float64) / 255, "the mask type is float64"),
        (_squares((2, 2, 4), value=-2, dtype="int16"), "the mask contains -2"),
        (np.full((4, 5), 2**31, np.int64), "the mask contains 2147483648"),
        (np.random.default_rng(0).integers(0, 9, (4, 5, 3)), "the mask is a colour image"),
        (np.zeros((7, 4, 9), int), r"shape \(7, 4, 9\); expected one label map"),
        (np.zeros((0, 4), int), "the mask is empty"),
    ],
)
def test_what_is_no_label_map_is_refused(mask, says):
    with pytest.raises(DataError, match=f"^m: .*{says}"):
        to_label_map(mask, "m", ImportOptions(), ImportLog())


def test_a_grey_mask_in_three_channels_is_one_mask():
    mask = _squares((2, 2, 4), value=3) + _squares((9, 9, 2), value=4)
    np.testing.assert_array_equal(to_label_map(np.stack([mask] * 3, axis=-1), "m", ImportOptions(), ImportLog()), mask)


def test_a_mask_of_objects_is_asked_unless_it_is_trusted():
    binary = _squares((2, 2, 4), (10, 10, 4))
    log = ImportLog()
    with pytest.raises(DataError, match=r"m: binary mask, .*255 .*--components.*--task semantic.*--trust-masks"):
        to_label_map(binary, "m", ImportOptions(), log)
    np.testing.assert_array_equal(to_label_map(binary, "m", ImportOptions(trusted=True), ImportLog()), binary)
    assert [seen.where for seen in log.mask_statistics] == ["m"]


@pytest.mark.parametrize("channels", [2, 4])
def test_an_alpha_channel_that_says_no_more_than_the_numbers_is_dropped(channels):
    mask = _squares((2, 2, 4), value=3) + _squares((9, 9, 2), value=4)
    grey = [mask] * (channels - 1)
    for alpha in (np.full_like(mask, 255), np.full_like(mask, 90), (mask > 0) * 255):
        stacked = np.stack([*grey, alpha.astype(np.uint8)], axis=-1)
        np.testing.assert_array_equal(to_label_map(stacked, "m", ImportOptions(), ImportLog()), mask)
    for numbers, alpha in ((0 * mask, mask), (np.full_like(mask, 255), (mask > 0) * 255)):
        stacked = np.stack([*[numbers] * (channels - 1), alpha.astype(np.uint8)], axis=-1)
        with pytest.raises(DataError, match=r"m: the alpha channel \(2\.6% .*one grey channel"):
            to_label_map(stacked, "m", ImportOptions("semantic"), ImportLog())


def test_components_make_each_piece_of_each_label_an_object():
    mask = _squares((2, 2, 4), (10, 10, 4)) + _squares((2, 6, 4), value=9)
    log = ImportLog()
    labels = to_label_map(mask, "m", ImportOptions(components=True), log)
    assert len(np.unique(labels)) == 4
    assert len(connected_components(labels == labels[3, 3])) == 1
    assert log.counts == {"objects made of connected pieces": 3, "labels that they come from": 2}


@pytest.mark.parametrize("options", [ImportOptions(), ImportOptions(components=True), SEMANTIC])
def test_a_jpeg_is_no_mask(tmp_path, options):
    """Its numbers near edges are new ones, which would be objects."""
    Image.fromarray(_squares((2, 2, 8), value=7)).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: JPEG compression changes"):
        read_mask(tmp_path / "a.jpg", options, ImportLog())


def test_class_maps_are_kept_and_two_valued_ones_become_classes():
    classes = _squares((2, 2, 4), value=1) + _squares((9, 9, 5), value=2)
    np.testing.assert_array_equal(to_label_map(classes, "m", SEMANTIC, ImportLog()), classes)
    log = ImportLog()
    binary = to_label_map(_squares((2, 2, 4)), "m", ImportOptions("semantic"), log)
    assert np.unique(binary).tolist() == [0, 1]
    assert log.lines() == ["binary masks of 0 and 255 stored as classes 0 and 1: 1"]
    with pytest.raises(DataError, match=r"m: the mask.* 7, .*the 3 classes \(background, a, b\) are 0 … 2"):
        to_label_map(_squares((2, 2, 4), value=7), "m", SEMANTIC, ImportLog())
    with pytest.raises(DataError, match=r"m: the mask contains 255 .*--ignore 255"):
        to_label_map(classes + _squares((15, 15, 4)), "m", SEMANTIC, ImportLog())
    with pytest.raises(DataError, match=r"m: the mask contains 1 … 3 but not 0.*subtract 1"):
        to_label_map(classes + np.uint8(1), "m", SEMANTIC, ImportLog())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"task": "instance"}, r"task 'instance' \(did you mean 'instances'\?\)"),
        ({"classes": ("a", "b")}, r"only semantic sets have classes; add --task semantic"),
        ({"task": "semantic", "classes": ("a",)}, "at least two different"),
        ({"task": "semantic", "classes": ("a", "a")}, "at least two different"),
        ({"task": "semantic", "classes": ("a", "")}, "at least two different"),
        ({"task": "semantic", "components": True}, r"--components .*--task semantic"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        ImportOptions(**options)
