"""What a drawn sample says of its mask is held against the training masks."""

from __future__ import annotations

import numpy as np
import pytest

from synthbench.samples import MASK, Sample, SampleSet
from synthbench.testing._mask_origins import wrong_origin
from synthbench.toolkit.training.patches import dihedral


def drawn(labels: np.ndarray, **groups: str) -> Sample:
    labels = np.ascontiguousarray(labels)
    return Sample("000000", np.zeros(labels.shape, np.uint8), labels, groups)


@pytest.mark.parametrize("way", range(8))
@pytest.mark.parametrize("said", ["new", "recombined"])
def test_a_training_mask_is_not_called_anything_else(blob_set: SampleSet, said: str, way: int) -> None:
    own = blob_set[1]
    turned = dihedral(own.labels.astype(np.int32), way)
    assert wrong_origin(drawn(turned, mask=said), blob_set) == (
        f"says mask: '{said}', and its mask is that of '{own.id}': say 'training'"
    )
    renumbered = np.where(turned > 0, turned.max() + 1 - turned, 0)
    assert wrong_origin(drawn(renumbered, mask=said), blob_set)
    assert wrong_origin(drawn(turned, mask="training"), blob_set) == ""
    assert wrong_origin(drawn(turned), blob_set) == ""
    assert wrong_origin(drawn(np.roll(turned, 5, 0), mask=said), blob_set) == ""


def test_other_words_are_refused_and_masks_that_mean_nothing_are_let_pass(blob_set: SampleSet) -> None:
    shape = blob_set[0].labels.shape
    assert wrong_origin(drawn(blob_set[0].labels, **{MASK: "drawn"}), blob_set) == (
        "says mask: 'drawn'; give new, training or recombined, or leave the group out"
    )
    empty = SampleSet.of(
        [drawn(np.zeros(shape, np.uint8)), Sample("1", np.zeros(shape, np.uint8), np.eye(*shape, dtype=np.uint8))]
    )
    for sample in empty:
        assert wrong_origin(drawn(sample.labels, mask="new"), empty) == ""
