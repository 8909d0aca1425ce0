"""Tests use public names, and run long checks in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from helpers.repository import CORE, ROOT

PRIVATE_NAMES_OF_OTHERS = {
    "_exit": "os: ends a forked process without the clean-up of its parent",
    "_instances_from_prediction": "StarDist: the method that the tuning of thresholds replaces",
    "_loss_fn_seg": "Cellpose: the oracle of the loss",
    "_replace": "namedtuple: it is public there",
}
"""Private names of other libraries that tests use, and why; none of this project's."""


def private_names(path: Path) -> list[str]:
    """Return ``line: name`` of the private names that a test takes from elsewhere."""
    mirrored = f"synthbench.{path.relative_to(ROOT / 'tests').parts[0]}."
    private = re.compile(r"_(?!_)\w")
    uses: list[tuple[int, str]] = []

    def use(line: int, dotted: str) -> None:
        """Note the names of a dotted path; a test may open the modules of the package that it mirrors."""
        module = dotted if is_module(dotted) else dotted.rpartition(".")[0]
        opened = dotted.removeprefix(module) if module.startswith(mirrored) and is_module(module) else dotted
        uses.extend((line, name) for name in opened.split("."))

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            uses.append((node.lineno, node.attr))
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                use(node.lineno, f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                use(node.lineno, alias.name)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"setattr", "getattr"}:
            for arg in node.args:
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                    use(node.lineno, arg.value)
    return [f"{line}: {name}" for line, name in uses if private.match(name) and name not in PRIVATE_NAMES_OF_OTHERS]


def is_module(dotted: str) -> bool:
    """Whether this is a module file of the core."""
    return CORE.parent.joinpath(*dotted.split(".")).with_suffix(".py").is_file()


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_tests_use_public_names(path: Path) -> None:
    """A private module, such as ``synthbench/cli/_tables.py``, is tested in the folder that mirrors its package."""
    assert private_names(path) == []


def test_the_contract_of_built_ins_is_checked_in_one_place() -> None:
    """Each takes seconds, or minutes."""
    files = sorted((ROOT / "tests" / "plugins").rglob("*.py"))
    runs = re.compile(r"\b(?:assert|run|iter)_contract\(|\bcheck_(?:dataset|encoder|generator|segmenter)\(")
    assert [path.stem for path in files if runs.search(path.read_text(encoding="utf-8"))] == ["test_every_builtin"]
