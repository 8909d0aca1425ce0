"""The smallest differences that a plan can detect, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthbench.results.power import DetectableEffect

__all__ = ["detectable_effects_lines", "shared_group_lines"]


def detectable_effects_lines(effects: Sequence[DetectableEffect]) -> Iterator[str]:
    """Yield a line per comparison: a difference from real that is smaller than this will rarely be found.

    A line per dataset follows where its test images share groups that the split does not keep together.
    """
    yield from map(_effect_line, effects)
    yield from shared_group_lines(effects)


def _effect_line(effect: DetectableEffect) -> str:
    from synthbench.results import trained_and_tested
    from synthbench.statistics.power import POWER

    where = trained_and_tested(effect.dataset, effect.tested_on)
    if isnan(effect.difference):
        unit = "test image" if effect.images == 1 else f"group of {effect.images} test images"
        return f"{effect.segmenter} on {where}: one {unit} can show no difference"
    groups = f" in {_count(effect.units, 'group')}" if effect.units < effect.images else ""
    design = f"{_count(effect.images, 'test image')}{groups}, {_count(effect.arms, 'arm')}, {_repeats(effect)}"
    subject = f"{effect.segmenter} on {where}, {effect.fraction} real images"
    if effect.seeds == 1 and effect.folds == 1:
        return f"{subject}: decides nothing, for one seed never does ({design}); use two seeds or more"
    if effect.difference >= 1:
        return (
            f"{subject}: can show no difference, however large ({design}; noise: {effect.noise.source}); "
            "use more test images, folds or seeds"
        )
    return (
        f"{subject}: smallest detectable Δ: {max(effect.difference, 0.001):.3f} "
        f"(power {100 * POWER:.0f} %; {design}; noise: {effect.noise.source})"
    )


def shared_group_lines(effects: Iterable[DetectableEffect]) -> Iterator[str]:
    """Yield a line per dataset whose test images share groups that the split doesn't keep together."""
    by_dataset = {effect.tested_on: effect.unmodelled_groups for effect in effects if effect.unmodelled_groups}
    for dataset, groups in by_dataset.items():
        listing = ", ".join(f"{name}: {count}" for name, count in groups.items())
        yield (
            f"{dataset}: test images share groups ({listing}) but are treated as independent; if images of one group "
            "depend on each other (same well, same patient), the estimate is too optimistic, and training images may "
            f"belong to the same groups; set “split: {{group: {next(iter(groups))}}}”, with “scheme: kfold” if the "
            "dataset's own split divides groups"
        )


def _repeats(effect: DetectableEffect) -> str:
    """Return ``"3 folds × 3 generator seeds × 2 seeds each"``, without what there is one of."""
    counts = ((effect.folds, "fold"), (effect.generator_seeds, "generator seed"))
    several = [_count(count, noun) for count, noun in counts if count > 1]
    return f"{' × '.join([*several, _count(effect.seeds, 'seed')])} each"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
