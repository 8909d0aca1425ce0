"""The contract tests of one plugin, by kind and name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synthbench.plugin.registry import registry
from synthbench.testing._datasets import iter_dataset_checks
from synthbench.testing._encoders import iter_encoder_checks
from synthbench.testing._engines import iter_engine_checks
from synthbench.testing._generators import iter_generator_checks
from synthbench.testing._loggers import iter_logger_checks
from synthbench.testing._segmenters import iter_segmenter_checks
from synthbench.testing.check_results import CheckResult, mostly_skipped
from synthbench.testing.packages import iter_package_checks

__all__ = ["assert_contract", "iter_contract", "run_contract"]


def run_contract(
    kind: str, name: str, config: Mapping[str, Any] | None = None, dataset: Path | None = None
) -> list[CheckResult]:
    """Run all contract checks on an installed plugin.

    Parameters
    ----------
    kind
        ``"generator"``, ``"segmenter"``, ``"encoder"``, ``"dataset"``, ``"engine"`` or ``"logger"``.
    name
        As users type it.
    config
        Keys of its configuration; by default the defaults.
    dataset
        The folder of a sample set that a generator's existing samples are compared with.

    Returns
    -------
    list of CheckResult
        One per check, in order.

    Raises
    ------
    PluginError
        If there is no such plugin, or it can't be loaded.
    """
    return list(iter_contract(kind, name, config, dataset))


def iter_contract(
    kind: str, name: str, config: Mapping[str, Any] | None = None, dataset: Path | None = None
) -> Iterator[CheckResult]:
    """Yield the results of `run_contract` as they come."""
    found = registry()
    spec = found.get(kind, name).spec
    cls: Any = found.load(kind, name)
    if spec.package != "synthbench":
        yield from iter_package_checks(spec.package)
    if kind == "generator":
        yield from iter_generator_checks(cls, spec.tasks, config, dataset)
    elif kind == "segmenter":
        yield from iter_segmenter_checks(cls, spec.tasks, config)
    elif kind == "encoder":
        yield from iter_encoder_checks(cls, config)
    elif kind == "engine":
        yield from iter_engine_checks(cls, config)
    elif kind == "logger":
        yield from iter_logger_checks(cls, config)
    else:
        (task,) = spec.tasks
        yield from iter_dataset_checks(cls, task, config)


def assert_contract(kind: str, name: str, config: Mapping[str, Any] | None = None) -> None:
    """Fail with one sentence per failed check: the one line of a plugin's own test.

    Raises
    ------
    AssertionError
        If a check fails.
    PluginError
        If there is no such plugin, or it can't be loaded.

    Warns
    -----
    UserWarning
        If more checks were skipped than passed.
    """
    results = run_contract(kind, name, config)
    failed = [f for f in results if f.status == "failed"]
    assert not failed, "\n".join(f"{f.check}: {f.message}" for f in failed)
    if warning := mostly_skipped(results):
        warnings.warn(f"{kind} {name!r}: {warning}", stacklevel=2)
