"""Which masks images are generated for: one set of keys for all mask-to-image generators."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from synthbench.samples import SampleSet
from synthbench.toolkit.masks.config import MaskConfig


def test_instance_masks_are_recombined_and_class_masks_are_not(blob_set: SampleSet, semantic_set: SampleSet) -> None:
    config = MaskConfig(object_layout="discs", foreground_fraction=0.25)
    sampler = config.sampler(blob_set)
    assert (sampler.mode, config.sampler(semantic_set).mode) == ("mixed", "train")
    assert (sampler.object_layout, sampler.foreground_fraction) == ("discs", 0.25)
    assert MaskConfig(mask_source="train").sampler(blob_set).mode == "train"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"mask_source": "recombine"}, ["mask_source: recombine", "mask_source: train"]),
        ({"mask_source": "mixed", "foreground_fraction": 0.2}, ["mask_source: mixed", "mask_source: train"]),
        ({"foreground_fraction": 0.2}, ["foreground_fraction: 0.2"]),
        ({}, []),
        ({"mask_source": "train"}, []),
    ],
)
def test_recombined_masks_require_instances(config: dict[str, Any], named: list[str]) -> None:
    reason = MaskConfig(**config).unsupported_reason("semantic")
    assert bool(reason) == bool(named)
    assert all(words in reason for words in named)
    assert MaskConfig(**config).unsupported_reason("instances") == ""


@pytest.mark.parametrize(
    ("key", "value"), [("object_layout", "discs"), ("foreground_fraction", 0.0), ("touching_fraction", 0.5)]
)
def test_keys_of_recombined_masks_are_refused_without_recombination(key: str, value: str | float) -> None:
    with pytest.raises(ValidationError, match=f"{key}: {value} .*mask_source: mixed"):
        MaskConfig(mask_source="train", **{key: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("masks", "mask_source"),
        ("layout", "object_layout"),
        ("density", "foreground_fraction"),
        ("touching", "touching_fraction"),
    ],
)
def test_a_former_key_is_refused_and_the_present_one_named(former: str, present: str) -> None:
    with pytest.raises(ValidationError, match=f"{former}: .*{present}"):
        MaskConfig.model_validate({former: "train"})
