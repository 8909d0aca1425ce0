"""What is wrong with samples that exist already is found by a check of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthbench import Config, ExistingSamples, Generator, Sample, SampleSet
from synthbench.errors import DataError
from synthbench.testing import CheckResult, check_generator

SIDE = 24


class Folder(Generator):
    """A sample set, as it is."""

    class Config(Config):
        """Where it is."""

        path: str = ""

    @classmethod
    def existing(cls, config, task, classes, context):
        return ExistingSamples((Path(config.path),))

    def fit(self, train, context):
        if context.seed:
            raise DataError("there is one set")
        self.samples = SampleSet.open(self.config.path)

    def sample(self, index, seed):
        if index >= len(self.samples):
            raise DataError("there are no more")
        found = self.samples[index]
        return Sample(f"{index:06d}", found.image, found.labels, ignore=found.ignore)

    def save(self, folder):
        super().save(folder)
        self.samples.save(folder / "samples")

    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.samples = SampleSet.open(folder / "samples")
        return new


def sample(number: int, **more: object) -> Sample:
    image = np.random.default_rng(number).integers(0, 200, (SIDE, SIDE), dtype=np.uint8)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[4:12, 4 + number : 12 + number] = 1
    return Sample(f"i{number}", image, labels, **more)


def good() -> list[Sample]:
    return [sample(number) for number in range(5)]


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., dict[str, CheckResult]]:
    """Check samples with a class, perhaps beside a dataset; return the results by check."""

    def run(
        samples: list[Sample], cls: type[Generator] = Folder, dataset: list[Sample] | None = None
    ) -> dict[str, CheckResult]:
        SampleSet.of(samples).save(tmp_path / "set")
        if dataset is not None:
            SampleSet.of(dataset).save(tmp_path / "cells")
        beside = None if dataset is None else tmp_path / "cells"
        found = check_generator(cls, config={"path": str(tmp_path / "set")}, dataset=beside)
        return {result.check: result for result in found}

    return run


def failed(results: dict[str, CheckResult]) -> dict[str, str]:
    return {name: result.message for name, result in results.items() if result.status == "failed"}


def test_good_samples_pass_and_are_described(check) -> None:
    results = check(good(), dataset=[sample(20, groups={"split": "test"})])
    assert failed(results) == {}
    assert {result.status for result in results.values()} == {"passed"}
    assert "5 samples" in results["samples_can_be_read"].message
    assert "24×24" in results["images_are_of_one_type"].message
    assert "11 % of the pixels" in results["masks_have_objects"].message


def test_without_a_dataset_what_compares_is_skipped(check) -> None:
    skipped = {name for name, result in check(good()).items() if result.status == "skipped"}
    assert skipped == {"samples_suit_the_dataset", "no_image_is_the_dataset_s"}


def _deep(samples: list[Sample]) -> None:
    samples[2] = Sample("i2", samples[2].image.astype(np.uint16), samples[2].labels)


def _twice(samples: list[Sample]) -> None:
    samples[3] = Sample("i3", samples[1].image, samples[3].labels)


def _empty(samples: list[Sample]) -> None:
    samples[:] = [Sample(s.id, s.image, np.zeros_like(s.labels)) for s in samples]


def _flat(samples: list[Sample]) -> None:
    samples[4] = Sample("i4", np.full((SIDE, SIDE), 7, np.uint8), samples[4].labels)


@pytest.mark.parametrize(
    ("harm", "found_by", "named"),
    [
        (_deep, "images_are_of_one_type", "uint16"),
        (_twice, "images_differ", "i1 = i3"),
        (_empty, "masks_have_objects", "no mask"),
        (_flat, "images_are_not_flat", "i4"),
    ],
)
def test_a_fault_of_the_samples_is_named(check, harm, found_by: str, named: str) -> None:
    samples = good()
    harm(samples)
    faults = failed(check(samples))
    assert faults.keys() == {found_by}
    assert named in faults[found_by]


def test_a_damaged_file_ends_the_checks(check, tmp_path: Path) -> None:
    class Broken(Folder):
        @classmethod
        def existing(cls, config, task, classes, context):
            raise DataError("a.png: can't be read")

    results = check(good(), Broken)
    assert failed(results) == {"samples_can_be_read": "a.png: can't be read"}
    assert results["images_differ"].status == "skipped"


class Endless(Folder):
    def sample(self, index, seed):
        return super().sample(index % len(self.samples), seed)


class Repeats(Folder):
    def sample(self, index, seed):
        found = super().sample(index, seed)
        first = self.samples[0]
        return Sample(found.id, first.image, first.labels)


@pytest.mark.parametrize("cls", [Endless, Repeats])
def test_a_class_that_returns_other_samples_than_there_are_fails(check, cls) -> None:
    assert "every_sample_is_returned_once" in failed(check(good(), cls))


class Remembers(Folder):
    @classmethod
    def load(cls, folder, context):
        new = super().load(folder, context)
        new.samples = new.samples[::-1]
        return new


def test_a_class_that_loads_other_samples_fails(check) -> None:
    assert failed(check(good(), Remembers)).keys() == {"saved_is_enough"}


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_test_image_of_the_dataset_is_named(check, part: str) -> None:
    faults = failed(check(good(), dataset=[Sample("t", sample(3).image, sample(3).labels, {"split": part})]))
    assert faults.keys() == {"no_image_is_the_dataset_s"}
    assert "i3 = t" in faults["no_image_is_the_dataset_s"]


def test_a_training_image_of_the_dataset_is_told(check) -> None:
    results = check(good(), dataset=[Sample("t", sample(3).image, sample(3).labels, {"split": "train"})])
    assert failed(results) == {}
    assert "1 of training images (i3 = t)" in results["no_image_is_the_dataset_s"].message


def test_images_of_another_type_than_the_dataset_s_are_named(check) -> None:
    deep = [Sample("t", sample(9).image.astype(np.uint16), sample(9).labels)]
    assert failed(check(good(), dataset=deep)).keys() >= {"samples_suit_the_dataset"}


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_near_copy_of_a_test_image_fails_too(check, part: str) -> None:
    near = sample(3)
    faults = failed(check(good(), dataset=[Sample("t", near.image + np.uint8(1), near.labels, {"split": part})]))
    assert faults.keys() == {"no_image_is_the_dataset_s"}
    assert "i3 ≈ t" in faults["no_image_is_the_dataset_s"]


def test_a_copy_is_warned_of_where_the_dataset_has_no_parts(check) -> None:
    with pytest.warns(UserWarning, match="may test"):
        results = check(good(), dataset=[Sample("t", sample(3).image, sample(3).labels)])
    assert failed(results) == {}
    assert "i3 = t" in results["no_image_is_the_dataset_s"].message
