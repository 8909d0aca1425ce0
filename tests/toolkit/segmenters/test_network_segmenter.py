"""The base class of segmenters with one network: files, and which thresholds they have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from synthbench import Budget, Config, Context, Instances, SampleSet, TrainingMix
from synthbench.errors import StoreError
from synthbench.toolkit.intensity.images import normalise, to_channels
from synthbench.toolkit.segmenters.network_segmenter import NetworkSegmenter

BUDGET, ZERO = Budget(2, 2, 32), Budget(0, 2, 32)


class Bright(NetworkSegmenter[Config]):
    """Takes what is brighter than a threshold for objects; the network changes nothing."""

    Config = Config
    state_file = "bright.json"
    default_thresholds = {"level": 0.0}  # noqa: RUF012
    threshold_grid = {"level": (0.5, 0.0)}  # noqa: RUF012

    def build_network(self) -> nn.Module:
        return nn.Conv2d(self.channels, 1, 1)

    def fit(
        self, train: TrainingMix, validation: SampleSet, context: Context, stored: Mapping[str, Any] | None = None
    ) -> None:
        self.channels = train.reference.channels
        self.build(context)
        self.prepare_predictions()
        self.choose_thresholds(validation, context, stored)

    def output(self, image: np.ndarray) -> np.ndarray:
        return to_channels(normalise(image), self.channels)[0]

    def decode(self, output: np.ndarray, thresholds: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        labels: np.ndarray = ndimage.label(output > thresholds["level"])[0]
        return labels

    def predict(self, image: np.ndarray) -> Instances:
        return Instances(self.decode(self.output(image), self.thresholds, image.shape[:2]))


@pytest.fixture
def fitted(blob_set: SampleSet) -> Bright:
    segmenter = Bright()
    segmenter.fit(TrainingMix(blob_set), blob_set, Context(seed=3, budget=BUDGET))
    return segmenter


def test_thresholds_are_tuned_on_validation_images(fitted: Bright) -> None:
    assert fitted.thresholds == {"level": 0.5}
    assert not fitted.network.training


@pytest.mark.parametrize(
    ("budget", "stored", "level"), [(ZERO, {"level": 0.2}, 0.2), (BUDGET, {"level": 0.2}, 0.5), (ZERO, {}, 0.5)]
)
def test_stored_thresholds_stay_where_their_weights_do(
    blob_set: SampleSet, budget: Budget, stored: dict[str, float], level: float
) -> None:
    segmenter = Bright()
    segmenter.fit(TrainingMix(blob_set), blob_set, Context(budget=budget), stored)
    assert segmenter.thresholds == {"level": level}


def test_what_is_loaded_is_what_was_saved(fitted: Bright, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = Bright.load(tmp_path, Context(seed=8))
    assert (loaded.channels, loaded.thresholds) == (fitted.channels, fitted.thresholds)
    assert torch.equal(loaded.network.weight, fitted.network.weight)
    assert not loaded.network.training


@pytest.mark.parametrize(
    "damage",
    [{"channels": None}, {"channels": "x"}, {"thresholds": {}}, {"thresholds": {"level": "x"}}, {"thresholds": 3}],
)
def test_a_damaged_state_is_named(fitted: Bright, tmp_path: Path, damage: dict[str, Any]) -> None:
    fitted.save(tmp_path)
    state = json.loads((tmp_path / "bright.json").read_text())
    (tmp_path / "bright.json").write_text(json.dumps({**state, **damage}))
    with pytest.raises(StoreError, match=r"bright\.json"):
        Bright.load(tmp_path, Context())
