"""How many trainings a study that decides will take, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from synthbench.cli._detectable_effects_text import shared_group_lines

if TYPE_CHECKING:
    from synthbench.results.power import DetectableEffect
    from synthbench.statistics import ExpectedTrainings

__all__ = ["decisions_lines", "expected_as_json"]


def decisions_lines(effects: Sequence[DetectableEffect], margin: float, most: int) -> Iterator[str]:
    """Yield a line per comparison, the sum of all, and what limits them.

    Parameters
    ----------
    effects
        Of the plan with the largest number of seeds.
    margin
        The difference of practical size.
    most
        Trainings of segmenters at most, in the whole plan.
    """
    from synthbench.statistics.expected_trainings import EFFECTS

    total, known = 0.0, True
    for effect in _deciding(effects):
        subject = f"{effect.segmenter} on {effect.dataset}, {effect.fraction} real images"
        if effect.units < 2 or effect.seeds < 2:
            known = False
            yield f"{subject}: nothing can be decided with one test image or one seed"
            continue
        found = _expected(effect, margin)
        total += found.expected
        yield (
            f"{subject}: about {found.expected:.0f} of {found.most:.0f} trainings expected, "
            f"{100 * found.decided:.0f} % of the arms decided (±{margin:g}; {effect.arms} arms, {effect.units} "
            f"{'groups of test images' if effect.units < effect.images else 'test images'}; noise: "
            f"{effect.noise.source})"
        )
        if found.limit >= margin:
            yield (
                f"! {subject}: test images alone leave ±{found.limit:.3f}, so no arm can be shown to be within "
                f"±{margin:g}, however many seeds there are; use more test images, or a larger margin"
            )
    about = f"about {total:.0f} expected, " if known and effects else ""
    yield (
        f"trainings of segmenters: {about}{most} at most (expected: if the true differences of the arms have a "
        f"standard deviation of {EFFECTS * margin:g})"
    )
    yield from shared_group_lines(effects)


def expected_as_json(effects: Sequence[DetectableEffect], margin: float) -> list[dict[str, object]]:
    """Return the same per comparison, as JSON."""
    return [
        {
            "dataset": effect.dataset,
            "fraction": effect.fraction,
            "segmenter": effect.segmenter,
            **vars(_expected(effect, margin)),
        }
        for effect in _deciding(effects)
        if effect.units >= 2 and effect.seeds >= 2
    ]


def _deciding(effects: Sequence[DetectableEffect]) -> list[DetectableEffect]:
    """Return the comparisons on test images of the own dataset: those of others decide nothing."""
    return [effect for effect in effects if effect.tested_on == effect.dataset]


def _expected(effect: DetectableEffect, margin: float) -> ExpectedTrainings:
    from synthbench.statistics import expected_trainings

    return expected_trainings(
        effect.noise,
        effect.units,
        effect.seeds,
        effect.arms,
        margin,
        generator_seeds=effect.generator_seeds,
        folds=effect.folds,
    )
