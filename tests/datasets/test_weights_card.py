"""What weights were trained on: the declaration beside the file, and well-known names."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthbench.datasets.weights_card import WeightsCard, card_file, read_card
from synthbench.errors import ConfigError


def declared(path: Path, text: str) -> WeightsCard:
    card_file(path).write_text(text, encoding="utf-8")
    return read_card(path)


def test_the_declaration_beside_a_file_is_read(tmp_path: Path) -> None:
    text = "trained_on: [LIVECell, tissuenet, livecell]\nlicence: CC0\nsource: here\ncitation: us\n"
    card = declared(tmp_path / "net.pt", text)
    assert card == WeightsCard(("livecell", "tissuenet"), "CC0", "here", "us", "file")
    assert card_file(tmp_path / "net.pt").name == "net.pt.yaml"


def test_nothing_is_known_of_an_unknown_file(tmp_path: Path) -> None:
    assert read_card(tmp_path / "mine.pt") == WeightsCard(None)


def test_weights_that_saw_no_data_are_not_undeclared(tmp_path: Path) -> None:
    assert declared(tmp_path / "net.pt", "trained_on: []").trained_on == ()


@pytest.mark.parametrize("name", ["cyto3", "cyto3.safetensors"])
def test_a_published_model_is_recognised_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    card = read_card(tmp_path / name)
    assert card.declared_by == "name"
    assert card.trained_on is not None
    assert {"livecell", "tissuenet", "dsb2018", "cellpose"} <= set(card.trained_on)


def test_a_name_is_no_proof_for_the_weights_of_another_method(tmp_path: Path) -> None:
    (tmp_path / "cyto3").touch()
    assert read_card(tmp_path / "cyto3", "cellpose").trained_on == read_card(tmp_path / "cyto3").trained_on
    assert read_card(tmp_path / "cyto3", "unet") == WeightsCard(None)


@pytest.mark.parametrize("name", ["2D_versatile_fluo", "python_2D_versatile_fluo"])
def test_a_published_folder_is_recognised_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert read_card(tmp_path / name).trained_on == ("dsb2018",)


def test_a_declaration_takes_precedence_over_a_name_and_leaves_the_rest(tmp_path: Path) -> None:
    known = read_card(tmp_path / "nuclei")
    card = declared(tmp_path / "nuclei", "trained_on: [mine]")
    assert (card.trained_on, card.declared_by) == (("mine",), "file")
    assert card.licence == known.licence != ""
    card = declared(tmp_path / "nuclei", "licence: ours")
    assert (card.trained_on, card.declared_by, card.licence) == (known.trained_on, "name", "ours")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("trained: [a]", "trained"),
        ("trained_on: livecell", "livecell"),
        ("trained_on: [1]", "1"),
        ("licence: 3", "3"),
        ("- a", "trained_on"),
        ("a: [", "line"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        declared(tmp_path / "net.pt", text)
    assert "net.pt.yaml" in str(caught.value)
    assert named in str(caught.value)


def test_an_empty_declaration_declares_nothing(tmp_path: Path) -> None:
    assert declared(tmp_path / "net.pt", "") == WeightsCard(None)
