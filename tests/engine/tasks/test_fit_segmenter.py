"""What a segmenter may be trained on."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.engine.tasks.fit_segmenter import check_ignored
from synthbench.errors import DataError
from synthbench.plugin.api import Segmenter, TrainingMix
from synthbench.samples import Sample, SampleSet

IMAGE = np.zeros((4, 5), np.uint8)
REGION = np.eye(4, 5, dtype=bool)


class Supports(Segmenter):
    supports_ignore = True


@pytest.mark.parametrize(("real", "drawn"), [(REGION, None), (None, REGION), (None, None)])
def test_unknown_pixels_real_or_drawn_go_to_who_supports_them_alone(real, drawn) -> None:
    sets = [SampleSet.of([Sample("a", IMAGE, IMAGE, ignore=region)]) for region in (real, drawn)]
    mix = TrainingMix(*sets, synthetic_ratio=0.5)
    check_ignored(Supports, mix, "any")
    if real is None and drawn is None:
        check_ignored(Segmenter, mix, "any")
        return
    with pytest.raises(DataError, match="segmenter 'any' would take ignored pixels for background"):
        check_ignored(Segmenter, mix, "any")
