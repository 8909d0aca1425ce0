"""What entries say can't become an address that acts, a file elsewhere, or an image that may not be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthbench.site._safety import MOST_TEXT, allows_excerpts, link_to, plain, references, slug


@given(st.text())
def test_names_of_files_are_plain_and_never_lead_elsewhere(name: str) -> None:
    made = slug(name)
    assert made.isascii()
    assert made.replace("-", "").isalnum()
    assert made == made.lower()
    assert len(made) <= 60


@given(st.text(max_size=8), st.text(max_size=8))
def test_different_names_have_different_files(first: str, second: str) -> None:
    assert (slug(first) == slug(second)) == (first == second)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " java\tscript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "//example.org/x",
        "https://",
        "https:///x",
        "https://user:secret@example.org/",
        "https://exämple.org/",
        "ftp://example.org/x",
        "see https://example.org/",
        "https://[bad",
        "https://example.org/" + "a" * 600,
        None,
        7,
    ],
)
def test_only_plain_web_addresses_become_links(address: object) -> None:
    assert link_to(address) == ""


def test_an_address_is_linked_without_signs_that_end_an_attribute() -> None:
    assert link_to("https://doi.org/10.1038/s41592-019-0612-7") == "https://doi.org/10.1038/s41592-019-0612-7"
    assert link_to('https://example.org/"onclick="x') == "https://example.org/%22onclick=%22x"


def test_papers_are_found_by_their_numbers() -> None:
    text = "As in arXiv 2512.10334, and Isola (doi 10.1109/CVPR.2017.632). Also arXiv:2512.10334; version 10.2."
    assert list(references(text)) == [
        ("arXiv:2512.10334", "https://arxiv.org/abs/2512.10334"),
        ("doi:10.1109/CVPR.2017.632", "https://doi.org/10.1109/CVPR.2017.632"),
    ]


def test_long_texts_and_other_things_than_texts_are_shortened_or_left_out() -> None:
    assert plain({"a": 1}) == plain(None) == ""
    assert len(plain("a" * 9_999)) == MOST_TEXT + 2
    assert plain("red \x1b[31m") == "red \\x1b[31m"


@pytest.mark.parametrize("licence", ["CC0-1.0", "CC0", "MIT", "MIT License", "CC BY 4.0", "CC-BY-4.0", "public domain"])
def test_excerpts_may_be_shown(licence: str) -> None:
    assert allows_excerpts(licence)


@pytest.mark.parametrize(
    "licence", ["", "CC BY-NC 4.0", "CC BY-SA 4.0", "CC BY-ND 4.0", "not stated", "MIT, but not the images", "see MIT"]
)
def test_other_licences_show_nothing(licence: str) -> None:
    assert not allows_excerpts(licence)
