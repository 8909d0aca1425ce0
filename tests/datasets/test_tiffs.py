"""TIFF files as their tags mean them, against arrays whose meaning is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_image, read_mask
from synthbench.errors import DataError

SHAPE = (12, 17)
RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, SHAPE, dtype=np.uint8)
STACK = RNG.integers(0, 256, (3, *SHAPE), dtype=np.uint8)
COLOUR = np.moveaxis(STACK, 0, -1).copy()
LABELS = np.zeros(SHAPE, np.uint16)
LABELS[2:5, 2:6], LABELS[6:10, 9:14] = 1, 2


def both(path: Path) -> list[Callable[[], np.ndarray]]:
    return [lambda: read_image(path, ImportLog()), lambda: read_mask(path, ImportOptions(), ImportLog())]


def appended(path: Path, pages: int) -> None:
    for _ in range(pages):
        tifffile.imwrite(path, LABELS, append=path.exists())


def pages_of_one_series(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        for _ in range(3):
            file.write(LABELS, contiguous=False, metadata=None)


def pages_by_pillow(path: Path) -> None:
    pages = [Image.fromarray(plane) for plane in STACK]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def two_sizes(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(LABELS, metadata=None)
        file.write(LABELS[:8, :9], metadata=None)


def planes(axes: str, **form: bool) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(
        path, STACK, photometric="minisblack", metadata={"axes": axes} if axes else None, **form
    )


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: appended(path, 2), r"contains 2 images \(12×17, 12×17\)"),
        (lambda path: appended(path, 4), "contains 4 images"),
        (two_sizes, r"contains 2 images \(12×17, 8×9\)"),
        (pages_of_one_series, "contains 3 pages of 12×17, not one image"),
        (pages_by_pillow, "contains 3 pages of 12×17"),
        (planes(""), "contains 3 pages of 12×17"),
        (planes("ZYX", imagej=True), "contains 3 z slices of 12×17"),
        (planes("TYX", imagej=True), "contains 3 time points of 12×17"),
        (planes("ZYX", ome=True), "contains 3 z slices"),
        (planes("TYX", ome=True), "contains 3 time points"),
    ],
    ids=["appended", "more appended", "two sizes", "pages", "Pillow", "bare", "ij Z", "ij T", "ome Z", "ome T"],
)
def test_several_pictures_are_no_image_and_no_mask(tmp_path, write, says):
    write(tmp_path / "a.tif")
    for read in both(tmp_path / "a.tif"):
        with pytest.raises(DataError, match=f"^{tmp_path / 'a.tif'}: {says}.*; save"):
            read()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"photometric": "rgb", "planarconfig": "contig"},
        {"compression": "zlib", "tile": (16, 16)},
        {"imagej": True},
    ],
)
def test_samples_per_pixel_are_colours(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ImportLog()), COLOUR)


CHANNELS = {
    "ImageJ": {"imagej": True, "metadata": {"axes": "CYX"}},
    "OME": {"ome": True, "metadata": {"axes": "CYX"}},
    "axes": {"metadata": {"axes": "CYX"}},
    "planar": {"planarconfig": "separate", "extrasamples": ["unspecified"]},
}


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("form", CHANNELS.values(), ids=CHANNELS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_two_and_four_channels_are_kept_in_their_order_and_are_no_mask(tmp_path, count, form, dtype):
    stack = RNG.integers(0, 256, (count, *SHAPE)).astype(dtype)
    stack[-1] = np.iinfo(dtype).max  # a saturated channel isn't alpha
    if "extrasamples" in form:
        form = {**form, "extrasamples": ["unspecified"] * (count - 1)}
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", **form)
    log = ImportLog()
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", log), np.moveaxis(stack, 0, -1))
    assert log.counts[f"images with {count} channels"] == 1
    with pytest.raises(DataError, match=r"a\.tif"):
        read_mask(tmp_path / "a.tif", ImportOptions(), ImportLog())


def test_five_channels_are_no_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, *SHAPE), np.uint8), imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(DataError, match=r"a\.tif: contains 5 channels .*up to four"):
        read_image(tmp_path / "a.tif", ImportLog())


@pytest.mark.parametrize(("opacity", "kind"), [(255, "unassalpha"), (255, "assocalpha"), (99, "unassalpha")])
def test_a_second_sample_that_is_called_alpha_has_to_be_opaque(tmp_path, opacity, kind):
    pixels = np.stack([GREY, np.full_like(GREY, opacity)], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig", extrasamples=[kind])
    if opacity == 255:
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ImportLog()), GREY)
    else:
        with pytest.raises(DataError, match=r"a\.tif: the image has 2 channels.* opaque alpha"):
            read_image(tmp_path / "a.tif", ImportLog())


@pytest.mark.parametrize("last", [255, 99])
def test_a_fourth_sample_after_colours_is_alpha(tmp_path, last):
    pixels = np.concatenate([COLOUR, np.full((*SHAPE, 1), last, np.uint8)], axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    if last == 255:
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ImportLog()), COLOUR)
    else:
        with pytest.raises(DataError, match="opaque alpha"):
            read_image(tmp_path / "a.tif", ImportLog())


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb", "planarconfig": "separate"},
        {"imagej": True, "metadata": {"axes": "CYX"}},
        {"ome": True, "metadata": {"axes": "CYX"}, "photometric": "minisblack"},
    ],
    ids=["planar RGB", "ImageJ channels", "OME channels"],
)
def test_three_channels_are_colours_and_no_mask(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", STACK, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ImportLog()), COLOUR)
    with pytest.raises(DataError, match=r"a\.tif: .*(3 channels|colour image)"):
        read_mask(tmp_path / "a.tif", ImportOptions(), ImportLog())


def test_axes_of_one_and_reduced_copies_are_passed_over(tmp_path):
    tifffile.imwrite(tmp_path / "one.tif", GREY[None, None], imagej=True)
    with tifffile.TiffWriter(tmp_path / "pyramid.tif", ome=True) as file:
        file.write(GREY, subifds=1)
        file.write(GREY[::2, ::2], subfiletype=1)
    with tifffile.TiffWriter(tmp_path / "thumbnail.tif") as file:
        file.write(GREY, metadata=None)
        file.write(GREY[::4, ::4], metadata=None, subfiletype=1)
    for name in ("one", "pyramid", "thumbnail"):
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.tif", ImportLog()), GREY)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_an_image_whose_zero_is_white_is_inverted_and_a_mask_refused(tmp_path, dtype):
    stored = GREY.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    log = ImportLog()
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", log), np.iinfo(dtype).max - stored)
    assert log.lines()[0] == "images of photometric MinIsWhite inverted: 1"
    with pytest.raises(DataError, match=r"a\.tif: 0 is white .*MinIsBlack"):
        read_mask(tmp_path / "a.tif", ImportOptions(), ImportLog())


def test_bits_are_black_and_white_as_the_file_says(tmp_path):
    """tifffile calls the False of its own bool arrays white, and means black; other writers mean what they say."""
    bits = LABELS == 1
    tifffile.imwrite(tmp_path / "own.tif", bits)
    tifffile.imwrite(tmp_path / "white.tif", bits, photometric="miniswhite", metadata=None, software="other")
    Image.fromarray(bits).save(tmp_path / "black.tif")
    for name, expected in (("own", bits), ("white", ~bits), ("black", bits)):
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.tif", ImportLog()), expected * 255)
        mask = read_mask(tmp_path / f"{name}.tif", ImportOptions("semantic"), ImportLog())
        np.testing.assert_array_equal(mask > 0, expected)


def test_a_palette_gives_an_image_its_colours_and_a_mask_its_numbers(tmp_path):
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint16) * 256
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=table)
    with Image.open(tmp_path / "a.tif") as picture:
        expected = np.asarray(picture.convert("RGB"))
    log = ImportLog()
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", log), expected)
    assert log.lines() == ["palette images stored in their palette's colours: 1"]
    tifffile.imwrite(tmp_path / "m.tif", LABELS.astype(np.uint8), photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", ImportOptions(), ImportLog()), LABELS)
    white = np.zeros((3, 256), np.uint16)
    white[:, 0] = 65535
    tifffile.imwrite(tmp_path / "w.tif", (LABELS == 1).astype(np.uint8), photometric="palette", colormap=white)
    with pytest.raises(DataError, match=r"w\.tif: .*0 has the colour 255, 255, 255"):
        read_mask(tmp_path / "w.tif", ImportOptions(), ImportLog())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_images_and_masks(tmp_path, orientation):
    turn = (
        None,
        "FLIP_LEFT_RIGHT",
        "ROTATE_180",
        "FLIP_TOP_BOTTOM",
        "TRANSPOSE",
        "ROTATE_270",
        "TRANSVERSE",
        "ROTATE_90",
    )
    tag = [(274, 3, 1, orientation, True)]
    for name, array in (("i", COLOUR), ("m", LABELS.astype(np.uint8))):
        tifffile.imwrite(tmp_path / f"{name}.tif", array, extratags=tag, metadata=None)
    log = ImportLog()
    found = [read_image(tmp_path / "i.tif", log), read_mask(tmp_path / "m.tif", ImportOptions(), log)]
    for stored, array in zip((COLOUR, LABELS.astype(np.uint8)), found, strict=True):
        way = turn[orientation - 1]
        picture = Image.fromarray(stored)
        np.testing.assert_array_equal(array, picture.transpose(Image.Transpose[way]) if way else picture)
    said = ["images rotated as their orientation tag says: 1", "masks rotated as their orientation tag says: 1"]
    assert log.lines() == (said if orientation > 1 else [])


@pytest.mark.parametrize(("mode", "says"), [("CMYK", "CMYK"), ("LAB", "CIELAB"), ("YCbCr", "YCBCR")])
def test_inks_and_other_colour_spaces_are_refused(tmp_path, mode, says):
    Image.new(mode, (17, 12)).save(tmp_path / "a.tif")
    for read in both(tmp_path / "a.tif"):
        with pytest.raises(DataError, match=rf"a\.tif: its pixels are {says} \(photometric \d\); save it as"):
            read()


def test_a_mask_compressed_with_loss_is_refused(tmp_path):
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(tmp_path / "a.tif", np.kron(GREY, np.ones((4, 4), np.uint8)), compression="jpeg")
    assert read_image(tmp_path / "a.tif", ImportLog()).shape == (48, 68)
    with pytest.raises(DataError, match=r"a\.tif: JPEG compression .*without loss"):
        read_mask(tmp_path / "a.tif", ImportOptions(), ImportLog())


@pytest.mark.parametrize("dtype", ["uint8", "int8", ">u2", "int16", "uint32", ">i4", "int64", "uint64", "bool"])
def test_labels_of_any_integer_type_and_byte_order_are_kept(tmp_path, dtype):
    labels = (LABELS > 0) if dtype == "bool" else LABELS.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", labels, byteorder=">" if dtype.startswith(">") else None)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", ImportOptions(trusted=True), ImportLog()), labels)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_of_an_image_are_spread_over_eight(tmp_path, bits):
    pytest.importorskip("imagecodecs")
    values = (GREY % 2**bits).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, bitspersample=bits, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", ImportLog()), values * (255 // (2**bits - 1)))
    labels = np.where(LABELS > 0, LABELS, 0).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", labels, bitspersample=bits, metadata=None)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", ImportOptions(), ImportLog()), labels)
