"""Documentation of plugins: descriptions of the plugin and its keys, and values that depend on the budget."""

from __future__ import annotations

from typing import Literal

import pytest

from synthbench.errors import ConfigError, PluginError
from synthbench.plugin.docs import kind_of, plugin_docs
from synthbench.plugin.registry import registry
from synthbench_pix2pix.config import Pix2PixConfig


@pytest.mark.parametrize(("kind", "name"), sorted(registry().entries))
def test_every_built_in_plugin_says_what_it_does_and_what_each_key_is(kind: str, name: str) -> None:
    if registry().get(kind, name).disabled_reason:
        pytest.skip(registry().get(kind, name).disabled_reason)
    found = plugin_docs(kind, name)
    assert found.description
    assert [option.name for option in found.options if not option.description] == []


def test_open_keys_are_told_by_budget() -> None:
    options = {option.name: option for option in plugin_docs("generator", "pix2pix").options}
    assert options["ngf"].default is None
    assert options["ngf"].resolved == {"smoke": 24, "quick": 24, "standard": 64, "paper": 64}
    assert options["foreground_fraction"].resolved == {}
    assert options["mask_source"].kind == '{"auto", "train", "recombine", "mixed"}'
    assert "colonies" in options["object_layout"].description


def test_keys_of_a_nested_configuration_are_told_one_by_one() -> None:
    options = {
        option.name: option for option in plugin_docs("segmenter", "unet", {"finetune": {"warmup": 0.5}}).options
    }
    assert options["finetune"].kind == "mapping of keys to values"
    assert options["finetune.warmup"].default == 0.5
    assert options["finetune.warmup"].kind == "float"
    assert "fraction" in options["finetune.warmup"].description


def test_a_key_that_is_declared_again_without_a_description_inherits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Redeclared(Pix2PixConfig):
        pixel_noise: bool | None = True

    monkeypatch.setattr(registry().load("generator", "pix2pix"), "Config", Redeclared)
    options = {option.name: option for option in plugin_docs("generator", "pix2pix").options}
    assert options["pixel_noise"].default is True
    assert "noise of a training image" in options["pixel_noise"].description


def test_kinds_are_those_that_a_study_file_takes() -> None:
    assert kind_of(tuple[int, ...] | None) == "list of int, optional"
    assert kind_of(Literal["a", "b"] | Literal["auto"] | None) == '{"a", "b", "auto"}, optional'
    assert kind_of(Literal["auto"] | float) == '{"auto"} or float'


def test_a_value_that_stays_open_with_some_budgets_is_told_for_all() -> None:
    options = {option.name: option for option in plugin_docs("generator", "diffusion").options}
    assert options["attention_resolution"].resolved == {"smoke": None, "quick": None, "standard": 16, "paper": 16}


def test_a_configuration_changes_the_other_keys() -> None:
    options = {option.name: option for option in plugin_docs("generator", "pix2pix", {"preset": "paper"}).options}
    assert options["preset"].default == "paper"
    assert set(options["upsampling"].resolved.values()) == {"transposed"}
    with pytest.raises(ConfigError, match=r"generator 'pix2pix': config: preset: .*'papr'"):
        plugin_docs("generator", "pix2pix", {"preset": "papr"})


def test_a_budget_that_does_not_fit_a_configuration_is_told_with_the_reason() -> None:
    documented = plugin_docs("generator", "diffusion", {"channel_mult": [1] * 7, "pixel_unshuffle_factor": 8})
    assert "patch size" in documented.refused["smoke"]
    assert {option.name for option in documented.options} >= {"channel_mult"}


def test_without_a_docstring_the_summary_describes_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry().load("generator", "pix2pix"), "__doc__", None)
    assert plugin_docs("generator", "pix2pix").description == registry().get("generator", "pix2pix").spec.summary != ""


def test_an_unknown_plugin_is_named() -> None:
    with pytest.raises(PluginError, match="did you mean 'pix2pix'"):
        plugin_docs("generator", "pix2pixel")
