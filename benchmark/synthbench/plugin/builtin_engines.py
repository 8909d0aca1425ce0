"""The engines that are always there, offered as a plugin offers its own."""

from __future__ import annotations

from collections.abc import Iterable

from synthbench.plugin.hookspecs import hookimpl
from synthbench.plugin.specs import EngineSpec

__all__ = ["synthbench_engines"]


@hookimpl
def synthbench_engines() -> Iterable[EngineSpec]:
    """Yield the built-in engines."""
    yield EngineSpec(
        name="local",
        target="synthbench.engine.local:LocalEngine",
        summary="Processes on this machine, one task each. A process that dies loses its task only.",
    )
    yield EngineSpec(
        name="serial",
        target="synthbench.engine.serial:SerialEngine",
        summary="One task after another in this process: for debugging.",
    )
