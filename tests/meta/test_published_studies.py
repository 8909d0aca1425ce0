"""The study files of leaderboards/studies are valid, have both controls, and stand in the table of their README."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.repository import ROOT
from synthbench.plugin.registry import registry
from synthbench.study.model import load_study

FOLDER = ROOT / "leaderboards" / "studies"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_study_of_the_literature_is_valid_and_has_controls(file: Path) -> None:
    study = load_study(file)
    names = [choice.name for choice in study.generators]
    assert {"duplicate", "shuffled"} <= set(names)
    for kind, choices in (("generator", study.generators), ("segmenter", study.segmenters)):
        for choice in choices:
            registry().load(kind, choice.name).Config.model_validate(choice.config)
    assert len({choice.title for choice in study.generators}) == len(study.generators)


def test_the_table_lists_every_study() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert FILES
    for file in FILES:
        assert f"]({file.name})" in text
