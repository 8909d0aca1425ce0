"""Images of one set that are copies of images of another: the same pixels, or nearly the same picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from synthbench.metrics.duplicates import SAME_IMAGE
from synthbench.metrics.similarity import near_duplicates, thumbnail
from synthbench.plugin.api import Progress, silent
from synthbench.samples import SampleSet
from synthbench.types import AnyArray, Image

__all__ = ["Copy", "NEAR", "find_copies", "pixel_hash"]

NEAR = 1 - SAME_IMAGE**2 / 2
"""Correlation of thumbnails, in any of the eight orientations, from which two images count as the same picture."""


@dataclass(frozen=True)
class Copy:
    """An image that is a copy of another.

    Attributes
    ----------
    image, of : str
        Ids of the copy, and of the original.
    exact : bool
        Whether all pixels are equal.
    """

    image: str
    of: str
    exact: bool


def pixel_hash(image: Image) -> str:
    """Return the SHA-256 of shape, dtype and pixels."""
    head = f"{image.shape} {image.dtype.name}"
    return hashlib.sha256(head.encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def find_copies(images: SampleSet, originals: SampleSet, progress: Progress = silent) -> list[Copy]:
    """Return which images are copies of originals, reading each once.

    Copies that are cropped or shifted by several per cent aren't found.

    Parameters
    ----------
    images, originals
    progress
        Called after each image.

    Returns
    -------
    list of Copy
        In the order of `images`: every pair, exact or near.
    """
    total = len(images) + len(originals)
    sides = []
    for samples, done in ((images, 0), (originals, len(images))):
        hashes: list[str] = []
        thumbs: list[AnyArray] = []
        for number, sample in enumerate(samples, start=1):
            hashes.append(pixel_hash(sample.image))
            thumbs.append(thumbnail(sample.image))
            progress(done + number, total, "looking for copies")
        sides.append((hashes, thumbs))
    (hashes, thumbs), (original_hashes, original_thumbs) = sides
    if not hashes or not original_hashes:
        return []
    same: dict[str, list[int]] = {}
    for position, value in enumerate(original_hashes):
        same.setdefault(value, []).append(position)
    found = {(i, j): True for i, value in enumerate(hashes) for j in same.get(value, ())}
    for i, j, _ in near_duplicates(np.stack(thumbs), np.stack(original_thumbs), NEAR):
        found.setdefault((i, j), False)
    return [Copy(images.ids[i], originals.ids[j], exact) for (i, j), exact in sorted(found.items())]
