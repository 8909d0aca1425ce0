"""What a plugin says of itself: its docstrings, taken apart, and what open keys become."""

from __future__ import annotations

import pytest

from synthbench.errors import PluginError
from synthbench.plugin.docs import documented, plugin_docs
from synthbench.plugin.registry import registry

DOCSTRING = """Of a plugin.

    More of it.

    Attributes
    ----------
    width, depth : int, optional
        How wide,
        and how deep.
    rate : float
    other : float
        Both are rates.
    plain
        No type.

    Raises
    ------
    ValueError
        Never.
    """


def test_what_a_docstring_lists_is_found_by_name() -> None:
    assert documented(DOCSTRING) == {
        "width": ("int, optional", "How wide, and how deep."),
        "depth": ("int, optional", "How wide, and how deep."),
        "rate": ("float", "Both are rates."),
        "other": ("float", "Both are rates."),
        "plain": ("", "No type."),
    }
    assert documented("Nothing is listed.") == {}


@pytest.mark.parametrize(("kind", "name"), sorted(registry().entries))
def test_every_built_in_plugin_says_what_it_does_and_what_each_key_is(kind: str, name: str) -> None:
    if registry().get(kind, name).disabled_reason:
        pytest.skip(registry().get(kind, name).disabled_reason)
    found = plugin_docs(kind, name)
    assert found.words
    assert [option.name for option in found.options if not option.words] == []


def test_open_keys_are_told_by_budget() -> None:
    options = {option.name: option for option in plugin_docs("generator", "pix2pix").options}
    assert options["ngf"].default is None
    assert options["ngf"].resolved == {"smoke": 24, "quick": 24, "standard": 64, "paper": 64}
    assert options["foreground_fraction"].resolved == {}
    assert options["mask_source"].kind == '{"auto", "train", "recombine", "mixed"}'
    assert "colonies" in options["object_layout"].words


def test_an_unknown_plugin_is_named() -> None:
    with pytest.raises(PluginError, match="did you mean 'pix2pix'"):
        plugin_docs("generator", "pix2pixel")
