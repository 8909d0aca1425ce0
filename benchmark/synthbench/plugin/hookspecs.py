"""The plugin contract, whole: six hooks, each yielding specs.

A plugin is a module (or object) behind an entry point of the group ``synthbench``. It implements any of these
with ``@hookimpl`` and yields as many specs as it likes. The hooks run whenever plugins are listed, so they must
not import anything heavy: a spec names its class by a string.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from synthbench.plugin.specs import DatasetSpec, EncoderSpec, EngineSpec, GeneratorSpec, LoggerSpec, SegmenterSpec

__all__ = [
    "GROUP",
    "HOOKS",
    "PROJECT",
    "hookimpl",
    "hookspec",
    "synthbench_datasets",
    "synthbench_encoders",
    "synthbench_engines",
    "synthbench_generators",
    "synthbench_loggers",
    "synthbench_segmenters",
]

PROJECT = "synthbench"
GROUP = "synthbench"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def synthbench_generators() -> Iterable[GeneratorSpec]:
    """Yield the generators of this plugin; called once, when plugins are first listed. Since 0.1."""
    return ()


@hookspec
def synthbench_segmenters() -> Iterable[SegmenterSpec]:
    """Yield the segmenters of this plugin; called once, when plugins are first listed. Since 0.1."""
    return ()


@hookspec
def synthbench_encoders() -> Iterable[EncoderSpec]:
    """Yield the encoders of this plugin; called once, when plugins are first listed. Since 0.1."""
    return ()


@hookspec
def synthbench_datasets() -> Iterable[DatasetSpec]:
    """Yield the datasets of this plugin; called once, when plugins are first listed. Since 0.1."""
    return ()


@hookspec
def synthbench_engines() -> Iterable[EngineSpec]:
    """Yield the engines of this plugin; called once, when plugins are first listed. Since 0.2."""
    return ()


@hookspec
def synthbench_loggers() -> Iterable[LoggerSpec]:
    """Yield the loggers of this plugin; called once, when plugins are first listed. Since 0.2."""
    return ()


HOOKS: dict[str, str] = {
    "synthbench_generators": "generator",
    "synthbench_segmenters": "segmenter",
    "synthbench_encoders": "encoder",
    "synthbench_datasets": "dataset",
    "synthbench_engines": "engine",
    "synthbench_loggers": "logger",
}
