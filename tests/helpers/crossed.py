"""Studies whose generator seeds cross segmenter seeds, in folds that differ, made from chosen noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

ARM = "real + g × 1"


def images(
    effect: float,
    generator_seeds: int = 1,
    seeds: int = 3,
    *,
    folds: int = 1,
    arms: int = 1,
    count: int = 40,
    image_spread: float = 0.05,
    effect_spread: float = 0.02,
    seed_spread: float = 0.01,
    generator_spread: float = 0.0,
    fold_spread: float = 0.0,
    rng_seed: int = 0,
    only_first: bool = False,
) -> pd.DataFrame:
    """Return an `images` frame of one cell: `real`, and arms with that effect on recall and precision.

    Noise: `image_spread` per image, common to all arms; `effect_spread` per arm and image; `seed_spread` per training
    of a segmenter, `generator_spread` per training of a generator, `fold_spread` per arm and fold; and of 20 to 60
    objects, each found or not. The effect is that of the mean generator where there are several; other arms than the
    first have none with `only_first`.
    """
    rng = np.random.default_rng((7, rng_seed))
    names = ["real", ARM, *(f"real + g{i} × 1" for i in range(1, arms))]
    runs, hits, objects = [], [], []
    for fold in range(folds):
        true = rng.integers(20, 61, count)
        base = 0.7 + rng.normal(0, image_spread, count)
        for arm in names:
            made = arm != "real"
            own = 0.0 if only_first and arm != ARM else effect
            level = base + made * (own + rng.normal(0, fold_spread) + rng.normal(0, effect_spread, count))
            for generator_seed in range(generator_seeds) if made else [np.nan]:
                one = made * rng.normal(0, generator_spread) if generator_seeds > 1 else 0.0
                for seed in range(seeds):
                    share = np.clip(level + one + rng.normal(0, seed_spread), 0.02, 0.98)
                    runs.append((fold, arm, generator_seed, seed))
                    hits.append(rng.binomial(true, share))
                    objects.append(true)
    frame = pd.DataFrame(np.repeat(np.array(runs, object), count, axis=0), columns=["fold", "arm", "g", "seed"])
    tp, true = np.concatenate(hits), np.concatenate(objects)
    return pd.DataFrame(
        {
            "dataset": "d",
            "fraction": 40,
            "segmenter": "unet",
            "fold": frame["fold"].astype(int),
            "arm": frame["arm"],
            "generator_seed": frame["g"].astype(float),
            "seed": frame["seed"].astype(int),
            "image": frame["fold"].astype(str) + "-" + pd.Series(np.tile(np.arange(count), len(runs))).astype(str),
            "iou": 0.5,
            "tp": tp,
            "fp": true - tp,
            "fn": true - tp,
        }
    )
