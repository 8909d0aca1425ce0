"""Each broken promise of a generator is found by its own check, and told in one sentence."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field

from synthbench import Budget, Config, Context, Generator, Sample, SampleSet, Stopped
from synthbench.testing import CheckResult, check_generator, discs

TASKS = ("instances",)


class Copies(Generator):
    """Training images again, chosen by seed and index: a generator that keeps the contract."""

    def fit(self, train: SampleSet, context: Context) -> None:
        self.train = train

    def sample(self, index: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, index))
        chosen = self.train[int(rng.integers(len(self.train)))]
        image, labels = (np.ascontiguousarray(np.rot90(plane, index % 4)) for plane in (chosen.image, chosen.labels))
        return Sample(f"{index:06d}", image, labels)

    def save(self, folder: Path) -> None:
        super().save(folder)
        self.train.save(folder / "train")

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.train = SampleSet.open(folder / "train")
        return new


class Trained(Copies):
    """Copies whose light a torch optimiser finds: keeps the contract of what trains."""

    budgets: ClassVar = {
        name: Budget(steps=5, batch_size=2, patch_size=32) for name in ("smoke", "quick", "standard", "paper")
    }

    def fit(self, train: SampleSet, context: Context) -> None:
        super().fit(train, context)
        mark = context.folder / "mark.json" if context.folder else None
        first, value = json.loads(mark.read_text()) if mark and mark.exists() else (0, context.seed / 10)
        gain = torch.nn.Parameter(torch.tensor([value]))
        optimiser = torch.optim.SGD([gain], lr=0.1)
        for step in range(first, self.steps(context)):
            if self.asks(context):
                if mark:
                    mark.write_text(json.dumps([step, gain.item()]))
                raise Stopped
            optimiser.zero_grad()
            (gain - 1 - step).square().sum().backward()
            optimiser.step()
            context.progress(step + 1, context.budget.steps, "")
        self.light = gain.item()

    def steps(self, context: Context) -> int:
        return context.budget.steps

    def asks(self, context: Context) -> bool:
        return context.should_stop()

    def sample(self, i: int, seed: int) -> Sample:
        plain = super().sample(i, seed)
        light = np.clip(plain.image * (1 + 0.01 * self.light), 0, np.iinfo(plain.image.dtype).max)
        return replace(plain, image=light.astype(plain.image.dtype))

    def save(self, folder: Path) -> None:
        super().save(folder)
        np.save(folder / "light.npy", self.light)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        new = super().load(folder, context)
        new.light = float(np.load(folder / "light.npy", allow_pickle=False))
        return new


def found(cls: Any, **how: Any) -> dict[str, CheckResult]:
    return {result.check: result for result in check_generator(cls, tasks=TASKS, **how)}


@pytest.mark.parametrize("cls", [Copies, Trained])
def test_what_keeps_the_contract_passes(cls: type[Generator]) -> None:
    results = found(cls)
    assert {f.check: f.message for f in results.values() if f.status == "failed"} == {}
    assert all(f.description for f in results.values())
    skipped = {f.check for f in results.values() if f.status == "skipped"}
    training = {"budgets_are_named", "progress_is_reported", "stops_and_resumes"}
    training.add("another_seed_another_fit")
    never = {"every_claimed_task", "unknown_is_no_background"}
    assert skipped == never | (training if cls is Copies else set())


class CountsOn(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        self.drawn = 0

    def sample(self, i, seed):
        self.drawn += 1
        return super().sample(self.drawn, seed)


class SortsItsBatch(Copies):
    def sample_batch(self, indices, seed):
        return super().sample_batch(sorted(indices), seed)


class OneStreamPerBatch(Copies):
    def sample_batch(self, indices, seed):
        first = indices[0] if indices else 0
        return [replace(self.sample(first, seed), id=f"{i:06d}") for i in indices]


class NoBatches(Copies):
    sample_batch_size = 0


class GlobalRandom(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        self.shift = int(np.random.randint(1, 10**6))  # noqa: NPY002

    def sample(self, i, seed):
        return super().sample(i, seed + self.shift)


class WrongIds(Copies):
    def sample(self, i, seed):
        return replace(super().sample(i, seed), id=f"fake-{i}")


class WritesIntoTraining(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        for sample in train:
            sample.image[:4] = 0


class AlwaysEightBit(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=(plain.image % 256).astype(np.uint8))


class EightBitLight(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=(plain.image % 256).astype(plain.image.dtype))


class GreyOnly(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=plain.image[..., 0] if plain.image.ndim == 3 else plain.image)


class SquareOnly(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        np.stack([sample.image for sample in train])


class NeedsObjects(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        self.smallest = min(int(np.bincount(s.labels.ravel())[1:].min()) for s in train)


class ReturnsTuples(Copies):
    def sample(self, index, seed):
        sample = super().sample(index, seed)
        return sample.image, sample.labels


class DrawsTooMany(Copies):
    def sample_batch(self, indices, seed):
        return super().sample_batch(range(10), seed)


class RemembersThePath(Copies):
    def save(self, folder):
        Generator.save(self, folder)
        self.train.save(folder.parent / "elsewhere")

    @classmethod
    def load(cls, folder, context):
        new = cls()
        new.train = SampleSet.open(folder / ".." / "elsewhere-too")
        return new


class Pickles(Copies):
    def save(self, folder):
        super().save(folder)
        (folder / "state.bin").write_bytes(pickle.dumps({"a": 1}))


class TorchArchive(Copies):
    def save(self, folder):
        super().save(folder)
        torch.save({"a": torch.zeros(1)}, folder / "weights.pt")


class ObjectArray(Copies):
    def save(self, folder):
        super().save(folder)
        np.savez(folder / "state.npz", a=np.array([{}, None], dtype=object))


class SavesNoConfig(Copies):
    def save(self, folder):
        self.train.save(folder / "train")


class ForgetsConfig(Copies):
    class Settings(Config):
        light: float = 1.0

    Config = Settings

    @classmethod
    def load(cls, folder, context):
        new = cls()
        new.train = SampleSet.open(folder / "train")
        return new


class AnyKey(Copies):
    class Settings(Config):
        model_config = ConfigDict(extra="allow")

    Config = Settings


class NeedsAKey(Copies):
    class Settings(Config):
        light: float

    Config = Settings


class ForeignConfig(Copies):
    class Settings(BaseModel):
        light: float = 1.0

    Config = Settings


class Crashes(Copies):
    def fit(self, train, context):
        raise ValueError("no such layer")


class Constant(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=np.full_like(plain.image, 7))


class OneSeed(Copies):
    def sample(self, i, seed):
        return super().sample(i, 0)


class OneSample(Copies):
    def sample(self, i, seed):
        return replace(super().sample(0, seed), id=f"{i:06d}")


class NoMasks(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=np.zeros_like(plain.labels))


class Thumbnails(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, image=plain.image[:8, :40], labels=plain.labels[:8, :40])


class EvenNumbers(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=plain.labels * 2)


class Striped(Copies):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=np.where(np.arange(plain.labels.shape[1]) % 6, plain.labels, 0))


class ForgetsTheForm(Copies):
    """Takes all images for grey and 8-bit after it was loaded."""

    forgot = False

    def sample(self, i, seed):
        plain = super().sample(i, seed)
        if self.forgot and plain.image.dtype == np.uint16:
            return replace(plain, image=np.minimum(plain.image, 255))
        if self.forgot and plain.image.ndim == 3:
            return replace(plain, image=np.repeat(plain.image[..., :1], 3, axis=2))
        return plain

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.forgot = True
        return new


class CountsShares(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        self.counts["lost"] = 0.5


class CountsDown(Copies):
    def sample(self, index, seed):
        self.counts["drawn"] -= 1
        return super().sample(index, seed)


class KeepsAtHome(Copies):
    def save(self, folder):
        super().save(folder)
        Path(os.environ["SYNTHBENCH_HOME"], "light").write_text("1")

    @classmethod
    def load(cls, folder, context):
        assert Path(os.environ["SYNTHBENCH_HOME"], "light").exists(), "no light at home"
        return super().load(folder, context)


class WrongDefault(Copies):
    class Settings(Config):
        light: float = Field("much", validate_default=True)

    Config = Settings


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (OneSeed, "samples_stand_alone", "samples 0 … 5 are the same with another seed"),
        (OneSample, "fits_and_draws", "samples 0 … 5 are all the same"),
        (NoMasks, "fits_and_draws", "samples 0 … 5 have no object"),
        (Thumbnails, "fits_and_draws", "sample 0 is 8×40, and a patch of 64 doesn't fit"),
        (EvenNumbers, "fits_and_draws", "sample 0 holds 6 labels up to 12: number them 1 … n without gaps"),
        (Striped, "fits_and_draws", "sample 0 has 5 objects in several pieces, and no training image more than 0"),
        (ForgetsTheForm, "sixteen_bits", "trained on 16-bit images, what load gives draws other samples"),
        (ForgetsTheForm, "colour_and_odd_sizes", "trained on RGB images, what load gives draws other samples"),
        (CountsShares, "fits_and_draws", "self.counts['lost'] is 0.5; expected an integer ≥ 0"),
        (CountsDown, "fits_and_draws", "self.counts['drawn'] is -6; expected an integer ≥ 0"),
        (KeepsAtHome, "saved_is_enough", "raised AssertionError: no light at home"),
        (CountsOn, "samples_stand_alone", "sample(3, 3) differs when it is called again"),
        (SortsItsBatch, "batches_equal_single_samples", "sample 5 of sample_batch([5, 3, 1], 3) differs from sample(5"),
        (OneStreamPerBatch, "batches_equal_single_samples", "sample 3 of sample_batch([2, 3, 4], 3) differs"),
        (NoBatches, "batches_equal_single_samples", "sample_batch_size is 0"),
        (GlobalRandom, "same_seed_same_draw", "derive every random choice from context.seed"),
        (WrongIds, "ids_name_the_index", "has the id 'fake-0', not '000000'"),
        (WritesIntoTraining, "training_set_is_untouched", "fit changed the pixels of its training samples"),
        (AlwaysEightBit, "sixteen_bits", "trained on 16-bit images, it draws uint8 images"),
        (EightBitLight, "sixteen_bits", "use the range of the 16-bit images"),
        (GreyOnly, "colour_and_odd_sizes", "the training images have"),
        (SquareOnly, "colour_and_odd_sizes", "fit on RGB images of odd sizes raised ValueError"),
        (NeedsObjects, "empty_and_lone_objects", "fit on images with no, one and six objects raised ValueError"),
        (NeedsObjects, "poor_training_sets", "fit and sample on images that are all background raised ValueError"),
        (ReturnsTuples, "fits_and_draws", "sample(0, 3) returned tuple, not synthbench.Sample"),
        (DrawsTooMany, "batches_equal_single_samples", "returned 10 samples, not 1"),
        (
            RemembersThePath,
            "saved_is_enough",
            "load from a moved folder, without the training samples, raised DataError",
        ),
        (SavesNoConfig, "saved_is_enough", "call super().save(folder) in save"),
        (Pickles, "saved_is_enough", "save wrote a pickle, state.bin"),
        (TorchArchive, "saved_is_enough", "save wrote a pickle, weights.pt"),
        (ObjectArray, "saved_is_enough", "save wrote a pickle, state.npz"),
        (AnyKey, "configuration_is_declared", "accepts a key it doesn't declare"),
        (NeedsAKey, "configuration_is_declared", "NeedsAKey.Config: light has no default; give every key one"),
        (
            WrongDefault,
            "configuration_is_declared",
            "raised ValidationError: light: Input should be a valid number, unable",
        ),
        (ForeignConfig, "configuration_is_declared", "is no subclass of synthbench.Config"),
        (Crashes, "fits_and_draws", "fit raised ValueError: no such layer (testing/test_contract_of_generators.py:"),
        (Constant, "fits_and_draws", "sample 0 is a constant image"),
    ],
)
def test_a_broken_promise_is_told_in_a_sentence(cls: type[Generator], check: str, words: str) -> None:
    result = found(cls)[check]
    assert result.status == "failed"
    assert words in result.message
    assert "\n" not in result.message


class ConstantWithoutObjects(Constant):
    def sample(self, index: int, seed: int) -> Sample:
        sample = super().sample(index, seed)
        return Sample(sample.id, sample.image, np.zeros_like(sample.labels))


def test_a_constant_image_of_an_empty_mask_gets_a_hint() -> None:
    message = found(ConstantWithoutObjects)["fits_and_draws"].message
    assert "its mask is empty" in message
    assert "pixel_noise: true" in message


def test_a_lost_configuration_is_told() -> None:
    result = found(ForgetsConfig, config={"light": 0.5})["saved_is_enough"]
    assert (result.status, result.message) == ("failed", "load gave another configuration than was saved")


class Unfinished(Generator):
    def fit(self, train, context):
        pass


@pytest.mark.parametrize(("cls", "words"), [(Unfinished, "Unfinished has no sample"), (NeedsAKey, "has no default")])
def test_what_cannot_be_made_is_told_once(cls: type[Generator], words: str) -> None:
    first, *others = found(cls).values()
    assert (first.check, first.status) == ("configuration_is_declared", "failed")
    assert words in first.message
    assert {(f.status, f.message) for f in others} == {("skipped", "depends on the check that failed above")}


def test_a_key_without_default_can_be_given() -> None:
    results = found(NeedsAKey, config={"light": 0.5})
    assert [f.check for f in results.values() if f.status == "failed"] == ["configuration_is_declared"]


def test_the_home_of_the_user_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadsAtHome(Copies):
        def fit(self, train, context):
            super().fit(train, context)
            Path(os.environ["SYNTHBENCH_HOME"], "light").read_text()

    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path))
    (tmp_path / "light").write_text("1")
    assert "fit raised FileNotFoundError" in found(ReadsAtHome)["fits_and_draws"].message
    assert os.environ["SYNTHBENCH_HOME"] == str(tmp_path)


def test_after_a_failed_fit_the_rest_says_so_once() -> None:
    results = found(Crashes)
    assert results["ids_name_the_index"].status == "skipped"
    assert results["ids_name_the_index"].message == "fit failed above"


class OneStepMore(Trained):
    def steps(self, context):
        return context.budget.steps + 1


class HalfTheSteps(Trained):
    def steps(self, context):
        return context.budget.steps // 2


class NoSmoke(Trained):
    budgets: ClassVar = {"quick": Budget(5)}


class OddBudget(Trained):
    budgets: ClassVar = {**Trained.budgets, "huge": Budget(5)}


class NeverAsks(Trained):
    def asks(self, context):
        return False


class StopsForGood(Trained):
    """Counts the steps before a stop as done, and forgets what they learnt."""

    def steps(self, context):
        mark = context.folder / "begun" if context.folder else None
        begun = mark is not None and mark.exists()
        if mark is not None:
            mark.touch()
        return 1 if begun else context.budget.steps


class LeavesNothing(Trained):
    def fit(self, train, context):
        super().fit(train, replace(context, folder=None))


class StartsOver(LeavesNothing):
    def fit(self, train, context):
        if context.folder:
            (context.folder / "note.txt").touch()
        super().fit(train, context)


class NoMasksYet(Trained):
    def sample(self, i, seed):
        plain = super().sample(i, seed)
        return replace(plain, labels=np.zeros_like(plain.labels))


class SeedlessFit(Trained):
    def fit(self, train, context):
        super().fit(train, context.with_seed(0))


class Silent(Trained):
    def fit(self, train, context):
        super().fit(train, replace(context, progress=lambda *_: None))


class EndsEarly(Trained):
    def fit(self, train, context):
        super().fit(train, replace(context, progress=lambda done, total, note: context.progress(done - 1, total, note)))


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (OneStepMore, "budget_is_kept", "fit took 6 steps with one optimiser, and the budget is 5"),
        (HalfTheSteps, "budget_is_kept", "fit took 2 optimiser steps, and the budget is 5"),
        (NoSmoke, "budgets_are_named", "there is no budget 'smoke'"),
        (OddBudget, "budgets_are_named", "budget 'huge' has no meaning"),
        (NeverAsks, "stops_and_resumes", "fit asked context.should_stop() 0 times and went on to the end"),
        (StopsForGood, "stops_and_resumes", "draws other samples than an uninterrupted one"),
        (LeavesNothing, "stops_and_resumes", "fit was stopped and left nothing in context.folder"),
        (
            StartsOver,
            "stops_and_resumes",
            "fit took 1 optimiser steps before it was stopped and 5 when it was resumed, and an uninterrupted",
        ),
        (SeedlessFit, "another_seed_another_fit", "a fit with another seed saves the same numbers"),
        (Silent, "progress_is_reported", "fit never called context.progress"),
        (EndsEarly, "progress_is_reported", "the last report was progress(4, 5)"),
    ],
)
def test_a_broken_promise_of_training_is_told_in_a_sentence(cls: type[Generator], check: str, words: str) -> None:
    result = found(cls)[check]
    assert result.status == "failed"
    assert words in result.message


def test_what_is_trained_a_little_need_not_draw_objects_yet() -> None:
    """A run counts empty masks, and shows how many there are."""
    assert found(NoMasksYet)["fits_and_draws"].status == "passed"


class NeverLooks(Copies):
    """Draws what it always draws."""

    def fit(self, train, context):
        first = train[0]
        top, channels = int(max(s.image.max() for s in train)), 3 if first.image.ndim == 3 else 1
        kind = {"channels": channels, "dtype": first.image.dtype.name, "task": train.task}
        drawn = discs(6, size=64, seed=99, **kind)
        scaled = [replace(s, image=np.minimum(s.image, top).astype(s.image.dtype)) for s in drawn]
        super().fit(SampleSet.of(scaled, task=train.task, classes=drawn.classes), context)


def hidden_steps(count: int) -> None:
    gain = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([gain], lr=0.1)
    for _ in range(count):
        gain.square().sum().backward()
        optimiser.step()


class HiddenSteps(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        hidden_steps(50)


class TrainsWhenDrawing(Trained):
    def sample(self, i, seed):
        hidden_steps(3)
        return super().sample(i, seed)


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (NeverLooks, "training_set_is_learnt_from", "fitted on other samples it draws the same ones"),
        (HiddenSteps, "budget_is_kept", "fit took 50 optimiser steps, and HiddenSteps.budgets is empty"),
        (TrainsWhenDrawing, "budget_is_kept", "sample took 3 optimiser steps: all training belongs in fit"),
    ],
)
def test_who_does_nothing_or_too_much_is_found(cls: type[Generator], check: str, words: str) -> None:
    result = found(cls)[check]
    assert result.status == "failed"
    assert words in result.message


class CopiesOfUnknown(Copies):
    supports_ignore = True


class CopiesWithRegion(CopiesOfUnknown):
    def sample(self, i: int, seed: int) -> Sample:
        rng = np.random.default_rng((seed, i))
        chosen = self.train[int(rng.integers(len(self.train)))]
        kept = None if chosen.ignore is None else np.rot90(chosen.ignore, i % 4)
        return replace(super().sample(i, seed), ignore=kept)


def test_who_takes_unknown_pixels_for_background_is_found() -> None:
    result = found(CopiesOfUnknown)["unknown_is_no_background"]
    assert result.status == "failed"
    assert "it draws what it draws where these pixels are background" in result.message
    result = found(CopiesWithRegion)["unknown_is_no_background"]
    assert result.status == "passed", result.message
