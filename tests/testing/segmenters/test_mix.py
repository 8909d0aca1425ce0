"""A segmenter that doesn't learn from what it is given, or learns from more, is found."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.contract_segmenters import Learned, Levels, results_of
from helpers.contracts import assert_failed
from synthbench import Instances, SampleSet, Segmenter


class RealOnly(Learned):
    def fit(self, train, validation, context):
        super().fit(replace(train, synthetic_ratio=0.0) if train.synthetic_ratio < 1 else train, validation, context)


class LearnsFromValidation(Learned):
    def fit(self, train, validation, context):
        super().fit(replace(train, real=validation), validation, context)


class Blind(Levels):
    """Learns from real samples alone."""

    def fit(self, train, validation, context):
        super().fit(
            replace(train, synthetic=None, synthetic_ratio=0.0) if len(train.real) else train, validation, context
        )


class SyntheticOnly(Levels):
    def fit(self, train, validation, context):
        super().fit(replace(train, synthetic_ratio=1.0) if train.synthetic else train, validation, context)


class HalfAndHalf(Levels):
    """Learns from both parts alike, whatever their share."""

    def fit(self, train, validation, context):
        super().fit(
            replace(train, synthetic_ratio=0.5) if train.synthetic and len(train.real) else train, validation, context
        )


class NotesTheSet:
    """Mixed into a segmenter, writes down what that was given."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.notes = {
            "set": [str(e.digest) for e in (train.synthetic or train.real).entries],
            "share": train.synthetic_ratio,
        }

    def save(self, folder):
        super().save(folder)
        (folder / "notes.json").write_text(json.dumps(self.notes))


class NamesTheSet(NotesTheSet, Blind):
    """Writes down what it was given, and learns from real samples alone."""


class TrainedNamesTheSet(NotesTheSet, RealOnly):
    """As `NamesTheSet`, and takes its steps on real samples alone."""

    def predict(self, image):
        return Instances(np.zeros(image.shape[:2], np.int32), np.zeros(0))


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (RealOnly, "mix_is_learned_from", "other synthetic samples predicts the same"),
        (LearnsFromValidation, "mix_is_learned_from", "other real samples predicts the same"),
        (Blind, "mix_is_learned_from", "other synthetic samples predicts the same"),
        (SyntheticOnly, "mix_is_learned_from", "other real samples predicts the same"),
        (
            HalfAndHalf,
            "synthetic_ratio_is_kept",
            "three times the share of synthetic samples",
        ),
        (NamesTheSet, "mix_is_learned_from", "other synthetic samples predicts the same"),
        (TrainedNamesTheSet, "mix_is_learned_from", "other synthetic samples saves the same numbers"),
    ],
)
def test_who_does_not_learn_from_the_mix_is_found(cls: type[Segmenter], check: str, words: str) -> None:
    assert_failed(results_of(cls)[check], words)


class TunesOnValidation(Learned):
    """Chooses a threshold on validation samples: what they are for."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.threshold = float(validation[0].image.mean())

    def save(self, folder):
        super().save(folder)
        (folder / "threshold.json").write_text(json.dumps(self.threshold))

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.threshold = json.loads((folder / "threshold.json").read_text())
        return new


class TrainsOnBoth(Learned):
    """Adds the validation samples to the real ones."""

    def level_of(self, samples):
        return 0.5

    def fit(self, train, validation, context):
        both = [replace(s, id=f"{i}") for i, s in enumerate([*validation, *train.real])]
        pooled = SampleSet.of(both, task=train.real.task, classes=train.real.classes)
        super().fit(replace(train, real=pooled), validation, context)


def test_validation_samples_choose_thresholds_and_nothing_else() -> None:
    assert results_of(TunesOnValidation)["validation_is_not_trained_on"].status == "passed"
    result = results_of(TrainsOnBoth)["validation_is_not_trained_on"]
    assert result.status == "failed"
    assert "changes with the validation samples too" in result.message


class CountsObjects(Levels):
    """Learns which share of the pixels is background; says that it leaves out unknown ones, and doesn't."""

    supports_ignore = True

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.share = float(np.mean([self.background(sample) for sample in train.reference]))

    def background(self, sample):
        return (sample.labels == 0).mean()

    def save(self, folder):
        super().save(folder)
        (folder / "share.json").write_text(json.dumps(self.share))


class CountsKnownObjects(CountsObjects):
    def background(self, sample):
        return (sample.marked == 0).mean()


class RefusesUnknown(CountsKnownObjects):
    def fit(self, train, validation, context):
        if train.reference.has_ignored:
            raise ValueError("what is this?")
        super().fit(train, validation, context)


@pytest.mark.parametrize("tasks", [("instances",), ("instances", "semantic")])
def test_who_takes_unknown_pixels_for_background_is_found(tasks: tuple[str, ...]) -> None:
    result = results_of(CountsObjects, tasks)["unknown_is_no_background"]
    assert result.status == "failed"
    assert "leave out Sample.ignore" in result.message
    assert results_of(CountsKnownObjects, tasks)["unknown_is_no_background"].status == "passed"
    assert results_of(RefusesUnknown, tasks)["unknown_is_no_background"].status == "failed"
