"""The tables of docs/statistics.md: studies with a known difference, analysed as a leaderboard does.

``python tests/statistics/simulate.py [--studies N] [TABLE …]`` prints them as Markdown; all of them take
half an hour of one processor core with the numbers of studies that the page names.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.crossed import ARM, images
from helpers.studies import Judged, Truth, judge
from synthbench.statistics import Noise, compare, estimate_noise, holm, minimum_detectable_effect

SIZES = {"5": (10,) * 5, "10": (5,) * 10, "20": (5,) * 20}
UNEQUAL = {"5, of 26, 6, 6, 6 and 6": (26, 6, 6, 6, 6), "10, of 1 … 10": tuple(range(1, 11)), "2": (25, 25)}
WELL = {"well_spread": 0.05, "image_spread": 0.03, "training": 0.006}
KNOWN = 2.802
"""Standard errors of the difference that the best possible test, which knows all variances, finds in 80 %."""


def groups(studies: int) -> Iterator[list[str]]:
    """Wells that are resampled together: coverage with one arm without effect; false positives of five such arms."""
    yield ["wells", "covered, 2 seeds", "3 seeds", "10 seeds", "false positives: leaderboards, 3 seeds"]
    for name, wells in {**SIZES, **UNEQUAL}.items():
        held = [judge(Truth(seeds=seeds, wells=wells, **WELL), studies).held for seeds in (2, 3, 10)]
        five = judge(Truth((0.0,) * 5, wells=wells, **WELL), studies // 2)
        yield [name, *map(share, held), share(five.alarms)]
    loose = judge(Truth(seeds=10, wells=SIZES["5"], joined=False, **WELL), studies).held
    five = judge(Truth((0.0,) * 5, wells=SIZES["5"], joined=False, **WELL), studies // 2)
    yield ["5, treated as 50 independent images", "", "", share(loose), share(five.alarms)]


def coverage(studies: int) -> Iterator[list[str]]:
    """Images that are independent."""
    yield ["noise: training, arm × image", "arms", "2 seeds", "3 seeds", "10 seeds"]
    for arms in (1, 5):
        for training, image in ((0.0, 0.06), (0.006, 0.03), (0.02, 0.02)):
            truths = [Truth((0.02,) * arms, s, training=training, image_spread=image) for s in (2, 3, 10)]
            held = [judge(truth, studies if arms == 1 else studies // 4).held for truth in truths]
            yield [f"{training or 'none'}, {image}", str(arms), *map(share, held)]


def one(studies: int) -> Iterator[list[str]]:
    """One seed: the interval assumes the noise of training; folds with one seed are repeated trainings."""
    yield [
        "design of five arms without effect",
        "noise of training",
        "covered",
        "false positives: leaderboards",
    ]
    for folds, name in ((1, "1 fold × 1 seed"), (3, "3 folds × 1 seed"), (5, "5 folds × 1 seed")):
        for training in (0.004, 0.012 / np.sqrt(2), 0.012):
            found = judge(Truth((0.0,) * 5, 1, folds, (1,) * 30, training=training), studies // 2)
            yield [name, f"{training:.4f}", share(found.held), share(found.alarms)]


def power(studies: int) -> Iterator[list[str]]:
    """An arm whose effect the best possible test finds in 80 %, among arms without effect."""
    yield ["arms", "seeds", "found", "after Holm's correction", "false positives: leaderboards without effect"]
    for arms, seeds in ((5, 2), (5, 3), (2, 2), (2, 3)):
        found, null = _power(arms, seeds, studies)
        yield [str(arms), str(seeds), share(found.found), share(found.found_holm), share(null.alarms)]


def _power(arms: int, seeds: int, studies: int) -> tuple[Judged, Judged]:
    truth = Truth((0.0,) * arms, seeds, training=0.02, image_spread=0.02)
    first = KNOWN * truth.error
    found = judge(Truth((first, *truth.effects[1:]), seeds, training=0.02, image_spread=0.02), studies)
    return found, judge(truth, studies, first=studies)


def unequal(studies: int) -> Iterator[list[str]]:
    """Five arms without effect, one of which, or the baseline, varies more: fraction of false positives."""
    yield ["what varies more", "2 seeds", "3 seeds", "5 seeds"]
    for name, outliers in (
        ("nothing", {}),
        ("one arm, 2 times", {1: 2.0}),
        ("one arm, 4 times", {1: 4.0}),
        ("real images alone, 1.5 times", {0: 1.5}),
        ("real images alone, 2 times", {0: 2.0}),
        ("real images alone, 3 times", {0: 3.0}),
    ):
        truths = [Truth((0.0,) * 5, s, training=0.02, image_spread=0.02, outliers=outliers) for s in (2, 3, 5)]
        yield [name, *(share(judge(truth, studies).alarms) for truth in truths)]


def folds(studies: int) -> Iterator[list[str]]:
    """Folds with the same true difference, and folds that differ."""
    yield ["folds", "seeds", "images", "equal folds", "folds differ"]
    for count, seeds, wells in ((2, 2, 20), (3, 1, 10), (3, 3, 10), (5, 3, 10)):
        truths = [Truth((0.02,), seeds, count, (1,) * wells, training=0.007, fold_spread=s) for s in (0.0, 0.02)]
        yield [str(count), str(seeds), str(wells), *(share(judge(truth, studies).held) for truth in truths)]


def crossed(studies: int) -> Iterator[list[str]]:
    """Generator seeds that cross segmenter seeds, without effect."""
    yield ["generator seeds × seeds", "noise of a generator, of a segmenter", "covered"]
    for generators, seeds, generator, segmenter in (
        (2, 10, 0.04, 0.003),
        (2, 10, 0.02, 0.003),
        (2, 10, 0.02, 0.01),
        (2, 5, 0.05, 0.005),
        (3, 10, 0.02, 0.003),
        (2, 2, 0.0, 0.01),
    ):
        noise = {"count": 30, "generator_spread": generator, "seed_spread": segmenter}
        covered = []
        for number in range(studies):
            frame = images(0.0, generators, seeds, rng_seed=number, **noise)
            difference = compare(frame, draws=1000, seed=number).differences[ARM]
            covered.append(difference.low <= 0 <= difference.high)
        yield [f"{generators} × {seeds}", f"{generator or 'none'}, {segmenter}", share(float(np.mean(covered)))]


def detectable(studies: int) -> Iterator[list[str]]:
    """The minimum detectable effect, and the studies that find it; the noise is the mean of 100 pilots."""
    yield ["generator seeds", "seeds", "folds", "arms", "test images", "detectable Δ (.80)", "found"]
    for generators, seeds, folds, arms, count in (
        (3, 3, 1, 1, 40),
        (3, 3, 1, 3, 40),
        (2, 3, 1, 1, 40),
        (2, 3, 1, 3, 40),
        (2, 5, 1, 3, 40),
        (1, 3, 1, 1, 40),
        (1, 3, 1, 2, 50),
        (1, 2, 1, 5, 50),
        (1, 3, 1, 5, 50),
        (1, 2, 3, 1, 40),
        (1, 2, 3, 3, 40),
    ):
        spreads = {"generator_spread": 0.02, "seed_spread": 0.007 if folds > 1 else 0.014, "count": count}
        drawn = partial(images, 0.0, generators, seeds, folds=folds, fold_spread=0.01 * (folds > 1), **spreads)
        noise = mean_of(estimate_noise(drawn(rng_seed=number, arms=arms), draws=300) for number in range(100))
        design = {"seeds": seeds, "arms": arms, "generator_seeds": generators, "folds": folds}
        smallest = minimum_detectable_effect(noise, images=count * folds, **design)
        hits = []
        for number in range(1000, 1000 + studies):
            frame = images(smallest, *drawn.args[1:], **drawn.keywords, rng_seed=number, arms=arms, only_first=True)
            differences = compare(frame, draws=4000, seed=number).differences
            adjusted = dict(zip(differences, holm([d.p for d in differences.values()]), strict=True))
            hits.append(adjusted[ARM] < 0.05)
        yield [*map(str, (generators, seeds, folds, arms, count)), f"{smallest:.3f}", share(float(np.mean(hits)))]


def mean_of(pilots: Iterable[Noise]) -> Noise:
    """Return the mean of the noise that many pilots estimate, which depends little on a single pilot."""
    several, parts = list(pilots), ("image", "training", "generator", "residual", "fold")
    return Noise(
        source="", **{name: float(np.sqrt(np.mean([getattr(p, name) ** 2 for p in several]))) for name in parts}
    )


def share(value: float) -> str:
    """Return ``".953"``."""
    return f"{value:.3f}".removeprefix("0")


TABLES: dict[str, tuple[Callable[[int], Iterator[list[str]]], int]] = {
    "groups": (groups, 400),
    "one": (one, 400),
    "power": (power, 400),
    "unequal": (unequal, 300),
    "coverage": (coverage, 400),
    "folds": (folds, 400),
    "crossed": (crossed, 500),
    "detectable": (detectable, 400),
}


def main() -> None:
    """Print the tables that the arguments name, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--studies", type=int, help="instead of the numbers of the page")
    args = parser.parse_args()
    for name in args.tables or TABLES:
        table, studies = TABLES[name]
        count = args.studies or studies
        print(f"\n{name} ({count} studies)\n", flush=True)
        for row in table(count):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
