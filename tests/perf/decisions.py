"""The tables of docs/deciding.md: boards with known differences, decided in rounds and by studies of a fixed size.

``python tests/perf/decisions.py [--boards N] [TABLE …]`` prints them as Markdown. Boards are simulated by the numbers
that a look is made of: the difference of each pair of trainings, which has errors of both trainings and of the test
images, and an estimate of the variance over test images. The variance of training is estimated as
`synthbench.statistics.compare` estimates it, on many boards at once (`training_error`; a test compares the two).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import fdtrc

from synthbench.statistics.group_sequential import Looks, looks_up_to
from synthbench.statistics.pooled_variance import ARM_OUTLIER_P, BASELINE_OUTLIER_P, REMOVED_OUTLIER_P
from synthbench.statistics.sequential_decisions import (
    HOPELESS,
    Estimates,
    Evidence,
    add_look,
    chance_of_decision,
    no_evidence,
)
from synthbench.statistics.variance_components import combined_dof, moderate_variance

MARGIN = 0.02
PARTS = ("above", "below", "above_margin", "below_margin")


@dataclass(frozen=True)
class Board:
    """What is true of a board.

    Attributes
    ----------
    effects : tuple of float
        The difference of each arm from the baseline.
    training : float
        Standard deviation of a difference due to training both segmenters.
    image : float
        Standard error of a difference due to the choice of test images.
    images : int
        Number of test images.
    most : int
        Seeds at most.
    wild : tuple of float
        By how much the trainings of each arm vary more than the others'; 1 if there are none.
    baseline : float
        By how much the baseline's do.
    """

    effects: tuple[float, ...]
    training: float
    image: float = 0.0
    images: int = 100
    most: int = 12
    wild: tuple[float, ...] = ()
    baseline: float = 1.0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of simulated boards.

    Attributes
    ----------
    differs, within : ndarray
        ``(boards, arms)``: 1 better, −1 worse, 0 neither; and within the margin.
    seeds : ndarray
        ``(boards, arms)``: seeds of each arm.
    """

    effects: np.ndarray
    differs: np.ndarray
    within: np.ndarray
    seeds: np.ndarray

    @property
    def false_difference(self) -> float:
        """Share of the boards that call an arm better or worse that isn't."""
        return float(((self.differs != 0) & (self.differs != np.sign(self.effects))).any(axis=1).mean())

    @property
    def false_equivalence(self) -> float:
        """Share of the boards that call an arm within the margin that isn't."""
        return float((self.within & (np.abs(self.effects) >= MARGIN - 1e-12)).any(axis=1).mean())

    @property
    def power(self) -> float:
        """Share of the arms that are decided rightly."""
        right = (self.differs != 0) & (self.differs == np.sign(self.effects))
        return float((right | (self.within & (np.abs(self.effects) < MARGIN - 1e-12))).mean())

    @property
    def trainings(self) -> float:
        """Trainings of segmenters per board, the baseline's included."""
        return float((self.seeds.sum(axis=1) + self.seeds.max(axis=1)).mean())


def simulate(board: Board, boards: int, *, fixed: bool = False, seed: int = 0) -> Outcome:
    """Decide boards in rounds, or with `fixed` in a single look at the largest number of seeds."""
    rng = np.random.default_rng((11, seed))
    effects = np.asarray(board.effects)
    arms, most, one = len(effects), board.most, board.training / np.sqrt(2)
    image_errors = board.image * rng.standard_normal((boards, arms, 1))
    own = one * np.asarray(board.wild or (1.0,) * arms)[:, None] * rng.standard_normal((boards, arms, most))
    baseline = one * board.baseline * rng.standard_normal((boards, 1, most))
    differences = effects[:, None] + image_errors + own - baseline
    image2 = board.image**2 * rng.chisquare(board.images - 1, (boards, arms)) / (board.images - 1)
    looks = Looks((most,)) if fixed else looks_up_to(most, arms)
    evidence = no_evidence(boards, arms)
    is_open, seeds = np.ones((boards, arms), bool), np.zeros((boards, arms), int)
    for look, count in enumerate(looks.seeds):
        seeds[is_open] = count
        at = np.flatnonzero(is_open.any(axis=1))
        if not len(at):
            break
        trained = np.arange(most) < seeds[at][:, :, None]
        estimates = _estimates(differences[at], trained, image2[at], board.images, is_open[at], count)
        found = add_look(Evidence(*(getattr(evidence, part)[at] for part in PARTS)), estimates, looks, look, MARGIN)
        for part in PARTS:
            getattr(evidence, part)[at] = getattr(found, part)
        differs, within = found.found()
        still = is_open[at] & ~((differs != 0) | within)
        is_open[at] = still & ~(chance_of_decision(estimates, looks, look, MARGIN, still) < HOPELESS)
    return Outcome(effects, *evidence.found(), seeds)


def _estimates(
    differences: np.ndarray, trained: np.ndarray, image2: np.ndarray, images: int, at_look: np.ndarray, count: int
) -> Estimates:
    error2, dof = training_error(differences, trained)
    total = combined_dof(image2, images - 1, error2, dof)
    parts = differences[:, :, :count].mean(axis=2), image2, error2, total, dof
    return Estimates(*(np.where(at_look, part, np.nan) for part in parts))


def training_error(differences: np.ndarray, trained: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared error of each arm's mean due to training, and its degrees of freedom, ``(boards, arms)``.

    Parameters
    ----------
    differences
        ``(boards, arms, seeds)``, of one fold and generator seed.
    trained
        Which of them there are; the baseline has every seed that an arm has.
    """
    arms = differences.shape[1]
    count = trained.sum(axis=2)
    centred = np.where(trained, differences - (differences * trained).sum(axis=2, keepdims=True) / count[..., None], 0)
    own2, own_dof = np.square(centred).sum(axis=2) / (count - 1) / count, count - 1.0
    if arms == 1:
        return own2, own_dof
    moderated = np.empty((2, *own2.shape))
    for arm in range(arms):
        others = [other for other in range(arms) if other != arm]
        scaled = own2[:, others] * count[:, others] / count[:, [arm]]
        moderated[:, :, arm] = moderate_variance(own2[:, arm], own_dof[:, arm], scaled, own_dof[:, others])
    values = np.concatenate([np.zeros_like(differences[:, :1]), differences], axis=1)
    present = np.concatenate([trained.any(axis=1, keepdims=True), trained], axis=1)
    total, dof = _residuals(values, present)
    outliers, live = np.zeros(present.shape[:2], bool), np.ones(len(present), bool)
    while True:
        p = _row_p(values, present, total, dof)
        outliers |= (p < ARM_OUTLIER_P) & live[:, None]
        baseline_p, furthest = p[:, 0], 1 + p[:, 1:].argmin(axis=1)
        least = p[np.arange(len(p)), furthest]
        live = live & (least < np.minimum(REMOVED_OUTLIER_P, baseline_p)) & (present[:, 1:].any(axis=2).sum(axis=1) > 2)
        if not live.any():
            break
        present[live, furthest[live]] = False
        again, again_dof = _residuals(values, present)
        total, dof = np.where(live, again, total), np.where(live, again_dof, dof)
    shared2 = (total / np.maximum(dof, 1))[:, None] * 2 / count
    arm_outliers, by_baseline = outliers[:, 1:], (baseline_p < BASELINE_OUTLIER_P)[:, None]
    error2 = np.where(arm_outliers, np.maximum(own2, shared2), shared2)
    return (
        np.where(by_baseline, np.maximum(moderated[0], shared2), error2),
        np.where(by_baseline, moderated[1], np.where(arm_outliers, own_dof, dof[:, None])),
    )


def _row_p(values: np.ndarray, present: np.ndarray, total: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """Return p of each row: whether it varies more than the others."""
    p = np.ones(present.shape[:2])
    for row in range(present.shape[1]):
        without = present.copy()
        without[:, row] = False
        others, others_dof = _residuals(values, without)
        own_dof = dof - others_dof
        tested = (others_dof >= 1) & (own_dof > 0) & present[:, row].any(axis=1)
        own_dof, others_dof = np.maximum(own_dof, 1), np.maximum(others_dof, 1)
        ratio = np.maximum(total - others, 0) / own_dof / np.maximum(others / others_dof, 1e-30)
        p[:, row] = np.where(tested, fdtrc(own_dof, others_dof, ratio), 1)
    return p


def _residuals(values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of squared residuals beside a level per row and per column, and its degrees of freedom."""
    weight = present.astype(float)
    of_row = np.maximum(weight.sum(axis=2), 1)
    centred = np.where(present, values - (values * weight).sum(axis=2, keepdims=True) / of_row[..., None], 0)
    columns = weight.shape[2]
    normal = weight.sum(axis=1)[:, :, None] * np.eye(columns)
    normal -= np.einsum("brk,brl->bkl", weight / of_row[..., None], weight)
    sizes, vectors = np.linalg.eigh(normal)
    known = sizes > 1e-9
    projected = np.einsum("blk,bl->bk", vectors, centred.sum(axis=1))
    explained = (np.where(known, projected, 0) ** 2 / np.where(known, sizes, 1)).sum(axis=1)
    dof = weight.sum(axis=(1, 2)) - present.any(axis=2).sum(axis=1) - known.sum(axis=1)
    return np.maximum(np.square(centred).sum(axis=(1, 2)) - explained, 0), dof


FIVE = {
    "five, one of them within the margin": (-0.1, -0.06, -0.05, 0.0, 0.06),
    "five, two of them within": (-0.08, -0.04, 0.0, 0.005, 0.05),
    "five, four of them within": (-0.07, -0.01, 0.0, 0.0, 0.01),
}
TWELVE = {
    "twelve, two of them within": (-0.12, -0.1, -0.08, -0.07, -0.06, -0.05, -0.05, 0.0, 0.0, 0.05, 0.06, 0.08),
    "twelve, four of them within": (-0.1, -0.08, -0.06, -0.05, -0.04, -0.03, -0.01, 0.0, 0.0, 0.01, 0.03, 0.05),
    "twelve, ten of them within": (-0.07, *(0.0,) * 6, 0.005, -0.005, 0.01, -0.01, 0.05),
}
NOISE = ((0.015, 0.004), (0.02, 0.006), (0.01, 0.01))
"""Standard deviation of a difference due to training, and its standard error due to test images."""


def errors(boards: int) -> Iterator[list[str]]:
    """Yield boards on which every verdict of a kind is false: family-wise error rates."""
    yield ["arms", "training, test images", "false better or worse", "false within ±.02, true Δ .02"]
    for arms in (1, 2, 3, 5, 12):
        for training, image in NOISE:
            null = simulate(Board((0.0,) * arms, training, image), boards)
            edge = simulate(Board((MARGIN,) * arms, training, image, images=1000), boards, seed=1)
            yield [str(arms), f"{training}, {image}", share(null.false_difference), share(edge.false_equivalence)]


def unequal(boards: int) -> Iterator[list[str]]:
    """Yield the same where trainings don't vary equally; five arms."""
    yield ["what varies more", "false better or worse", "with a fixed number of 3 seeds", "false within ±.02"]
    one, five = (1.0,) * 4, (0.0,) * 5
    cases = {
        "nothing": Board(five, 0.015, 0.004),
        "one arm, 2 times": Board(five, 0.015, 0.004, wild=(2.0, *one)),
        "one arm, 4 times": Board(five, 0.015, 0.004, wild=(4.0, *one)),
        "arms by 0.5, 0.75, 1, 1.5, 2": Board(five, 0.015, 0.004, wild=(0.5, 0.75, 1.0, 1.5, 2.0)),
        "real images alone, 1.5 times": Board(five, 0.015, 0.004, baseline=1.5),
        "real images alone, 2 times": Board(five, 0.015, 0.004, baseline=2.0),
    }
    for name, board in cases.items():
        edge = simulate(replace(board, effects=(MARGIN,) * 5), boards, seed=1)
        fixed = simulate(replace(board, most=3), boards, fixed=True)
        found = simulate(board, boards)
        yield [name, *map(share, (found.false_difference, fixed.false_difference, edge.false_equivalence))]


def savings(boards: int) -> Iterator[list[str]]:
    """Yield trainings in rounds, and of studies of a fixed number of seeds that decide as many arms rightly."""
    yield ["arms", "seeds at most", "decided rightly", "trainings", "fixed study of this power", "saved"]
    for name, effects in (FIVE | TWELVE).items():
        curve = Board(effects, 0.015, 0.004)
        seeds = (2, 3, 4, 6, 8, 10, 12, 14, 17, 20, 24)
        power = [simulate(replace(curve, most=each), boards, fixed=True).power for each in seeds]
        for most in (12, 20):
            found = simulate(replace(curve, most=most), boards)
            fixed = float(np.interp(found.power, np.maximum.accumulate(power), seeds)) * (len(effects) + 1)
            saved = f"{100 * (1 - found.trainings / fixed):.0f} %"
            yield [name, str(most), share(found.power), f"{found.trainings:.0f}", f"{fixed:.0f}", saved]


def control_variates(boards: int) -> Iterator[list[str]]:
    """Yield the error of Δ adjusted by Δ on validation images, which shares the errors of training."""
    yield ["Δ on test images", "standard deviation", "mean, true Δ .03"]
    rng = np.random.default_rng(17)
    seeds, effect = 3, 0.03
    training = rng.normal(0, 0.015, (boards, seeds))
    test = effect + training + rng.normal(0, 0.005, (boards, seeds)) + rng.normal(0, 0.006, (boards, 1))
    validation = effect + training + rng.normal(0, 0.008, (boards, seeds)) + rng.normal(0, 0.012, (boards, 1))
    slope = 0.015**2 / (0.015**2 + 0.008**2)
    centred = validation - validation.mean(axis=1, keepdims=True)
    for name, adjusted in {
        "as it is": test,
        "minus slope × (validation Δ − its mean over the seeds)": test - slope * centred,
        "minus slope × validation Δ, as if its mean were 0": test - slope * validation,
    }.items():
        means = adjusted.mean(axis=1)
        yield [name, f"{means.std():.4f}", f"{means.mean():+.4f}"]


def share(value: float) -> str:
    """Return a share as ``".047"``."""
    return f"{value:.3f}".removeprefix("0")


TABLES = {"errors": errors, "unequal": unequal, "savings": savings, "control_variates": control_variates}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"by default all: {', '.join(TABLES)}")
    parser.add_argument("--boards", type=int, default=2000)
    args = parser.parse_args()
    for name in args.tables or TABLES:
        for number, row in enumerate(TABLES[name](args.boards)):
            print(f"| {' | '.join(row)} |", flush=True)
            if number == 0:
                print(f"|{' --- |' * len(row)}")
        print()


if __name__ == "__main__":
    main()
