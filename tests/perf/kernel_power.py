"""How often blurred images are distinguished from real ones: by the p-value and by the interval of the kernel distance.

``python tests/perf/kernel_power.py FOLDER``, with a sample set or a folder of annotated images, prints the table of
``docs/fidelity.md``. Real images are dealt out at random into synthetic, test and training ones, again and again; the
synthetic ones are left as they are, or blurred.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from synthbench import Context
from synthbench.folders.fidelity.feature_extraction import load_encoder
from synthbench.folders.fidelity.reading import Pictures, open_pictures
from synthbench.metrics.kernel import kernel_distance, kernel_interval, permutation_test

BLURS = (0.0, 0.5, 1.0, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="real images")
    parser.add_argument("--encoder", default="untrained")
    parser.add_argument("--images", type=int, default=300, help="at most so many, in an order drawn by a fixed seed")
    parser.add_argument("--side", type=int, default=30, help="synthetic, and test, images of a split")
    parser.add_argument("--splits", type=int, default=400)
    given = parser.parse_args()
    pictures = open_pictures(given.folder)
    order = np.random.default_rng(0).permutation(len(pictures))[: given.images].tolist()
    loaded = load_encoder(given.encoder, {}, Context())
    features = {blur: loaded.encoder.encode(blurred(pictures, order, blur)) for blur in BLURS}
    print(f"{len(order)} images of {given.folder}, {given.side} synthetic, {given.side} test, the others training")
    print("blur, pixels | p ≤ .05 | p ≤ .05 against the test images alone | the interval excludes real vs real")
    for blur in BLURS:
        found = np.array([
            decide(features[0.0], features[blur], given.side, split) for split in range(given.splits)
        ]).mean(axis=0)  # fmt: skip
        print(f"{blur:g} | " + " | ".join(f"{share:.1%}" for share in found), flush=True)


def blurred(pictures: Pictures, order: list[int], blur: float) -> Iterator[np.ndarray]:
    for position in order:
        image = pictures.read(position)[0]
        sigma = (blur, blur, 0)[: image.ndim]
        yield np.rint(ndimage.gaussian_filter(image.astype(np.float32), sigma)).astype(image.dtype)


def decide(real: np.ndarray, drawn: np.ndarray, side: int, split: int) -> tuple[bool, bool, bool]:
    """Return whether synthetic images are told from real ones, in three ways."""
    order = np.random.default_rng((1, split)).permutation(len(real))
    x, y, z = drawn[order[:side]], real[order[side : 2 * side]], real[order[2 * side :]]
    low, _ = kernel_interval(x, y, split)
    return (
        permutation_test(x, np.concatenate([y, z]), split) <= 0.05,
        permutation_test(x, y, split) <= 0.05,
        low > kernel_distance(z, y),
    )


if __name__ == "__main__":
    main()
