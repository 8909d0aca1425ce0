"""Documentation of plugins: descriptions of the plugin and its keys, and values that depend on the budget."""

from __future__ import annotations

import pytest

from synthbench.errors import PluginError
from synthbench.plugin.docs import plugin_docs
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


def test_a_key_that_is_declared_again_without_a_description_inherits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Redeclared(Pix2PixConfig):
        pixel_noise: bool | None = True

    monkeypatch.setattr(registry().load("generator", "pix2pix"), "Config", Redeclared)
    options = {option.name: option for option in plugin_docs("generator", "pix2pix").options}
    assert options["pixel_noise"].default is True
    assert "noise of a training image" in options["pixel_noise"].description


def test_an_unknown_plugin_is_named() -> None:
    with pytest.raises(PluginError, match="did you mean 'pix2pix'"):
        plugin_docs("generator", "pix2pixel")
