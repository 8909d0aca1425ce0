"""A Python file as its syntax tree says it: without comments, docstrings and layout, and the same for every Python."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Import", "Source", "canonical", "parse"]

_SILENT = {"ctx", "kind", "type_comment"}
"""Fields that say nothing, or nothing that another field doesn't."""


@dataclass(frozen=True)
class Import:
    """A module that a file imports, from anywhere in it, by its absolute name.

    Attributes
    ----------
    module : str
    names : tuple of str
        What is taken from it; empty where it is imported whole.
    """

    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What a Python file comes to.

    Attributes
    ----------
    digest : str
        SHA-256 of its syntax tree; of its bytes, where it isn't Python.
    imports : tuple of Import
        Relative ones are left out: they stay in the package.
    """

    digest: str
    imports: tuple[Import, ...] = ()


def parse(content: bytes) -> Source:
    """Return what a Python file of this content comes to."""
    try:
        tree = ast.parse(content)
        text = canonical(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # it can't be imported either, and says so then
        return Source(hashlib.sha256(content).hexdigest())
    return Source(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), tuple(_imports(tree)))


def _imports(tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield Import(node.module, tuple(name.name for name in node.names))


def canonical(tree: ast.AST) -> str:
    """Return a syntax tree as text that is equal where the code is.

    `ast.dump` says the same tree otherwise in each version of Python: newer ones have more fields, and leave out empty
    ones. Here every empty field is left out, and strings that stand alone as statements, which do nothing.
    """
    out: list[str] = []
    _put(tree, out.append)
    return "".join(out)


def _put(value: Any, put: Any) -> None:
    if isinstance(value, ast.Constant):
        put(f"{type(value.value).__name__}:{hex(value.value) if type(value.value) is int else repr(value.value)}")
    elif isinstance(value, ast.AST):
        put(type(value).__name__)
        put("(")
        for name in value._fields:
            field = getattr(value, name, None)
            if field is None or name in _SILENT:
                continue
            if isinstance(field, list):
                field = list(_joined(field) if isinstance(value, ast.JoinedStr) else _telling(field))
            if field == []:
                continue
            if name == "format_spec" and isinstance(field, ast.JoinedStr) and not list(_joined(field.values)):
                continue  # parsers of some versions leave an empty one out
            put(name)
            put("=")
            _put(field, put)
            put(",")
        put(")")
    elif isinstance(value, list):
        put("[")
        for item in value:
            _put(item, put)
            put(",")
        put("]")
    else:
        put(repr(value))


def _telling(nodes: Iterable[Any]) -> Iterator[Any]:
    """Leave out the statements that do nothing: docstrings, wherever they stand, and `pass`."""
    for node in nodes:
        lone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if not lone and not isinstance(node, ast.Pass):
            yield node


def _joined(values: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """Join the constant pieces of an f-string, which parsers cut in different places."""
    text = ""
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text += value.value
            continue
        if text:
            yield ast.Constant(text)
            text = ""
        yield value
    if text:
        yield ast.Constant(text)
