"""Which trainings on real images alone a result can be paired with: those with the same keys.

The key of a training is the SHA-256 of everything that its result depends on. Leaving out what a synthetic arm adds
gives the key of the training that it has to be paired with, whether or not the result holds that training itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthbench.bundle.contents import Contents
from synthbench.store import key_of

__all__ = ["Baseline", "Place", "baselines_of", "what_differs"]

Place = tuple[str, str, int, int, str, int]
"""Dataset, dataset of the test images, fold, real training images, segmenter and seed."""


@dataclass(frozen=True)
class Baseline:
    """A training on real images alone, and its evaluation.

    Attributes
    ----------
    key : str
        Of the evaluation.
    fit, evaluate : mapping
        What the keys are made of.
    """

    key: str
    fit: Mapping[str, Any]
    evaluate: Mapping[str, Any]


def baselines_of(contents: Contents) -> dict[Place, Baseline]:
    """Return the trainings on real images alone that the trainings of a result are paired with.

    Raises
    ------
    KeyError, TypeError
        If plan and trainings contradict each other.
    """
    found: dict[Place, Baseline] = {}
    for row in contents.trainings:
        if row["generator"] and row["synthetic_ratio"] == 1:
            continue  # without real images; the arms beside it tell
        place = row["dataset"], row["tested_on"], row["fold"], row["fraction"], row["segmenter"], row["seed"]
        if place in found and row["generator"]:
            continue
        fit = dict(contents.plan[row["fit"]]["content"])
        fit |= {"synthetic": None, "synthetic_ratio": 0.0, "joint": None}
        fit.pop("schedule", None)
        evaluate = {**contents.plan[row["evaluate"]]["content"], "segmenter": key_of(fit)}
        found[place] = Baseline(key_of(evaluate), fit, evaluate)
    return found


def what_differs(own: Baseline, expected: Baseline) -> list[str]:
    """Return what tells two trainings of one place apart, a text for each: empty if they have the same key."""
    changes: dict[str, None] = {}
    for part in ("fit", "evaluate"):
        for path, value, other in _compare((), getattr(own, part), getattr(expected, part)):
            if path != ("segmenter",):  # the key of the training, whose own content says more
                changes[_text(part, path, value, other)] = None
    return list(changes)


def _compare(path: tuple[str, ...], own: Any, expected: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(own, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*expected, *own]):
            yield from _compare((*path, str(key)), own.get(key), expected.get(key))
    elif own != expected:
        yield path, own, expected


_SOURCES = {
    ("fit", "core"): "source of training in synthbench",
    ("evaluate", "core"): "source of scoring in synthbench",
    ("fit", "plugin", "source"): "source of the segmenter",
    ("fit", "train"): "training images",
    ("fit", "validation"): "validation images",
    ("evaluate", "test"): "test images",
    ("fit", "init", "segmenter"): "what the segmenter starts from",
    ("fit", "init", "file"): "weights that the segmenter starts from",
}
"""What stands in keys as a hash."""


def _text(part: str, path: tuple[str, ...], own: Any, expected: Any) -> str:
    if (part, *path) in _SOURCES:
        return _SOURCES[part, *path]
    name = ".".join(each for each in path if each not in ("compute", "versions", "plugin"))
    return f"{name} {_value(own)}, expected {_value(expected)}"


def _value(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
