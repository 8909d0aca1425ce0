"""Images of one set that are copies of images of another: the same pixels, or nearly the same picture."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from synthbench.metrics.duplicates import SAME_IMAGE
from synthbench.metrics.shifted_similarity import MAX_SHIFT, shifted_candidates, shifted_correlation
from synthbench.metrics.similarity import SIDE, near_duplicates, oriented, thumbnail
from synthbench.plugin.api import Progress, silent
from synthbench.samples import SampleSet
from synthbench.types import AnyArray, Image

__all__ = ["Copy", "Looks", "MAX_SHIFT", "NEAR", "find_copies", "looks_of", "pixel_hash", "same_content"]

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


@dataclass(frozen=True)
class Looks:
    """What tells whether images are copies of others.

    Attributes
    ----------
    hashes : tuple of str
        `pixel_hash` of each image.
    thumbnails : ndarray
        ``(n, SIDE * SIDE)`` float32; see `synthbench.metrics.similarity`.
    """

    hashes: tuple[str, ...]
    thumbnails: AnyArray


def looks_of(samples: SampleSet, progress: Progress = silent) -> Looks:
    """Return what `find_copies` compares, reading each image once; `progress` is called after each."""
    hashes: list[str] = []
    rows: list[AnyArray] = []
    for number, sample in enumerate(samples, start=1):
        hashes.append(pixel_hash(sample.image))
        rows.append(thumbnail(sample.image))
        progress(number, len(samples), "looking for copies")
    return Looks(tuple(hashes), np.stack(rows) if rows else np.zeros((0, SIDE * SIDE), np.float32))


def find_copies(
    images: SampleSet, originals: SampleSet, progress: Progress = silent, known: Looks | None = None
) -> list[Copy]:
    """Return which images are copies of originals, reading each once.

    A shifted copy is found where both images have the same size and the shift is at most 6 % of each side. Crops aren't
    found.

    Parameters
    ----------
    images, originals
    progress
        Called after each image.
    known
        `looks_of` the originals, for whoever compares several sets with them.

    Returns
    -------
    list of Copy
        In the order of `images`: every pair, exact or near.
    """
    total = len(images) + (len(originals) if known is None else 0)
    looks = looks_of(images, lambda done, _, text: progress(done, total, text))
    known = known or looks_of(originals, lambda done, _, text: progress(len(images) + done, total, text))
    if not looks.hashes or not known.hashes:
        return []
    same: dict[str, list[int]] = {}
    for position, value in enumerate(known.hashes):
        same.setdefault(value, []).append(position)
    found = {(i, j): True for i, value in enumerate(looks.hashes) for j in same.get(value, ())}
    for i, j, _ in near_duplicates(looks.thumbnails, known.thumbnails, NEAR):
        found.setdefault((i, j), False)
    for i, j, orientation in shifted_candidates(looks.thumbnails, known.thumbnails):
        if (i, j) not in found and _is_shifted(images[i].image, originals[j].image, orientation):
            found[i, j] = False
    return [Copy(images.ids[i], originals.ids[j], exact) for (i, j), exact in sorted(found.items())]


def _is_shifted(image: Image, original: Image, orientation: int) -> bool:
    """Whether an image is a shifted copy of an original in an orientation."""
    return shifted_correlation(image, oriented(original[None], orientation)[0]) >= NEAR


def same_content(first: SampleSet, second: SampleSet) -> bool:
    """Whether two sets hold the same images with the same annotations, whatever their ids and order.

    Images are read only where the indexes of both sets don't show a difference already.
    """
    if first.fingerprint == second.fingerprint:
        return True
    if _outline(first) != _outline(second):
        return False
    return _contents(first) == _contents(second)


def _outline(samples: SampleSet) -> Counter[tuple[object, ...]]:
    """Return what the index says about the content of the samples."""
    return Counter(
        (entry.height, entry.width, entry.channels, entry.dtype, entry.objects, entry.covered, entry.ignored)
        for entry in samples.entries
    )


def _contents(samples: SampleSet) -> Counter[str]:
    """Return the hashes of images with their annotations."""
    return Counter(replace(sample, id="any", groups={}).digest for sample in samples)
