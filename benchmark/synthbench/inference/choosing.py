"""The trained segmenter that a command means: named, or the best on validation images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synthbench.errors import ConfigError, SynthbenchError
from synthbench.inference.picking import ASK, LEAST, MOST, pick
from synthbench.inference.targets import Trainings, find_key, find_trainings, is_key
from synthbench.inference.trained import Trained, open_trained
from synthbench.inference.validation import validation_scores
from synthbench.plugin.api import Progress, silent
from synthbench.store import Store

__all__ = ["ChosenSegmenter", "choose_segmenter"]

_SHARED = {"dataset": ASK, "fold": LEAST, "fraction": MOST}
_UNSCORED = {"segmenter": ASK, "arm": ASK, "generator_seed": LEAST, "seed": LEAST}


@dataclass(frozen=True)
class ChosenSegmenter:
    """A trained segmenter, and how it was found.

    Attributes
    ----------
    trained : Trained
    notes : tuple of str
        What was taken without being named, and why.
    validation : mapping
        Label of each training that was compared → its score on validation images; empty where none was.
    """

    trained: Trained
    notes: tuple[str, ...] = ()
    validation: Mapping[str, float] = field(default_factory=dict)


def choose_segmenter(
    target: str,
    store: Store,
    *,
    chosen: Mapping[str, Any] | None = None,
    device: str = "auto",
    kind: str = "cpu",
    progress: Progress = silent,
) -> ChosenSegmenter:
    """Find a trained segmenter.

    Parameters
    ----------
    target
        A key of the store, a run folder or a study file.
    store
    chosen
        What the user named: ``dataset``, ``fold``, ``fraction``, ``segmenter``, ``arm``, ``generator_seed``, ``seed``.
        Of folds the first is taken where none is named, of amounts of real images the largest; of the trainings that
        are left, the best on validation images.
    device
        Where validation images are segmented.
    kind
        The kind of device that a study file is planned for.
    progress

    Raises
    ------
    SynthbenchError
        If there is none, or the user must say which.
    """
    named = {name: value for name, value in (chosen or {}).items() if value is not None}
    if is_key(target):
        if named:
            raise ConfigError(f"--{next(iter(named)).replace('_', '-')}: a key is that of one segmenter; leave it out")
        return ChosenSegmenter(open_trained(store, "segmenter", find_key(store, target, "fit-segmenter")))
    trainings = find_trainings(target, store, kind)
    rows, notes = pick(trainings.rows, named, _SHARED, target)
    by_key = {str(row["fit"]): row for row in rows}
    scores: dict[str, float] = {}
    if len(by_key) > 1:
        key, why, scores = _best(trainings, by_key, store, device, progress)
        notes.append(why)
    else:
        (key,) = by_key
    trained = open_trained(store, "segmenter", key, _label(by_key[key]))
    return ChosenSegmenter(trained, tuple(notes), {_label(by_key[fit]): scores[fit] for fit in scores})


def _best(
    trainings: Trainings, rows: Mapping[str, Any], store: Store, device: str, progress: Progress
) -> tuple[str, str, dict[str, float]]:
    """Return the key of the training to take, why, and the scores on validation images by key."""
    try:
        scores = validation_scores(trainings.study, list(rows), store, device, progress)
        problem = "" if scores else "the store has none of these trainings"
    except SynthbenchError as error:
        scores, problem = {}, str(error)
    if not scores:
        try:
            left, _ = pick(list(rows.values()), {}, _UNSCORED, trainings.name)
        except ConfigError as error:
            raise ConfigError(f"{error} (validation images can't choose: {problem})") from None
        return str(left[0]["fit"]), f"took {_label(left[0])}, without comparing: {problem}", {}
    best = max(scores, key=lambda key: scores[key])
    missing = f"; {len(rows) - len(scores)} could not be scored" if len(scores) < len(rows) else ""
    return (
        best,
        f"took {_label(rows[best])}: with {scores[best]:.3f} the best of {len(scores)} trainings on their validation "
        f"images (mean F-score over IoU 0.5 to 0.95, or mIoU*); test images weren't looked at{missing}",
        scores,
    )


def _label(row: Mapping[str, Any]) -> str:
    drawn = "" if row["generator_seed"] is None else f" of seed {row['generator_seed']}"
    return f"{row['segmenter']} on {row['arm']}{drawn}, seed {row['seed']}"
