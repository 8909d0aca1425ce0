"""Open hyper-parameters: the budget fills them in, what was given stays; masks by one rule for all generators."""

from __future__ import annotations

import re

import pytest
from pydantic import Field, ValidationError

from synthbench import Budget, Config
from synthbench.plugin.registry import registry
from synthbench.samples import SampleSet
from synthbench.toolkit.training.budget_defaults import LONG, MaskConfig, resolve_defaults

TRAINED = ("pix2pix", "cgan-seg", "diffusion", "stylegan2-mask", "vqvae-pixelcnn")


class Widths(Config):
    width: int | None = Field(None, ge=2)
    depth: int | None = None
    rate: float | None = None


def test_what_is_open_follows_from_the_budget_and_what_is_given_stays() -> None:
    usual = {"short": {"width": 4, "depth": 2}, "long": {"width": 64, "depth": 5}}
    given = Widths(depth=3)
    assert resolve_defaults(given, Budget(LONG - 1), **usual) == Widths(width=4, depth=3)
    assert resolve_defaults(given, Budget(LONG), **usual) == Widths(width=64, depth=3)
    assert given == Widths(depth=3)
    with pytest.raises(ValidationError, match="width"):
        resolve_defaults(given, Budget(1), short={"width": 1}, long={})


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("budget", ["smoke", "quick", "standard", "paper"])
def test_no_size_is_open_once_the_budget_is_known(name: str, budget: str) -> None:
    cls = registry().load("generator", name)
    found, short = (cls.Config().resolve(cls.budgets[b]).model_dump() for b in (budget, "smoke"))
    opened = {k for k, v in cls.Config().model_dump().items() if v is None and short[k] is not None}
    assert opened
    assert all(found[k] is not None for k in opened)
    sizes = opened - {"norm"}  # follows from the patches of a step
    assert all((found[k] == short[k]) == (budget in ("smoke", "quick")) for k in sizes)


def test_masks_of_objects_are_recombined_and_masks_of_classes_are_not(
    blob_set: SampleSet, semantic_set: SampleSet
) -> None:
    config = MaskConfig(layout="discs", density=0.25)
    assert (config.sampler(blob_set).mode, config.sampler(semantic_set).mode) == ("mixed", "train")
    assert (config.sampler(blob_set).layout, config.sampler(blob_set).density) == ("discs", 0.25)
    assert MaskConfig(masks="train").sampler(blob_set).mode == "train"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"masks": "recombine"}, "masks: recombine takes objects apart, .*give masks: train"),
        ({"masks": "mixed", "density": 0.2}, "masks: mixed takes objects apart, .*give masks: train"),
        ({"density": 0.2}, "density: 0.2 is of recombined masks, .*leave it out"),
        ({}, "$"),
        ({"masks": "train"}, "$"),
    ],
)
def test_objects_of_masks_of_classes_are_not_asked_for(config: dict, reason: str) -> None:
    assert re.match(reason, MaskConfig(**config).unfit("semantic"))
    assert MaskConfig(**config).unfit("instances") == ""


@pytest.mark.parametrize(("option", "value"), [("layout", "discs"), ("density", 0.0), ("touching", 0.5)])
def test_options_of_recombined_masks_are_refused_where_there_are_none(option: str, value: str | float) -> None:
    with pytest.raises(ValidationError, match=f"{option}: {value} is of recombined masks.*give masks: mixed"):
        MaskConfig(masks="train", **{option: value})
