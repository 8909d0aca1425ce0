"""False verdicts of studies that decide, with several generator seeds or folds, and of means over comparisons.

``python tests/perf/deciding_designs.py [--boards N] [--arms N]`` prints a table of docs/deciding.md. Unlike in
`decisions.py`, boards are tables of images, and `synthbench.statistics.decide_arms` takes the looks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.crossed import images
from synthbench.statistics import compare_over_blocks, decide_arms, interval_and_p
from synthbench.statistics.sequential_decisions import ALPHA, holm_rows

MARGIN = 0.03
MOST = 6
DRAWS = 500
NOISE: dict[str, Any] = {"count": 40, "image_spread": 0.05, "effect_spread": 0.02, "seed_spread": 0.015}
DESIGNS: dict[str, dict[str, Any]] = {
    "one generator seed, one fold": {},
    "2 generator seeds that differ by .01": {"generator_seeds": 2, "generator_spread": 0.01},
    "3 generator seeds that differ by .01": {"generator_seeds": 3, "generator_spread": 0.01},
    "3 folds that differ by .01": {"folds": 3, "fold_spread": 0.01},
    "3 folds, 2 generator seeds": {"folds": 3, "fold_spread": 0.01, "generator_seeds": 2, "generator_spread": 0.01},
}


def decided(effect: float, arms: int, design: dict[str, Any], seed: int) -> tuple[pd.DataFrame, Any]:
    """Return the rows of one comparison that were used, and its decisions."""
    table = images(effect, seeds=MOST, arms=arms, rng_seed=seed, **NOISE, **design)
    names = [name for name in table["arm"].unique() if name != "real"]
    done = dict.fromkeys(["real", *names], MOST)
    found = decide_arms(table, names, MOST, MARGIN, done=done, draws=DRAWS)
    used = found.used()
    return table[table["seed"] < table["arm"].map(used)], found


def false_verdicts(boards: int, arms: int, design: dict[str, Any]) -> tuple[float, float, float]:
    """Return shares of boards with a false better or worse, a false within, and trainings per arm."""
    differs, within, seeds = [], [], []
    for board in range(boards):
        _, null = decided(0.0, arms, design, board)
        differs.append(any(arm.direction for arm in null.arms.values()))
        seeds.append(np.mean(list(null.used().values())))
        _, edge = decided(MARGIN, arms, design, boards + board)
        within.append(any(arm.within for arm in edge.arms.values()))
    return float(np.mean(differs)), float(np.mean(within)), float(np.mean(seeds))


def false_means(boards: int, arms: int) -> tuple[float, float]:
    """Return shares of boards whose mean over two comparisons is falsely better or worse: as it is, and widened."""
    naive, widened = [], []
    for board in range(boards):
        blocks = [decided(0.0, arms, {}, 10**6 + 2 * board + which) for which in range(2)]
        frames = [rows.assign(segmenter=name) for (rows, _), name in zip(blocks, ("a", "b"), strict=True)]
        mean = compare_over_blocks({"d": frames}, "real", draws=2000)
        p, wide = [], []
        for arm, difference in mean.differences.items():
            factor = max(found.arms[arm].widening for _, found in blocks)
            around = mean.draws[arm] - difference.value
            p.append(difference.p)
            wide.append(interval_and_p(difference.value + around * factor)[2])
        naive.append((holm_rows(np.array(p)) < ALPHA).any())
        widened.append((holm_rows(np.array(wide)) < ALPHA).any())
    return float(np.mean(naive)), float(np.mean(widened))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=400)
    parser.add_argument("--arms", type=int, default=4)
    args = parser.parse_args()
    print("| design | false better or worse | false within ±.03, true Δ .03 | seeds per arm |")
    print("| --- | --- | --- | --- |")
    for name, design in DESIGNS.items():
        differs, within, seeds = false_verdicts(args.boards, args.arms, design)
        print(f"| {name} | {differs:.3f} | {within:.3f} | {seeds:.1f} |", flush=True)
    naive, widened = false_means(args.boards, args.arms)
    print(f"mean over two comparisons: {widened:.3f} better or worse; with intervals of fixed seeds {naive:.3f}")


if __name__ == "__main__":
    main()
