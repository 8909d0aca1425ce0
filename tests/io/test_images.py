"""Image files of any size: what was written reads back, and a bomb is refused before memory is taken for it."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthbench.datasets.import_options import ImportLog, ImportOptions
from synthbench.datasets.pixels import read_image, read_mask
from synthbench.errors import DataError
from synthbench.folders.score import score_folders
from synthbench.io import images
from synthbench.io.images import open_image, read_array, write_array
from synthbench.samples import Sample, SampleSet

LIMIT = 1000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call an image of more than 1,000 pixels large, for this file and for Pillow."""
    monkeypatch.setattr(images, "PILLOW_MAX_PIXELS", LIMIT)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", LIMIT // 2)


def declared(path: Path, width: int, height: int, body: bytes = b"") -> Path:
    """Write a grey PNG of 8 bits that says it has this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


def label_map(side: int) -> np.ndarray:
    labels = np.zeros((side, side), np.uint16)
    labels[2:9, 2:9], labels[12:20, 12:20] = 1, 2
    return labels


@pytest.mark.usefixtures("small")
def test_a_large_set_is_imported_read_back_and_scored_without_a_warning(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    labels = label_map(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples = SampleSet.write(tmp_path / "set", [Sample("a", image, labels)])
        np.testing.assert_array_equal(samples[0].labels, labels)
        np.testing.assert_array_equal(read_image(tmp_path / "set/images/a.png", ImportLog()), image)
        for name in ("predicted", "truth"):
            (tmp_path / name).mkdir()
            write_array(tmp_path / name / "a.png", labels)
        assert score_folders(tmp_path / "predicted", tmp_path / "truth")["pooled"]["f1"] == [1.0] * 10
    assert Image.MAX_IMAGE_PIXELS == LIMIT // 2


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_an_empty_mask_of_a_set_reads_back_however_well_it_packs(tmp_path: Path, suffix: str) -> None:
    empty = np.zeros((2000, 2000), np.uint8)
    write_array(tmp_path / f"a{suffix}", empty)
    if suffix == ".png":
        Image.fromarray(empty).save(tmp_path / "a.png", compress_level=9)
    np.testing.assert_array_equal(read_array(tmp_path / f"a{suffix}", (2000, 2000)), empty)
    with pytest.raises(DataError, match=r"bytes that.*to 4 megapixels \(2000×2000\)"):
        read_mask(tmp_path / f"a{suffix}", ImportOptions(), ImportLog())


def test_a_file_of_another_size_than_was_written_is_refused_unread(tmp_path: Path) -> None:
    samples = SampleSet.write(tmp_path / "set", [Sample("a", label_map(24).astype(np.uint8), label_map(24))])
    declared(tmp_path / "set/images/a.png", 30_000, 30_000)
    with pytest.raises(DataError, match=r"a\.png:.*is 30000×30000,.*was written"):
        samples[0]


@pytest.mark.parametrize("side", [14_000, 30_000, 60_000, 2_000_000])
def test_a_bomb_is_refused_in_one_line_and_unread(tmp_path: Path, side: int) -> None:
    declared(tmp_path / "a.png", side, side, zlib.compress(bytes(1000)))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((64, 64), np.uint8), metadata=None)
    with tifffile.TiffFile(tmp_path / "b.tif", mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages[0].tags[name].overwrite(side)
    for path in (tmp_path / "a.png", tmp_path / "b.tif"):
        for read in (read_image, lambda p, log: read_mask(p, ImportOptions(), log), lambda p, _: read_array(p)):
            with pytest.raises(DataError, match=rf"{path.name}: .*(megapixels|pixels)") as error:
                read(path, ImportLog())
            assert "\n" not in str(error.value)


def test_no_image_has_more_than_a_gigapixel(tmp_path: Path) -> None:
    path = declared(tmp_path / "a.png", 40_000, 40_000)
    with path.open("ab") as file:
        file.truncate(10**7)
    with pytest.raises(DataError, match=r"40000×40000.* 1,600 .*1,074"):
        read_image(path, ImportLog())
    with pytest.raises(DataError, match="1,600 megapixels"):
        read_array(path, (40_000, 40_000))


def test_the_limit_of_pillow_is_put_back_whatever_happens(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match="cannot identify"), open_image(tmp_path / "a.png"):
        pass
    assert before == Image.MAX_IMAGE_PIXELS
