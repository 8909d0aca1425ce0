"""Built-in plugins leave checkpoints by the toolkit's loop alone: it has the checksum."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent.parent.parent / "plugins"
OTHER_FILES = ("synthbench_catalogue", "synthbench_ready_made")
"""Archives whose checksums are published, and sample sets, which have a digest for each sample."""

EXPORT = "synthbench_export.py"
"""Writes models in the formats of other programs, after training."""

FILES = sorted(path for path in PLUGINS.rglob("*.py") if path.parent.name not in OTHER_FILES and path.name != EXPORT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_is_written_into_the_contexts_folder(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used = f"{node.value.id}.{node.attr}"
            assert used not in ("context.folder", "torch.save", "pickle.dump"), f"line {node.lineno}"
