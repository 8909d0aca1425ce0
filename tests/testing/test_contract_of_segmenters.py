"""Each broken promise of a segmenter is found by its own check, and told in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import ndimage

from synthbench import Budget, Config, Instances, SampleSet, Segmenter, Stopped
from synthbench.testing import Finding, check_segmenter


class Levels(Segmenter):
    """A level between the darkest and the brightest pixel: a segmenter that keeps the contract."""

    class Settings(Config):
        share: float = 0.5

    Config = Settings

    def fit(self, train, validation, context):
        self.semantic = train.task == "semantic"

    def predict(self, image):
        grey = image.mean(axis=2) if image.ndim == 3 else image.astype(float)
        mask = grey > grey.min() + self.config.share * max(np.ptp(grey), 1)
        if self.semantic:
            return Instances(mask.astype(np.uint8))
        labels, count = ndimage.label(mask)
        return Instances(labels, np.linspace(0.1, 0.9, count))

    def save(self, folder):
        super().save(folder)
        (folder / "task.json").write_text(json.dumps(self.semantic))

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.semantic = json.loads((folder / "task.json").read_text())
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
        optimiser = torch.optim.SGD([light], lr=0.1)
        for step in range(first, context.budget.steps):
            if context.should_stop():
                if mark:
                    mark.write_text(json.dumps([step, light.item()]))
                raise Stopped
            samples = train.synthetic if train.share * (step + 1) % 1 < train.share else train.real
            optimiser.zero_grad()
            (light - float(samples[step % len(samples)].image.mean())).square().sum().backward()
            optimiser.step()
            context.progress(step + 1, context.budget.steps, "")
        self.light = light.item()

    def save(self, folder):
        super().save(folder)
        (folder / "light.json").write_text(json.dumps(self.light))


def found(cls: Any, tasks: tuple[str, ...] = ("instances",), **how: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_segmenter(cls, tasks=tasks, **how)}


@pytest.mark.parametrize("tasks", [("instances",), ("semantic",), ("instances", "semantic")])
def test_what_keeps_the_contract_passes(tasks: tuple[str, ...]) -> None:
    findings = found(Levels, tasks)
    assert {f.check: f.sentence for f in findings.values() if f.status == "violated"} == {}
    assert (findings["every_claimed_task"].status == "kept") == (len(tasks) == 2)


def test_what_keeps_the_contract_of_training_passes() -> None:
    findings = found(Learned)
    assert {f.check: f.sentence for f in findings.values() if f.status == "violated"} == {}
    assert [f.check for f in findings.values() if f.status == "skipped"] == ["every_claimed_task"]


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
    finding = found(cls)[check]
    assert finding.status == "violated"
    assert words in finding.sentence
    assert "\n" not in finding.sentence


def test_a_class_that_does_not_exist_is_told() -> None:
    finding = found(OneClassTooMany, ("semantic",))["fits_and_predicts"]
    assert finding.status == "violated"
    assert "there are 3 classes from 0" in finding.sentence


class RealOnly(Learned):
    def fit(self, train, validation, context):
        super().fit(replace(train, share=0.0) if train.share < 1 else train, validation, context)


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
        (RealOnly, "mix_is_learnt_from", "a fit on other synthetic samples saves the same files"),
        (LearnsFromValidation, "mix_is_learnt_from", "a fit on other real samples saves the same files"),
        (SeedlessFit, "another_seed_another_fit", "a fit with another seed saves the same files"),
        (LeavesNothing, "stops_and_resumes", "fit was stopped and left nothing in context.folder"),
        (StartsOver, "stops_and_resumes", "and 5 when it was taken up again, and an uninterrupted one takes 5"),
    ],
)
def test_a_broken_promise_of_training_is_told_in_a_sentence(cls: type[Segmenter], check: str, words: str) -> None:
    finding = found(cls)[check]
    assert finding.status == "violated"
    assert words in finding.sentence
