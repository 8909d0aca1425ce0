"""Each promise of predictions that a segmenter breaks is found by its own check."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers.contract_segmenters import Learned, Levels, results_of
from helpers.contracts import assert_failed
from synthbench import Instances, SampleSet, Segmenter


@pytest.mark.parametrize("tasks", [("instances",), ("semantic",), ("instances", "semantic")])
def test_what_keeps_the_contract_passes(tasks: tuple[str, ...]) -> None:
    results = results_of(Levels, tasks)
    assert {f.check: f.message for f in results.values() if f.status == "failed"} == {}
    assert (results["every_claimed_task"].status == "passed") == (len(tasks) == 2)


def test_what_keeps_the_contract_of_training_passes() -> None:
    results = results_of(Learned)
    assert {f.check: f.message for f in results.values() if f.status == "failed"} == {}
    skipped = [f.check for f in results.values() if f.status == "skipped"]
    assert skipped == ["unknown_is_no_background", "every_claimed_task"]


class Gaps(Levels):
    def predict(self, image):
        plain = super().predict(image)
        return Instances(plain.labels * 2, plain.scores)


class OneScoreShort(Levels):
    def predict(self, image):
        plain = super().predict(image)
        return Instances(plain.labels, plain.scores[1:])


class NotFinite(Levels):
    def predict(self, image):
        plain = super().predict(image)
        return Instances(plain.labels, plain.scores * np.nan)


class FloatLabels(Levels):
    def predict(self, image):
        return Instances(super().predict(image).labels.astype(float))


class CutsTheEdge(Levels):
    def predict(self, image):
        even = tuple(slice(0, n // 2 * 2) for n in image.shape[:2])
        return super().predict(image[even])


class PlainArray(Levels):
    def predict(self, image):
        return super().predict(image).labels


class NormalisesInPlace(Levels):
    def predict(self, image):
        image -= image.min()
        return super().predict(image)


class Remembers(Levels):
    """Scales every image by the brightest it has seen."""

    def predict(self, image):
        self.top = max(getattr(self, "top", 0), int(image.sum()))
        plain = super().predict(image)
        return Instances(plain.labels, plain.scores * image.sum() / self.top)


class GreyAndEightBit(Levels):
    def predict(self, image):
        assert image.dtype == np.uint8, "8-bit only"
        assert image.ndim == 2, "grey only"
        return super().predict(image)


class DividesByTheRange(Levels):
    def predict(self, image):
        if np.ptp(image) == 0:
            raise ZeroDivisionError
        return super().predict(image)


class NeedsRealSamples(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.first = train.real[0]


class UsesTheFilesAgain(Levels):
    def save(self, folder):
        super().save(folder)
        (folder / "task.json").write_text(json.dumps(str(folder)))

    @classmethod
    def load(cls, folder, context):
        new = Segmenter.load.__func__(cls, folder, context)
        SampleSet.open(json.loads((folder / "task.json").read_text()))
        return new


class Empty(Levels):
    def predict(self, image):
        return Instances(np.zeros(image.shape[:2], np.int32), np.zeros(0))


class OneBox(Levels):
    def predict(self, image):
        labels = np.zeros(image.shape[:2], np.int32)
        labels[3:9, 3:9] = 1
        return Instances(labels, np.array([self.level]))


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (Gaps, "fits_and_predicts", "number them 1 … n without gaps"),
        (OneScoreShort, "fits_and_predicts", "one each, in the order of the labels"),
        (NotFinite, "fits_and_predicts", "scores that are not finite floats"),
        (FloatLabels, "fits_and_predicts", "labels that are no array of whole numbers"),
        (CutsTheEdge, "any_size", "77×94 gave labels of shape (76, 94)"),
        (PlainArray, "fits_and_predicts", "gave ndarray, not synthbench.Instances"),
        (NormalisesInPlace, "samples_are_untouched", "predict changed the image it was given"),
        (Remembers, "predictions_stand_alone", "after it has seen another one"),
        (GreyAndEightBit, "colour_all_synthetic", "AssertionError: grey only"),
        (GreyAndEightBit, "sixteen_bits_half_synthetic", "AssertionError: 8-bit only"),
        (DividesByTheRange, "any_size", "predict on a black image raised ZeroDivisionError"),
        (NeedsRealSamples, "colour_all_synthetic", "all of them synthetic raised IndexError"),
        (UsesTheFilesAgain, "saved_is_enough", "load from a moved folder"),
        (Empty, "something_is_found", "it finds nothing"),
        (OneBox, "something_is_found", "it finds the same on every image"),
    ],
)
def test_a_broken_promise_of_predictions_is_found(cls: type[Segmenter], check: str, words: str) -> None:
    assert_failed(results_of(cls)[check], words)


class OneClassTooMany(Levels):
    def predict(self, image):
        return Instances(super().predict(image).labels * 3)


def test_a_class_that_does_not_exist_is_told() -> None:
    result = results_of(OneClassTooMany, ("semantic",))["fits_and_predicts"]
    assert result.status == "failed"
    assert "there are 3 classes from 0" in result.message


class EmptyAfterTraining(Learned):
    def predict(self, image):
        return Instances(np.zeros(image.shape[:2], np.int32), np.zeros(0))


class RestlessAndEmpty(EmptyAfterTraining):
    """Draws its weights from the global state: no prediction shows it."""

    def save(self, folder):
        super().save(folder)
        np.save(folder / "weights.npy", self.weights)

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.weights = np.random.random(3)  # noqa: NPY002

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.weights = np.zeros(3)
        return new


def test_a_short_training_that_finds_nothing_yet_is_no_violation_and_is_said() -> None:
    results = results_of(EmptyAfterTraining)
    assert {f.check: f.message for f in results.values() if f.status == "failed"} == {}
    assert "finds nothing yet" in results["something_is_found"].message
    assert results["something_is_found"].status == "skipped"


def test_where_nothing_is_found_the_weights_speak() -> None:
    results = results_of(RestlessAndEmpty)
    assert "a second fit with the same seed predicts otherwise" in results["same_seed_same_prediction"].message
    assert "what load gives predicts otherwise" in results["saved_is_enough"].message
