"""Text of unknown origin acts on no terminal, page or spreadsheet, and comes back from CSV as it was."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthbench.io.escaping import csv_escaped, csv_unescaped, printable, printable_cells


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Zellkörper, 细胞, \U0001f52c", "plain, Zellkörper, 细胞, \U0001f52c"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x07\r", "\\x1b[31mred\\x07\\x0d"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202etxt\u2066\u200f", "abc\\u202etxt\\u2066\\u200f"),
        ("line\u2028separator", "line\\u2028separator"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_acts_rather_than_shows_is_named(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


@given(st.text())
def test_printable_text_can_be_written_and_moves_no_cursor(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert all(char in "\n\t" or (ord(char) >= 0x20 and not 0x7F <= ord(char) < 0xA0) for char in shown)


def test_cells_of_a_table_are_printable_and_its_numbers_stay() -> None:
    table = pd.DataFrame({"arm": ["a\x1b", "b"], "f1": [0.5, -1.0], "mixed": [1.5, "\u202ex"]})
    shown = printable_cells(table)
    assert shown["arm"].tolist() == ["a\\x1b", "b"]
    assert shown["mixed"].tolist() == [1.5, "\\u202ex"]
    pd.testing.assert_series_equal(shown["f1"], table["f1"])
    assert table["arm"][0] == "a\x1b"


@pytest.mark.parametrize("formula", ["=HYPERLINK(1)", "+1+cmd", "-2", "@SUM(A1)", "\t=1", "'=1", "''@x"])
def test_no_text_of_a_csv_begins_like_a_formula(formula: str) -> None:
    cell = csv_escaped(pd.DataFrame({"text": [formula]}))["text"][0]
    assert cell == f"'{formula}"


def test_numbers_keep_their_sign_in_a_csv() -> None:
    table = pd.DataFrame({"delta": [-0.5, 0.5], "mixed": [-0.25, "n/a"]})
    assert csv_escaped(table).to_csv(index=False) == table.to_csv(index=False)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])) | st.sampled_from(["'='", "-1", "'-"])
    )
)
def test_escaped_texts_come_back(texts: list[str]) -> None:
    table = pd.DataFrame({"number": range(len(texts)), "text": pd.Series(texts, dtype=object)})
    written = csv_escaped(table).to_csv(index=False)
    read = pd.read_csv(io.StringIO(written), dtype={"text": object}, keep_default_na=False)
    assert csv_unescaped(read)["text"].tolist() == texts
