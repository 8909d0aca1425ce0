"""The drawn samples of a bundle of unknown origin, decoded only at a size that can be shown."""

from __future__ import annotations

import io

import numpy as np

from synthbench.bundle.label_png import decode_labels
from synthbench.bundle.reading import BundleFile
from synthbench.errors import DataError
from synthbench.samples import Sample
from synthbench.types import AnyArray

__all__ = ["FOLDER", "MOST_BYTES", "MOST_SIDE", "image_names", "read_sample"]

FOLDER = "samples"
MOST_SIDE = 8_192
"""Side of the largest image that is read, in pixels."""
MOST_BYTES = 2**25
"""Size of the largest file that is read."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IMAGES = "images"


def image_names(file: BundleFile, draw: str) -> list[str]:
    """Return the names of the images of a drawing, by its key."""
    start = f"{FOLDER}/{draw}/{_IMAGES}/"
    return [name for name in file.names if name.startswith(start)]


def read_sample(file: BundleFile, name: str) -> Sample:
    """Return a drawn sample by the name of its image.

    Raises
    ------
    DataError
        If the image is no PNG of grey or RGB pixels, or too large; or there is no label map of its size.
    """
    folder, _, last = name.partition(f"/{_IMAGES}/")
    stem = last.rpartition(".")[0]
    image = _decoded(file.read(name, MOST_BYTES), name)
    labels = f"{folder}/labels/{stem}.png"
    size = image.shape[0], image.shape[1]
    return Sample(stem, image, decode_labels(file.read(labels, MOST_BYTES), size, labels))


def _decoded(data: bytes, name: str) -> AnyArray:
    """Return an image from a PNG file; TIFF isn't read from bundles of unknown origin."""
    from PIL import Image

    if not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise DataError(f"{name}: isn't shown, as it is no PNG file")
    width, height = (int.from_bytes(data[start : start + 4], "big") for start in (16, 20))
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
        raise DataError(f"{name}: {height}×{width} pixels are too many to be shown")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.mode not in ("L", "I;16", "I", "RGB") or picture.size != (width, height):
                raise DataError(f"{name}: has pixels of the kind {picture.mode}, expected grey or RGB")
            pixels = np.asarray(picture)
    except DataError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        raise DataError(f"{name}: can't be read ({str(error)[:80]})") from None
    return pixels.astype(np.uint16) if pixels.dtype == np.int32 else pixels
