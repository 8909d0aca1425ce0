"""Pictures of other formats: turned, coloured, transparent, animated, with palettes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from synthbench.datasets.decoding import decode_image, decode_mask
from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_mask
from synthbench.errors import DataError

RNG = np.random.default_rng(5)
COLOUR = np.kron(RNG.integers(0, 256, (4, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
LABELS = np.zeros((12, 17), np.uint8)
LABELS[2:5, 2:6], LABELS[6:10, 9:14] = 1, 2


def with_palette(indices: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    picture = Image.fromarray(indices).convert("L")
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([value for colour in colours for value in colour])
    return picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_exif_orientation_is_applied_as_pillow_applies_it(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(COLOUR).save(path, exif=exif)
    log = ImportLog()
    with Image.open(path) as picture:
        np.testing.assert_array_equal(decode_image(path, log), np.asarray(ImageOps.exif_transpose(picture)))
    assert log.counts == ({"images rotated as their orientation tag says": 1} if orientation > 1 else {})


def test_a_mask_is_turned_as_its_image_is(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(LABELS).save(tmp_path / "m.png", exif=exif)
    np.testing.assert_array_equal(decode_mask(tmp_path / "m.png", ImportLog()), np.rot90(LABELS, -1))


def test_transparent_images_are_refused_and_opaque_ones_read(tmp_path):
    grey = Image.fromarray(LABELS * 100)
    grey.save(tmp_path / "a.png", transparency=7)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png", ImportLog())[..., 0], LABELS * 100)
    grey.save(tmp_path / "b.png", transparency=100)
    with pytest.raises(DataError, match=r"b\.png: has transparent pixels; save it without"):
        decode_image(tmp_path / "b.png", ImportLog())


def test_ink_is_refused(tmp_path):
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg: its pixels are CMYK.*RGB"):
        decode_image(tmp_path / "a.jpg", ImportLog())


def test_an_animation_is_refused(tmp_path):
    frames = [Image.fromarray(LABELS * k) for k in (1, 2, 3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    for read in (decode_image, decode_mask):
        with pytest.raises(DataError, match=r"a\.png: contains 3 frames"):
            read(tmp_path / "a.png", ImportLog())


def test_a_jpeg_of_another_name_is_no_mask(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "m.png", format="JPEG")
    with pytest.raises(DataError, match=r"m\.png: JPEG compression changes"):
        decode_mask(tmp_path / "m.png", ImportLog())


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_png_mask_of_few_bits_gives_the_numbers_that_were_saved(tmp_path, bits):
    import struct
    import zlib

    labels = LABELS & np.uint8(2**bits - 1)
    packed = np.array([[(row >> (bits - 1 - k)) & 1 for k in range(bits)] for row in labels.ravel()], np.uint8)
    rows = np.packbits(packed.reshape(len(labels), -1), axis=1)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", labels.shape[1], labels.shape[0], bits, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    (tmp_path / "m.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    expected = labels * 255 if bits == 1 else labels
    np.testing.assert_array_equal(decode_mask(tmp_path / "m.png", ImportLog()), expected)


def test_an_interlaced_or_deep_png_is_read_as_any_other(tmp_path):
    deep = LABELS.astype(np.uint16) * 300
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(decode_mask(tmp_path / "deep.png", ImportLog()), deep)


@pytest.mark.parametrize(
    ("colours", "classes"),
    [
        (((0, 0, 0), (200, 0, 0), (0, 0, 90)), True),
        (((0, 0, 0), (1, 1, 1), (2, 2, 2)), True),
        (((0, 0, 0), (127, 127, 127), (255, 255, 255)), False),
        (((0, 0, 0), (0, 0, 0), (0, 0, 0)), True),
        (((40, 40, 40), (200, 0, 0), (0, 0, 90)), True),
        (((255, 255, 255), (200, 0, 0), (0, 0, 0)), True),
    ],
    ids=["colours", "the numbers as greys", "greys of objects", "all black", "dark background", "black among colours"],
)
def test_a_palette_mask_gives_its_indices(tmp_path, colours, classes):
    with_palette(LABELS, *colours).save(tmp_path / "m.png")
    np.testing.assert_array_equal(decode_mask(tmp_path / "m.png", ImportLog(), classes=classes), LABELS)


@pytest.mark.parametrize(
    ("colours", "says"),
    [
        (((255, 255, 255), (0, 0, 0), (9, 9, 9)), "0 has the colour 255, 255, 255 and 1 is black"),
        (((0, 0, 0), (2, 2, 2), (1, 1, 1)), "0, 1, 2 as the greys 0, 2, 1"),
        (((0, 0, 0), (5, 5, 5), (9, 9, 9)), "0, 1, 2 as the greys 0, 5, 9"),
    ],
    ids=["white background", "another order", "gaps"],
)
def test_a_palette_that_contradicts_its_indices_is_refused(tmp_path, colours, says):
    with_palette(LABELS, *colours).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=rf"m\.png: .*{says}.*grey"):
        read_mask(tmp_path / "m.png", ImportOptions("semantic", ("background", "a", "b")), ImportLog())
