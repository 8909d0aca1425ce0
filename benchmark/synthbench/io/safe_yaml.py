"""Strict YAML for files written by hand: plain values only, no duplicate keys, and a limited number of values.

Aliases and merge keys (``<<``) work. Their misuse is detected before any value is constructed: a file that refers to
itself, and one whose aliases expand to millions of values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import yaml

from synthbench.errors import ConfigError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "read_yaml"]

MAX_BYTES = 2**20
"""Size of a file in bytes."""
MAX_DEPTH = 40
"""Levels of nested lists and mappings."""
MAX_VALUES = 100_000
"""Values, after expansion of aliases."""
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")


class _Loader(yaml.SafeLoader):
    """Constructs strings, numbers, booleans, lists and mappings, as in JSON; a date stays a string."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in known if not tag.endswith((":timestamp", ":value"))]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: made
        for tag, made in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rsplit(":", 1)[-1] in _PLAIN
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge the mappings that ``<<`` names; own keys take precedence, then those of the first mapping, and so on.

        PyYAML's own order differs from version to version.
        """
        if not any(key.tag == _MERGE for key, _ in node.value):
            return
        pairs = {_name(key): (key, value) for key, value in node.value if key.tag != _MERGE}
        for value in [value for key, value in node.value if key.tag == _MERGE]:
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(source, yaml.MappingNode):
                    reason = "<< must name a mapping, or a list of mappings, such as *name"
                    raise yaml.constructor.ConstructorError(None, None, reason, source.start_mark)
                self.flatten_mapping(source)
                for key, filled in source.value:
                    pairs.setdefault(_name(key), (key, filled))
        node.value = list(pairs.values())


def _name(key: yaml.Node) -> Any:
    return (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises
    ------
    ConfigError
        If it can't be read or isn't strict YAML: one message line, with the line number where it is known.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such study file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES // 2**10:,} KiB; is this the right file?")
    try:
        return _load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = " ".join(str(getattr(error, "problem", getattr(error, "reason", error)) or error).split())
        if "could not determine a constructor" in reason:
            raise ConfigError(
                f"{path}{where}: {reason.split()[-1]} is not supported; use strings, numbers, booleans, lists and "
                "mappings"
            ) from None
        raise ConfigError(f"{path}{where}: invalid YAML: {reason[:200]}") from None
    except _Refused as error:
        raise ConfigError(f"{path}, line {error.line}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested more than {MAX_DEPTH} levels deep") from None
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:  # of !!int, !!float with other text
        raise ConfigError(f"{path}: invalid YAML: {str(error)[:200]}") from None


class _Refused(Exception):
    def __init__(self, node: yaml.Node, reason: str) -> None:
        super().__init__(reason)
        self.line = node.start_mark.line + 1


def _load(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _SizeCheck().of(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _SizeCheck:
    """Depth and number of values of nodes, each visited once; raises `_Refused` beyond the limits."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[int, int]] = {}
        self.open: set[int] = set()

    def of(self, node: yaml.Node) -> tuple[int, int]:
        if id(node) in self.open:
            raise _Refused(node, "refers to itself; an alias (*name) can't be inside its own anchor (&name)")
        if id(node) not in self.known:
            self.open.add(id(node))
            depth, count = 1, 1
            for child in _children(node):
                child_depth, child_count = self.of(child)
                depth, count = max(depth, child_depth + 1), count + child_count
            if depth > MAX_DEPTH:
                raise _Refused(node, f"is nested more than {MAX_DEPTH} levels deep")
            if count > MAX_VALUES:
                raise _Refused(node, f"its aliases expand to more than {MAX_VALUES:,} values")
            self.open.remove(id(node))
            self.known[id(node)] = depth, count
        return self.known[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    hint = "; use it once, with a list: <<: [*a, *b]" if key.tag == _MERGE else ""
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is given twice{hint}", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
