"""Words that the field has other terms for are no part of names, nor of what users read."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from helpers.repository import CORE, ROOT

RETIRED_NAMES = {
    "agreement": "label_consistency",
    "appearance": "intensity_conditioning",
    "arena": "condition",
    "bench": "harness",
    "bury": "reap",
    "crispness": "edge_sharpness",
    "dissimilar": "ssim_loss",
    "doubled": "upsample2x",
    "drawer": "generator",
    "evening": "cycle_spinning",
    "hire": "spawn",
    "journal": "training_log",
    "judge": "discriminator, evaluate",
    "judges": "opt_d, discriminators",
    "leaked": "test_duplicates",
    "likeness": "similarity",
    "lit": "conditioning",
    "mending": "residual_refinement",
    "nearness": "nearest-neighbour distance",
    "optimise": "schedules, ema",
    "outlook": "detectable_effects",
    "portion": "subsample",
    "presets": "budget_defaults",
    "promise": "check",
    "resident": "device_cache",
    "settled": "resolved",
    "sized": "resolve",
    "speck": "small_object",
    "specks": "small objects",
    "tally": "image_counts",
    "tidy": "relabel",
    "told": "notes, listing, conditioning",
    "topped": "match_noise, match_texture",
    "unfit": "unsupported_reason",
    "worn": "mask_origins",
    "worth": "equivalent_real_images",
    "yardstick": "duplicate_threshold",
}
"""Words that were part of names in this code, and the field's term for each, which replaced it."""

RETIRED_PHRASES = {
    "are told": "are reported",
    "crispness": "edge sharpness",
    "evened": "averaged, cycle spinning",
    "is told": "is reported",
    "journal": "training log",
    "left off": "stopped",
    "likeness": "similarity",
    "mend": "fix",
    "must hurt": "must make segmenters worse",
    "nearness": "nearest-neighbour distance",
    "nobody knows": "is unknown",
    "outlook": "detectable effects",
    "promise by promise": "check by check",
    "settled": "resolved",
    "settles? nothing": "draw no conclusions",
    "sized": "resolve",
    "speck": "small object",
    "taken up again": "resumed",
    "tally": "image counts",
    "thrown away": "deleted",
    "way out": "hint",
    "what came": "the downloaded file",
    "won't do": "invalid value",
    "yardstick": "duplicate threshold",
}
"""The same of what users read: messages, docstrings and documents."""


def parts_of(name: str) -> set[str]:
    """``_ImageCounts`` → ``image``, ``counts``; ``image_counts`` → the same."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@cache
def words_in_names() -> dict[str, set[str]]:
    """The words that names in the code are made of → the files: modules, classes, functions, arguments, variables."""
    places: dict[str, set[str]] = {}
    for path in [path for folder in ("benchmark", "plugins", "examples") for path in (ROOT / folder).rglob("*.py")]:
        names = {path.stem}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names |= {getattr(node, field, None) or "" for field in ("name", "arg", "attr", "id")}
        for word in {word for name in names for word in parts_of(name)}:
            places.setdefault(word, set()).add(str(path.relative_to(ROOT)))
    return places


@cache
def pages() -> dict[str, str]:
    """What people read: every text in the code, templates, and documents; the change log may name what was."""
    paths = [path for folder in ("benchmark", "plugins", "examples") for path in (ROOT / folder).rglob("*.py")]
    paths += [*CORE.rglob("*.tmpl"), *CORE.rglob("*.html"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return {
        str(path.relative_to(ROOT)): re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
        for path in paths
        if path.name != "CHANGELOG.md"
    }


@pytest.mark.parametrize("word", RETIRED_NAMES)
def test_a_retired_word_is_no_part_of_a_name(word: str) -> None:
    assert sorted(words_in_names().get(word, ())) == [], f"the term is {RETIRED_NAMES[word]}"


@pytest.mark.parametrize("phrase", RETIRED_PHRASES)
def test_a_retired_phrase_is_not_read_anywhere(phrase: str) -> None:
    wrong = [name for name, text in pages().items() if re.search(rf"\b{phrase}\b", text, re.IGNORECASE)]
    assert wrong == [], f"say: {RETIRED_PHRASES[phrase]}"
