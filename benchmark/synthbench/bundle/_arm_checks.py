"""Does a bundle have the arms that its study asks for, with every amount of images, and were they trained alike?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from synthbench.bundle import layout
from synthbench.bundle.contents import Contents
from synthbench.bundle.findings import Findings
from synthbench.errors import DataError
from synthbench.study.model import GeneratorConfig, PluginConfig, Study
from synthbench.study.plan import REAL, synthetic_arms
from synthbench.study.resolve import AS_PUBLISHED, amount_of

__all__ = ["check_alike", "check_arms", "segmenter_of"]

Arm = tuple[str, str, int, float, str]
"""Name, generator, synthetic images, ratio and schedule."""

_ALONE: Arm = (REAL, "", 0, 0.0, "")
_OF_ARMS = ("seed", "train", "validation", "synthetic", "synthetic_ratio", "schedule", "init", "joint", "scale")
"""What a training of a segmenter may have of its own."""
_OF_DRAWINGS = ("seed", "train", "unlabelled", "scale")


def segmenter_of(study: Study, title: str) -> PluginConfig:
    """Return what the study says of a segmenter, whose title may tell what it starts from too."""
    named = [each for each in study.segmenters if title == each.title or title.startswith(f"{each.title} from ")]
    if not named:
        raise DataError(f"{layout.SOURCES}: segmenter {title!r} of a training, expected one of {layout.STUDY}")
    return max(named, key=lambda each: len(each.title))


def check_arms(contents: Contents, findings: Findings) -> None:
    """Compare the arms of each dataset, fold, amount, segmenter and test set with those that follow from the study.

    Trainings on real images alone may be missing, as in an entry of a board that has them; that is reported.
    """
    found: dict[tuple[Any, ...], set[Arm]] = {}
    for row in contents.trainings:
        place = (row["dataset"], row["fold"], row["fraction"], row["segmenter"], row["tested_on"])
        arm = (row["arm"], row["generator"], row["synthetic"], float(row["synthetic_ratio"]), row["schedule"])
        found.setdefault(place, set()).add(arm)
    left_out = set()
    expected = dict(_expected(contents, findings))
    for place in sorted(found.keys() | expected.keys()):
        needed, optional = expected.get(place, (set(), set()))
        there = found.get(place, set())
        for arm in sorted(there - needed - optional):
            findings.add(layout.SOURCES, f"{_shown(place)}: has {_described(arm)}, which the study doesn't ask for")
        for arm in sorted(needed - there):
            if arm == _ALONE:
                left_out.add(f"{place[2]} of {place[0]}")
            else:
                findings.add(layout.SOURCES, f"{_shown(place)}: lacks {_described(arm)}, which the study asks for")
    if left_out:
        findings.not_verified.append(
            f"what real images alone reach, with {', '.join(sorted(left_out))}: the bundle lacks these trainings, as "
            "an entry of a board that has them may"
        )


def _expected(contents: Contents, findings: Findings) -> Iterator[tuple[tuple[Any, ...], tuple[set[Arm], set[Arm]]]]:
    """Yield places, with the arms that must and may be there."""
    study = contents.study
    titles = {str(row["segmenter"]) for row in contents.trainings}
    chosen = {title: segmenter_of(study, title) for title in titles}
    for segmenter in study.segmenters:
        starts = len(segmenter.init or study.init)
        count = sum(each is segmenter for each in chosen.values())
        if count != starts:
            findings.add(layout.SOURCES, f"segmenter {segmenter.title!r} has {count} starts (init), expected {starts}")
    tested = [Path(each.name).name for each in study.test_on]
    for choice in study.datasets:
        dataset = Path(choice.name).name
        for fold in range(len(contents.splits[dataset])):
            counts = {amount: len(ids) for amount, ids in contents.real_images(dataset, fold).items()}
            with_arms = {counts[amount] for amount in study.fractions}
            for count, title in product(sorted(set(counts.values())), sorted(titles)):
                needed, optional = {_ALONE}, set()
                if count in with_arms and not title.endswith(AS_PUBLISHED):
                    needed |= {arm for each in study.generators if not each.joint for arm in _arms(study, each, count)}
                    optional = {(f"{REAL} + {g.title}", g.title, 0, 0.0, "") for g in study.generators if g.joint}
                for test in dict.fromkeys((dataset, *tested)):
                    yield (dataset, fold, count, title, test), (needed, optional)


def _arms(study: Study, generator: GeneratorConfig, real: int) -> Iterator[Arm]:
    amounts = {amount_of(each, real) for each in study.synthetic}
    for arm in synthetic_arms(study, generator.title, amounts):
        schedule = arm.schedule if arm.synthetic_ratio < 1 else ""
        yield arm.name, arm.generator, arm.synthetic, float(arm.synthetic_ratio), schedule


def _shown(place: tuple[Any, ...]) -> str:
    dataset, fold, count, segmenter, tested = place
    elsewhere = "" if tested == dataset else f", tested on {tested}"
    return f"{segmenter} on {dataset}, fold {fold}, {count} images{elsewhere}"


def _described(arm: Arm) -> str:
    name, generator, synthetic, ratio, schedule = arm
    if not generator:
        return f"the arm {name!r}"
    return f"the arm {name!r} (generator {generator!r}, {synthetic} images, ratio {ratio:g}, schedule {schedule!r})"


def check_alike(contents: Contents, findings: Findings) -> None:
    """All trainings of a segmenter have one configuration, budget, code and versions; those of a generator too."""
    first: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
    for row in contents.trainings:
        label = f"{row['segmenter']} on {row['arm']}, seed {row['seed']}"
        for kind, title, key, own in (
            ("segmenter", row["segmenter"], row["fit"], _OF_ARMS),
            ("generator", row["generator"], row["fit_generator"], _OF_DRAWINGS),
        ):
            if not key:
                continue
            common = {name: value for name, value in contents.plan[key]["content"].items() if name not in own}
            known, expected = first.setdefault((kind, title), (label, common))
            for name in _differing(common, expected):
                findings.add(layout.PLAN, f"{label}: {name} of the {kind} differs from that of {known}")


def _differing(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for name in sorted(found.keys() | expected.keys()):
            yield from _differing(found.get(name), expected.get(name), f"{where}.{name}" if where else str(name))
    elif found != expected:
        yield where
