"""A comparison of 6 arms, 3 × 3 seeds and 50 images with 10,000 draws takes less than a second."""

from __future__ import annotations

import time

import pandas as pd

from helpers.frames import images as make_images
from synthbench.statistics import compare


def crossed() -> pd.DataFrame:
    """Five arms, each with three generator seeds × three segmenter seeds, beside `real` with three."""
    effects = {"real": 0.0} | {f"real + g{i} × 50": 0.01 * i for i in range(5)}
    frames = []
    for generator_seed in range(3):
        frame = make_images(effects, segmenters=("unet",), ious=(0.5,), rng_seed=generator_seed)
        made = frame[frame["arm"] != "real"].assign(generator_seed=float(generator_seed))
        frames += [made] if frames else [frame[frame["arm"] == "real"], made]
    return pd.concat(frames, ignore_index=True)


def test_ten_thousand_draws() -> None:
    frame = crossed()
    compare(frame, draws=10)
    began = time.perf_counter()
    found = compare(frame, draws=10_000)
    seconds = time.perf_counter() - began
    print(f"\n10,000 draws, 6 arms, 3 × 3 seeds, 50 images: {seconds:.2f} s")
    assert {d.pairs for d in found.differences.values()} == {9}
    assert seconds < 1
