"""What a file comes to is remembered beside its bytecode, and never outlives what it was made from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from synthbench.study.provenance import _sources as sources
from synthbench.study.provenance import _syntax_trees as syntax_trees
from synthbench.study.provenance._syntax_trees import Source


@pytest.fixture(autouse=True)
def bytecode_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def touch(path: Path) -> None:
    """Make this process look at a file as a new one does."""
    changed = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(changed, changed))


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "module.py"
    path.write_text("import a.b\nfrom e.f import g, h\nx = 1\n")
    return path


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The contents of the files that were parsed."""
    seen: list[bytes] = []

    def parse(content: bytes, real=syntax_trees.parse) -> Source:
        seen.append(content)
        return real(content)

    monkeypatch.setattr(syntax_trees, "parse", parse)
    return seen


def test_another_process_parses_nothing_and_finds_the_same(module: Path, parses: list[bytes]) -> None:
    first = sources.source(module)
    assert first == syntax_trees.parse(module.read_bytes())
    touch(module)
    parses.clear()
    assert sources.source(module) == first
    assert parses == []


def test_a_file_that_was_written_again_is_read_again(module: Path) -> None:
    first = sources.source(module)
    module.write_text(module.read_text().replace("x = 1", "x = 2"))
    touch(module)
    assert sources.source(module) == syntax_trees.parse(module.read_bytes()) != first


def test_other_rules_parse_again(
    module: Path, parses: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sources.source(module)
    touch(module)
    (tmp_path / "rules.py").write_text("others")
    monkeypatch.setattr(syntax_trees, "__file__", str(tmp_path / "rules.py"))
    assert sources.source(module) == first
    assert len(parses) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"state": 1}', b"\xff"])
def test_what_is_damaged_is_parsed_again(module: Path, content: bytes) -> None:
    first = sources.source(module)
    (beside,) = (module.parent / "__pycache__").iterdir()
    beside.write_bytes(content)
    touch(module)
    assert sources.source(module) == first


def test_nothing_is_written_where_bytecode_is_not(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    first = sources.source(module)
    assert list(module.parent.iterdir()) == [module]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (module.parent / "__pycache__").write_text("no folder")
    touch(module)
    assert sources.source(module) == first
