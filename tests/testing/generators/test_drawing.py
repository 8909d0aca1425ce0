"""Each promise of drawing that a generator breaks is found by its own check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.contract_generators import Copies, Trained, results_of
from helpers.contracts import assert_failed
from synthbench import Generator


@pytest.mark.parametrize("cls", [Copies, Trained])
def test_what_keeps_the_contract_passes(cls: type[Generator]) -> None:
    results = results_of(cls)
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


class ReturnsTuples(Copies):
    def sample(self, index, seed):
        sample = super().sample(index, seed)
        return sample.image, sample.labels


class DrawsTooMany(Copies):
    def sample_batch(self, indices, seed):
        return super().sample_batch(range(10), seed)


class Crashes(Copies):
    def fit(self, train, context):
        raise ValueError("no such layer")


class OneSeed(Copies):
    def sample(self, i, seed):
        return super().sample(i, 0)


class OneSample(Copies):
    def sample(self, i, seed):
        return replace(super().sample(0, seed), id=f"{i:06d}")


class CountsShares(Copies):
    def fit(self, train, context):
        super().fit(train, context)
        self.counts["lost"] = 0.5


class CountsDown(Copies):
    def sample(self, index, seed):
        self.counts["drawn"] -= 1
        return super().sample(index, seed)


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (OneSeed, "samples_stand_alone", "samples 0 … 5 are the same with another seed"),
        (OneSample, "fits_and_draws", "samples 0 … 5 are all the same"),
        (CountsShares, "fits_and_draws", "self.counts['lost'] is 0.5; expected an integer ≥ 0"),
        (CountsDown, "fits_and_draws", "self.counts['drawn'] is -6; expected an integer ≥ 0"),
        (CountsOn, "samples_stand_alone", "sample(3, 3) differs when it is called again"),
        (SortsItsBatch, "batches_equal_single_samples", "sample 5 of sample_batch([5, 3, 1], 3) differs"),
        (OneStreamPerBatch, "batches_equal_single_samples", "sample 3 of sample_batch([2, 3, 4], 3) differs"),
        (NoBatches, "batches_equal_single_samples", "sample_batch_size is 0"),
        (GlobalRandom, "same_seed_same_draw", "derive every random choice from context.seed"),
        (WrongIds, "ids_name_the_index", "has the id 'fake-0', not '000000'"),
        (WritesIntoTraining, "training_set_is_untouched", "fit changed the pixels of its training samples"),
        (ReturnsTuples, "fits_and_draws", "sample(0, 3) returned tuple, not synthbench.Sample"),
        (DrawsTooMany, "batches_equal_single_samples", "returned 10 samples, not 1"),
        (Crashes, "fits_and_draws", "fit raised ValueError: no such layer (generators/test_drawing.py:"),
    ],
)
def test_a_broken_promise_of_drawing_is_found(cls: type[Generator], check: str, words: str) -> None:
    assert_failed(results_of(cls)[check], words)


def test_after_a_failed_fit_the_rest_says_so_once() -> None:
    results = results_of(Crashes)
    assert results["ids_name_the_index"].status == "skipped"
    assert results["ids_name_the_index"].message == "fit failed above"
