"""Every built-in generator and segmenter learns from images of two and four channels, and answers with all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from helpers.stains import stains
from synthbench import Context, TrainingMix
from synthbench.plugin.registry import registry
from synthbench.samples import SampleSet

BUILT_IN = [
    (kind, name)
    for (kind, name), entry in registry().entries.items()
    if entry.distribution == "synthbench" and kind in ("generator", "segmenter")
]
NEED_FILES = {"cellpose-sam", "ready-made"}
"""They take weights, or images, and have tests of their own."""

UNTRAINED = {"classic", "copy-paste", "duplicate", "phantom", "shuffled"}

CASES = [
    pytest.param(*key, channels, marks=[pytest.mark.slow] * (key[1] not in UNTRAINED), id=f"{key[1]}-{channels}")
    for key in BUILT_IN
    for channels in ((2, 4) if key[1] in UNTRAINED else (4,))
    if key[1] not in NEED_FILES
]


def fitted(kind: str, name: str, train: SampleSet) -> Any:
    """Fit a plugin for two steps."""
    if registry().get(kind, name).missing:
        pytest.skip(registry().get(kind, name).disabled_reason)
    plugin = registry().load(kind, name)()
    budget = replace(plugin.budgets["smoke"], steps=2) if plugin.budgets else Context().budget
    context = Context(seed=0, budget=budget)
    if kind == "generator":
        plugin.fit(train, context)
    else:
        plugin.fit(TrainingMix(train), train[:1], context)
    return plugin


@pytest.mark.parametrize(("kind", "name", "channels"), CASES)
def test_all_channels_are_learned_from_and_drawn(kind: str, name: str, channels: int) -> None:
    train = stains(2, channels)
    plugin = fitted(kind, name, train)
    if kind == "segmenter":
        assert plugin.predict(train[0].image).labels.shape == train[0].labels.shape
        return
    drawn = plugin.sample(0, 0).image
    assert drawn.shape[2] == channels
    assert drawn.dtype == np.uint16
    planes = drawn.reshape(-1, channels).astype(float)
    assert (planes.std(axis=0) > 0).all()
    assert len({plane.tobytes() for plane in planes.T}) == channels
