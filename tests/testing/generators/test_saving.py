"""Configuration and saved folder: each promise that a generator breaks is found by its own check."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field

from helpers.contract_generators import Copies, results_of
from helpers.contracts import assert_failed
from synthbench import Config, Generator, SampleSet


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
        (KeepsAtHome, "saved_is_enough", "raised AssertionError: no light at home"),
        (
            RemembersThePath,
            "saved_is_enough",
            "without the training samples, raised DataError",
        ),
        (SavesNoConfig, "saved_is_enough", "call super().save(folder) in save"),
        (Pickles, "saved_is_enough", "save wrote a pickle, state.bin"),
        (TorchArchive, "saved_is_enough", "save wrote a pickle, weights.pt"),
        (ObjectArray, "saved_is_enough", "save wrote a pickle, state.npz"),
        (AnyKey, "configuration_is_declared", "accepts a key it doesn't declare"),
        (NeedsAKey, "configuration_is_declared", "NeedsAKey.Config: light has no default"),
        (
            WrongDefault,
            "configuration_is_declared",
            "raised ValidationError: light:",
        ),
        (ForeignConfig, "configuration_is_declared", "is no subclass of synthbench.Config"),
    ],
)
def test_a_broken_promise_of_saving_is_found(cls: type[Generator], check: str, words: str) -> None:
    assert_failed(results_of(cls)[check], words)


def test_a_lost_configuration_is_told() -> None:
    result = results_of(ForgetsConfig, config={"light": 0.5})["saved_is_enough"]
    assert (result.status, result.message) == ("failed", "load gave another configuration than was saved")


class Unfinished(Generator):
    def fit(self, train, context):
        pass


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (Unfinished, "methods_are_implemented", "Unfinished doesn't implement sample"),
        (NeedsAKey, "configuration_is_declared", "has no default"),
    ],
)
def test_what_cannot_be_made_is_told_once(cls: type[Generator], check: str, words: str) -> None:
    first, *others = (result for result in results_of(cls).values() if result.status != "passed")
    assert (first.check, first.status) == (check, "failed")
    assert words in first.message
    assert {(f.status, f.message) for f in others} == {("skipped", "depends on the check that failed above")}


def test_a_key_without_default_can_be_given() -> None:
    results = results_of(NeedsAKey, config={"light": 0.5})
    assert [f.check for f in results.values() if f.status == "failed"] == ["configuration_is_declared"]


def test_the_home_of_the_user_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadsAtHome(Copies):
        def fit(self, train, context):
            super().fit(train, context)
            Path(os.environ["SYNTHBENCH_HOME"], "light").read_text()

    monkeypatch.setenv("SYNTHBENCH_HOME", str(tmp_path))
    (tmp_path / "light").write_text("1")
    assert "fit raised FileNotFoundError" in results_of(ReadsAtHome)["fits_and_draws"].message
    assert os.environ["SYNTHBENCH_HOME"] == str(tmp_path)
