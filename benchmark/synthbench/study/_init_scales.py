"""Other datasets that segmenters are trained on first: scaled to the diameter of the study's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from synthbench.study._condition import Condition
from synthbench.study._scales import Scaler, check_scaled_sizes
from synthbench.study._study_plugins import StudyPlugin

__all__ = ["with_init_scales"]


def with_init_scales(
    conditions: Iterable[Condition], segmenters: Iterable[StudyPlugin], scaler: Scaler
) -> list[Condition]:
    """Return conditions with the scales of the datasets that segmenters are trained on first.

    Raises
    ------
    ConfigError
        If a factor is beyond 0.05 … 5.
    DataError
        If a scaled image is smaller than a patch of that training.
    """
    trained_first = {
        segmenter.title: segmenter.init.pretraining
        for segmenter in segmenters
        if segmenter.init and segmenter.init.pretraining
    }
    found = []
    for condition in conditions:
        scalings = {}
        for title, before in trained_first.items():
            owner = f"init dataset:{before.dataset}"
            scaling = scaler.find_beside(before.train, before.validation, owner, condition.scaling)
            if before.plugin.budget.get("steps"):
                check_scaled_sizes(before.train, before.plugin.budget["patch_size"], scaling)
            scalings[title] = scaling
        found.append(replace(condition, init_scalings=scalings))
    return found
