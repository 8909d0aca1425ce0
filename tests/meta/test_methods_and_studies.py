"""Built-in methods have their pages with their budgets, and the repository's studies could run."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from helpers.repository import PLUGINS, ROOT
from synthbench.plugin.registry import registry
from synthbench.study.model import make_study, read_study


def built_in_classes(kind: str) -> dict[str, type]:
    """The classes of built-in plugins, also of those that need another environment; their modules import here."""
    targets = {name: registry().get(kind, name).spec.target.split(":") for name in registry().names(kind)}
    return {
        name: getattr(importlib.import_module(module), cls)
        for name, (module, cls) in targets.items()
        if module.split(".")[0] in PLUGINS
    }


@pytest.mark.parametrize("kind", ["generator", "segmenter"])
def test_the_pages_of_methods_have_their_budgets(kind: str) -> None:
    pages = [ROOT / "docs" / "generators.md", *sorted((ROOT / "docs" / "methods").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    rows = {
        name: cells.split(" | ") for name, cells in re.findall(r"^\| `([\w-]+)` \| (.* × .*) \|$", text, re.MULTILINE)
    }
    trained = {name: cls for name, cls in built_in_classes(kind).items() if cls.budgets}
    assert trained.keys() <= rows.keys()
    for name, cls in trained.items():
        written = [f"{b.steps:,} × {b.batch_size} × {b.patch_size}²" for b in cls.budgets.values()]
        assert rows[name] == written


@pytest.mark.parametrize("kind", ["generator", "segmenter"])
def test_every_method_is_in_the_table_of_methods(kind: str) -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    table = page.split(f"## {kind.capitalize()}s")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| \[`([\w-]+)`\]\((methods/[\w-]+\.md)\) \|(?:[^|\n]+\|){5}$", table, re.MULTILINE))
    assert all((ROOT / "docs" / link).is_file() for link in rows.values())
    assert built_in_classes(kind).keys() == rows.keys()


STUDY_FILES = [*sorted((ROOT / "leaderboards" / "studies").glob("*.yaml")), *sorted((ROOT / "examples").glob("*.yaml"))]


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_study_in_the_repository_is_one_that_could_run(path: Path) -> None:
    study = make_study(read_study(path), str(path))
    for kind in ("generator", "segmenter"):
        for choice in getattr(study, f"{kind}s"):
            cls = registry().load(kind, choice.name)
            cls.Config.model_validate(choice.config)
            budget = choice.budget or study.budget
            assert not cls.budgets or budget.name in cls.budgets
