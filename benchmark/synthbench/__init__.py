"""synthbench: does synthetic training data help to segment cells in micrographs, by how much, how surely?

``run``, ``plan``, ``score`` and ``load_results`` do what the commands do. The rest is what plugins are made of.

Names are imported when first used, so ``import synthbench`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from synthbench.version import __version__

_HOME = {
    "hookimpl": "synthbench.plugin.hookspecs",
    "GeneratorSpec": "synthbench.plugin.specs",
    "SegmenterSpec": "synthbench.plugin.specs",
    "EncoderSpec": "synthbench.plugin.specs",
    "DatasetSpec": "synthbench.plugin.specs",
    "EngineSpec": "synthbench.plugin.specs",
    "LoggerSpec": "synthbench.plugin.specs",
    "Logger": "synthbench.loggers.base",
    "LoggedRun": "synthbench.loggers.base",
    "LoggedTask": "synthbench.loggers.base",
    "ExistingSamples": "synthbench.plugin.api",
    "Generator": "synthbench.plugin.api",
    "Init": "synthbench.plugin.api",
    "Segmenter": "synthbench.plugin.api",
    "Encoder": "synthbench.plugin.api",
    "Dataset": "synthbench.plugin.api",
    "Config": "synthbench.plugin.api",
    "Context": "synthbench.plugin.api",
    "Budget": "synthbench.plugin.api",
    "Stopped": "synthbench.plugin.api",
    "TrainingMix": "synthbench.plugin.api",
    "TrainingPartner": "synthbench.plugin.api",
    "Instances": "synthbench.plugin.api",
    "NetworkExport": "synthbench.plugin.exports",
    "ExportedModel": "synthbench.plugin.exports",
    "Sample": "synthbench.samples",
    "SampleSet": "synthbench.samples",
    "SynthbenchError": "synthbench.errors",
    "Study": "synthbench.study.model",
    "run": "synthbench.runner",
    "plan": "synthbench.runner",
    "score": "synthbench.folders.score:score_masks",
    "Results": "synthbench.results",
    "load_results": "synthbench.results",
}
"""Name → module, or module and name there."""

__all__ = [
    "__version__",
    "hookimpl",
    "GeneratorSpec",
    "SegmenterSpec",
    "EncoderSpec",
    "DatasetSpec",
    "EngineSpec",
    "LoggerSpec",
    "Logger",
    "LoggedRun",
    "LoggedTask",
    "ExistingSamples",
    "Generator",
    "Init",
    "Segmenter",
    "Encoder",
    "Dataset",
    "Config",
    "Context",
    "Budget",
    "Stopped",
    "TrainingMix",
    "TrainingPartner",
    "Instances",
    "NetworkExport",
    "ExportedModel",
    "Sample",
    "SampleSet",
    "SynthbenchError",
    "Study",
    "run",
    "plan",
    "score",
    "Results",
    "load_results",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'synthbench' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from synthbench.errors import SynthbenchError
    from synthbench.folders.score import score_masks as score
    from synthbench.loggers.base import LoggedRun, LoggedTask, Logger
    from synthbench.plugin.api import (
        Budget,
        Config,
        Context,
        Dataset,
        Encoder,
        ExistingSamples,
        Generator,
        Init,
        Instances,
        Segmenter,
        Stopped,
        TrainingMix,
        TrainingPartner,
    )
    from synthbench.plugin.exports import ExportedModel, NetworkExport
    from synthbench.plugin.hookspecs import hookimpl
    from synthbench.plugin.specs import DatasetSpec, EncoderSpec, EngineSpec, GeneratorSpec, LoggerSpec, SegmenterSpec
    from synthbench.results import Results, load_results
    from synthbench.runner import plan, run
    from synthbench.samples import Sample, SampleSet
    from synthbench.study.model import Study
