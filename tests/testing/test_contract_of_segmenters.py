"""Each broken promise of a segmenter is found by its own check, and told in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import ndimage

from synthbench import Budget, Config, Instances, SampleSet, Segmenter, Stopped
from synthbench.testing import CheckResult, check_segmenter


class Levels(Segmenter):
    """A level between the light of objects and of the ground: a segmenter that keeps the contract."""

    class Settings(Config):
        offset: float = 0.0

    Config = Settings

    def fit(self, train, validation, context):
        self.semantic = train.task == "semantic"
        real, synthetic = (self._level(part) for part in (train.real, train.synthetic))
        share = train.synthetic_ratio if len(train.real) else 1.0
        self.level = ((1 - share) * real + share * synthetic) if share else real

    def _level(self, samples):
        found = []
        for sample in samples or ():
            grey = sample.image.mean(axis=2) if sample.image.ndim == 3 else sample.image.astype(float)
            inside = grey[sample.labels > 0] if sample.labels.any() else grey.max()
            found.append(0.85 * np.mean(inside) / max(grey.max(), 1))
        return float(np.mean(found)) if found else 0.5

    def predict(self, image):
        grey = image.mean(axis=2) if image.ndim == 3 else image.astype(float)
        mask = grey > grey.min() + (self.level + self.config.offset) * max(np.ptp(grey), 1)
        if self.semantic:
            return Instances(mask.astype(np.uint8))
        labels, count = ndimage.label(mask)
        return Instances(labels, np.linspace(0.1, 0.9, count) * self.level)

    def save(self, folder):
        super().save(folder)
        (folder / "task.json").write_text(json.dumps([self.semantic, self.level]))

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.semantic, new.level = json.loads((folder / "task.json").read_text())
        return new


class Learned(Levels):
    """Levels that also learn how bright the images are: keeps the contract of what trains."""

    budgets: ClassVar = {
        name: Budget(steps=5, batch_size=2, patch_size=32) for name in ("smoke", "quick", "standard", "paper")
    }

    def fit(self, train, validation, context):
        import torch

        super().fit(train, validation, context)
        mark = context.folder / "mark.json" if context.folder else None
        first, value = json.loads(mark.read_text()) if mark and mark.exists() else (0, context.seed / 10)
        light = torch.nn.Parameter(torch.tensor([value]))
        optimiser = self.optimiser([light])
        for step in range(first, context.budget.steps):
            if context.should_stop():
                if mark:
                    mark.write_text(json.dumps([step, light.item()]))
                raise Stopped
            samples = train.synthetic if train.synthetic_ratio * (step + 1) % 1 < train.synthetic_ratio else train.real
            optimiser.zero_grad()
            (light - float(samples[step % len(samples)].image.mean())).square().sum().backward()
            optimiser.step()
            context.progress(step + 1, context.budget.steps, "")
        self.light = light.item()

    def optimiser(self, parameters):
        import torch

        return torch.optim.SGD(parameters, lr=0.1)

    def predict(self, image):
        found = super().predict(image)
        return Instances(found.labels, None if found.scores is None else found.scores / (1 + abs(self.light)))

    def save(self, folder):
        super().save(folder)
        (folder / "light.json").write_text(json.dumps(self.light))

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.light = json.loads((folder / "light.json").read_text())
        return new


def found(cls: Any, tasks: tuple[str, ...] = ("instances",), **how: Any) -> dict[str, CheckResult]:
    return {result.check: result for result in check_segmenter(cls, tasks=tasks, **how)}


@pytest.mark.parametrize("tasks", [("instances",), ("semantic",), ("instances", "semantic")])
def test_what_keeps_the_contract_passes(tasks: tuple[str, ...]) -> None:
    results = found(Levels, tasks)
    assert {f.check: f.message for f in results.values() if f.status == "failed"} == {}
    assert (results["every_claimed_task"].status == "passed") == (len(tasks) == 2)


def test_what_keeps_the_contract_of_training_passes() -> None:
    results = found(Learned)
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


class OneClassTooMany(Levels):
    def predict(self, image):
        return Instances(super().predict(image).labels * 3)


class UsesTheFilesAgain(Levels):
    def save(self, folder):
        super().save(folder)
        (folder / "task.json").write_text(json.dumps(str(folder)))

    @classmethod
    def load(cls, folder, context):
        new = Segmenter.load.__func__(cls, folder, context)
        SampleSet.open(json.loads((folder / "task.json").read_text()))
        return new


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (Gaps, "fits_and_predicts", "number them 1 … n without gaps"),
        (OneScoreShort, "fits_and_predicts", "one each, in the order of the labels"),
        (NotFinite, "fits_and_predicts", "scores that are not finite floats"),
        (FloatLabels, "fits_and_predicts", "labels that are no array of whole numbers"),
        (CutsTheEdge, "any_size", "predict on an image of 77×94 gave labels of shape (76, 94)"),
        (PlainArray, "fits_and_predicts", "gave ndarray, not synthbench.Instances"),
        (NormalisesInPlace, "samples_are_untouched", "predict changed the image it was given"),
        (Remembers, "predictions_stand_alone", "after it has seen another one"),
        (GreyAndEightBit, "colour_all_synthetic", "AssertionError: grey only"),
        (GreyAndEightBit, "sixteen_bits_half_synthetic", "AssertionError: 8-bit only"),
        (DividesByTheRange, "any_size", "predict on a black image raised ZeroDivisionError"),
        (NeedsRealSamples, "colour_all_synthetic", "fit on RGB images, all of them synthetic raised IndexError"),
        (UsesTheFilesAgain, "saved_is_enough", "load from a moved folder"),
    ],
)
def test_a_broken_promise_is_told_in_a_sentence(cls: type[Segmenter], check: str, words: str) -> None:
    result = found(cls)[check]
    assert result.status == "failed"
    assert words in result.message
    assert "\n" not in result.message


def test_a_class_that_does_not_exist_is_told() -> None:
    result = found(OneClassTooMany, ("semantic",))["fits_and_predicts"]
    assert result.status == "failed"
    assert "there are 3 classes from 0" in result.message


class RealOnly(Learned):
    def fit(self, train, validation, context):
        super().fit(replace(train, synthetic_ratio=0.0) if train.synthetic_ratio < 1 else train, validation, context)


class LearnsFromValidation(Learned):
    def fit(self, train, validation, context):
        super().fit(replace(train, real=validation), validation, context)


class SeedlessFit(Learned):
    def fit(self, train, validation, context):
        super().fit(train, validation, context.with_seed(0))


class LeavesNothing(Learned):
    def fit(self, train, validation, context):
        super().fit(train, validation, replace(context, folder=None))


class StartsOver(LeavesNothing):
    def fit(self, train, validation, context):
        if context.folder:
            (context.folder / "note.txt").touch()
        super().fit(train, validation, context)


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (RealOnly, "mix_is_learnt_from", "a fit on other synthetic samples predicts the same"),
        (LearnsFromValidation, "mix_is_learnt_from", "a fit on other real samples predicts the same"),
        (SeedlessFit, "another_seed_another_fit", "a fit with another seed saves the same numbers"),
        (LeavesNothing, "stops_and_resumes", "fit was stopped and left nothing in context.folder"),
        (StartsOver, "stops_and_resumes", "and 5 when it was resumed, and an uninterrupted one takes 5"),
    ],
)
def test_a_broken_promise_of_training_is_told_in_a_sentence(cls: type[Segmenter], check: str, words: str) -> None:
    result = found(cls)[check]
    assert result.status == "failed"
    assert words in result.message


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


class NamesTheSet(Blind):
    """Writes down what it was given, and learns nothing from it."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.told = {
            "set": [str(e.digest) for e in (train.synthetic or train.real).entries],
            "share": train.synthetic_ratio,
        }

    def save(self, folder):
        super().save(folder)
        (folder / "told.json").write_text(json.dumps(self.told))


class TrainedNamesTheSet(Learned):
    """As `NamesTheSet`, and takes its steps on real samples alone."""

    def fit(self, train, validation, context):
        super().fit(replace(train, synthetic_ratio=0.0) if train.synthetic_ratio < 1 else train, validation, context)
        self.told = {
            "set": [str(e.digest) for e in (train.synthetic or train.real).entries],
            "share": train.synthetic_ratio,
        }

    def save(self, folder):
        super().save(folder)
        (folder / "told.json").write_text(json.dumps(self.told))

    def predict(self, image):
        return Instances(np.zeros(image.shape[:2], np.int32), np.zeros(0))


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
        (Blind, "mix_is_learnt_from", "a fit on other synthetic samples predicts the same"),
        (SyntheticOnly, "mix_is_learnt_from", "a fit on other real samples predicts the same"),
        (
            HalfAndHalf,
            "synthetic_ratio_is_kept",
            "a fit with three times the share of synthetic samples predicts the same",
        ),
        (NamesTheSet, "mix_is_learnt_from", "a fit on other synthetic samples predicts the same"),
        (TrainedNamesTheSet, "mix_is_learnt_from", "a fit on other synthetic samples saves the same numbers"),
        (Empty, "something_is_found", "it finds nothing on any of its training images"),
        (OneBox, "something_is_found", "it finds the same on every image"),
    ],
)
def test_who_does_nothing_is_found(cls: type[Segmenter], check: str, words: str) -> None:
    result = found(cls)[check]
    assert result.status == "failed"
    assert words in result.message


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
    results = found(EmptyAfterTraining)
    assert {f.check: f.message for f in results.values() if f.status == "failed"} == {}
    assert "finds nothing yet" in results["something_is_found"].message
    assert results["something_is_found"].status == "skipped"


def test_where_nothing_is_found_the_weights_speak() -> None:
    results = found(RestlessAndEmpty)
    assert "a second fit with the same seed predicts otherwise" in results["same_seed_same_prediction"].message
    assert "what load gives predicts otherwise" in results["saved_is_enough"].message


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

    def _level(self, samples):
        return 0.5

    def fit(self, train, validation, context):
        both = [replace(s, id=f"{i}") for i, s in enumerate([*validation, *train.real])]
        pooled = SampleSet.of(both, task=train.real.task, classes=train.real.classes)
        super().fit(replace(train, real=pooled), validation, context)


def test_validation_samples_choose_thresholds_and_nothing_else() -> None:
    assert found(TunesOnValidation)["validation_is_not_trained_on"].status == "passed"
    result = found(TrainsOnBoth)["validation_is_not_trained_on"]
    assert result.status == "failed"
    assert "every number that it learns from the mix changes with the validation samples too" in result.message


def steps(count: int) -> None:
    """Take optimiser steps on a parameter of one's own."""
    import torch

    light = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([light], lr=0.1)
    for _ in range(count):
        light.square().sum().backward()
        optimiser.step()


def steps_by_hand(count: int) -> None:
    import torch

    light = torch.nn.Parameter(torch.zeros(1))
    for _ in range(count):
        light.grad = None
        light.square().sum().backward()
        light.data -= 0.1 * light.grad


class HiddenSteps(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        steps(50)


class ByHand(Levels):
    """Follows the gradient without an optimiser."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        steps_by_hand(90)


class ByFunctions(Levels):
    def fit(self, train, validation, context):
        import torch

        super().fit(train, validation, context)
        light, gradient = torch.zeros(1), torch.func.grad(lambda x: x.square().sum())
        for _ in range(90):
            light = light - 0.1 * gradient(light)


class Forked(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        if (child := os.fork()) == 0:
            steps(70)
            os._exit(0)
        os.waitpid(child, 0)


class ElsewhereUnseen(Levels):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        subprocess.run([sys.executable, "-c", "pass"], check=True)


class OneOptimiserAfterTheOther(Learned):
    """Gets a hundred times the budget, from a hundred optimisers of one parameter."""

    def fit(self, train, validation, context):
        import torch

        super().fit(train, validation, context)
        light = torch.nn.Parameter(torch.zeros(1))
        for _ in range(100):
            optimiser = torch.optim.SGD([light], lr=0.1)
            for _ in range(context.budget.steps):
                light.square().sum().backward()
                optimiser.step()


class MoreByHand(Learned):
    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        steps_by_hand(90)


class TrainsWhenAsked(Learned):
    def predict(self, image):
        steps(3)
        return super().predict(image)


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (HiddenSteps, "fit took 50 optimiser steps, and HiddenSteps.budgets is empty: name its budgets"),
        (ByHand, "fit computed gradients 90 times, and ByHand.budgets is empty"),
        (ByFunctions, "fit computed gradients 90 times, and ByFunctions.budgets is empty"),
        (Forked, "fit took 70 optimiser steps, and Forked.budgets is empty"),
        (OneOptimiserAfterTheOther, "fit took 500 steps with one parameter, and the budget is 5"),
        (MoreByHand, "fit computed gradients 95 times for 5 optimiser steps"),
        (TrainsWhenAsked, "predict took 3 optimiser steps: all training belongs in fit"),
    ],
)
def test_hidden_training_is_found(cls: type[Segmenter], words: str) -> None:
    result = found(cls)["budget_is_kept"]
    assert result.status == "failed"
    assert words in result.message


def test_steps_in_other_processes_are_not_vouched_for() -> None:
    result = found(ElsewhereUnseen)["budget_is_kept"]
    assert result.status == "skipped"
    assert "starts processes of its own, so optimiser steps can't be counted" in result.message


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
    result = found(CountsObjects, tasks)["unknown_is_no_background"]
    assert result.status == "failed"
    assert "learns what it learns where these pixels are background: leave out Sample.ignore" in result.message
    assert found(CountsKnownObjects, tasks)["unknown_is_no_background"].status == "passed"
    assert found(RefusesUnknown, tasks)["unknown_is_no_background"].status == "failed"
