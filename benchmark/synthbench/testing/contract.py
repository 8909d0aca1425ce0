"""The contract tests of one plugin, by kind and name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from synthbench.plugin.registry import registry
from synthbench.testing.check_results import Finding, hardly_tried
from synthbench.testing.datasets import examine_dataset
from synthbench.testing.encoders import examine_encoder
from synthbench.testing.generators import examine_generator
from synthbench.testing.packages import examine_package
from synthbench.testing.segmenters import examine_segmenter


def run_contract(kind: str, name: str, config: Mapping[str, Any] | None = None) -> list[Finding]:
    """Try an installed plugin against everything the contract promises.

    Parameters
    ----------
    kind
        ``"generator"``, ``"segmenter"``, ``"encoder"`` or ``"dataset"``.
    name
        As users type it.
    config
        Keys of its configuration; by default the defaults.

    Returns
    -------
    list of Finding
        One per check, in order.

    Raises
    ------
    PluginError
        If there is no such plugin, or it can't be loaded.
    """
    return list(examine_plugin(kind, name, config))


def examine_plugin(kind: str, name: str, config: Mapping[str, Any] | None = None) -> Iterator[Finding]:
    """Yield the findings of `run_contract` as they come."""
    found = registry()
    spec = found.get(kind, name).spec
    cls: Any = found.load(kind, name)
    yield from examine_package(spec.package)
    if kind == "generator":
        yield from examine_generator(cls, spec.tasks, config)
    elif kind == "segmenter":
        yield from examine_segmenter(cls, spec.tasks, config)
    elif kind == "encoder":
        yield from examine_encoder(cls, config)
    else:
        (task,) = spec.tasks
        yield from examine_dataset(cls, task, config)


def assert_contract(kind: str, name: str, config: Mapping[str, Any] | None = None) -> None:
    """Fail with one sentence per violated promise: the one line of a plugin's own test.

    Raises
    ------
    AssertionError
        If a promise is violated.
    PluginError
        If there is no such plugin, or it can't be loaded.

    Warns
    -----
    UserWarning
        If more promises were skipped than kept.
    """
    findings = run_contract(kind, name, config)
    violated = [f for f in findings if f.status == "violated"]
    assert not violated, "\n".join(f"{f.check}: {f.sentence}" for f in violated)
    if told := hardly_tried(findings):
        warnings.warn(f"{kind} {name!r} is {told}", stacklevel=2)
