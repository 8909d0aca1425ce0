"""Label maps as PNG: lossless, small, and decoded only at the size that is known."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from synthbench.errors import DataError
from synthbench.types import AnyArray, LabelMap

__all__ = ["MAX_PIXELS", "MAX_PIXELS_PER_BYTE", "decode_labels", "encode_labels"]

MAX_PIXELS = 2**27
"""Pixels of the largest label map that is read."""
MAX_PIXELS_PER_BYTE = 400
"""Pixels per byte of a large file, at most: sparse label maps have 100, deflated zeros up to 1,032."""
_SMALL = 2**24
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LAST = b"\0\0\0\0IEND\xae\x42\x60\x82"
_HEADER = 33
"""Bytes of the signature and of the first chunk, which has the size."""
_GREY, _RGBA = 0, 6
_MODES = {"L": np.uint8, "I;16": np.uint16, "I": np.uint16, "RGBA": np.uint32}


def encode_labels(labels: AnyArray) -> bytes:
    """Return a label map as PNG: grey of 8 or 16 bits; above 65,535 the four bytes of a label, lowest first, as RGBA.

    Rows are compressed as they are: the filters of PNG, which all libraries choose by themselves, suit photographs, and
    make label maps of cells a quarter larger.

    Parameters
    ----------
    labels
        ``(height, width)``, integers from 0 to 2³¹ − 1.

    References
    ----------
    Portable Network Graphics (PNG) Specification (Third Edition), W3C, 2025, sections 5 and 11.
    """
    highest = int(labels.max(initial=0))
    height, width = labels.shape
    if highest <= np.iinfo(np.uint8).max:
        depth, colour, pixels = 8, _GREY, labels.astype(np.uint8)
    elif highest <= np.iinfo(np.uint16).max:
        depth, colour, pixels = 16, _GREY, labels.astype(">u2")
    else:
        depth, colour, pixels = 8, _RGBA, labels.astype("<u4")
    rows = np.zeros((height, 1 + width * pixels.itemsize), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 9)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _LAST


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def decode_labels(data: bytes, size: tuple[int, int], name: str) -> LabelMap:
    """Return the label map that `encode_labels` was given.

    Parameters
    ----------
    data
    size
        Height and width that it must have: compared with the header of the file before anything is decompressed.
    name
        Begins the message of an error.

    Raises
    ------
    DataError
        If it is no such PNG, or has another size or an implausible one.
    """
    from PIL import Image

    if len(data) < _HEADER or not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise DataError(f"{name}: is no PNG file")
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    if (height, width) != size:
        raise DataError(f"{name}: is {height}×{width}, expected {size[0]}×{size[1]} as its image")
    if height * width > MAX_PIXELS or height * width > max(_SMALL, MAX_PIXELS_PER_BYTE * len(data)):
        raise DataError(f"{name}: {len(data):,} bytes that decompress to {height}×{width}, as decompression bombs do")
    if not data.endswith(_LAST):
        raise DataError(f"{name}: can't be decoded as PNG: cut off, or with bytes after its end")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.mode not in _MODES or picture.size != (width, height):
                raise DataError(f"{name}: has pixels of the kind {picture.mode}, expected a label map")
            picture.load()
            pixels = np.asarray(picture)
    except DataError:
        raise
    except Exception:  # decoders raise anything on corrupt input
        raise DataError(f"{name}: can't be decoded as PNG") from None
    if picture.mode == "RGBA":
        return np.ascontiguousarray(pixels).view("<u4")[..., 0]
    return pixels.astype(_MODES[picture.mode])
