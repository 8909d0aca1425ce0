"""Specs: what a plugin says of itself. Light on purpose: listing plugins imports this and nothing heavier."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "DatasetSpec",
    "EncoderSpec",
    "EngineSpec",
    "GeneratorSpec",
    "KINDS",
    "LoggerSpec",
    "SegmenterSpec",
    "Spec",
    "TASK_NAMES",
]

TASK_NAMES = frozenset({"instances", "semantic"})
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Spec:
    """One generator, segmenter, encoder, dataset, engine or logger that a plugin offers.

    Parameters
    ----------
    name
        What users type: lower case letters, digits and hyphens.
    target
        Where the class is: ``"package.module:Class"``. Imported only when it is used.
    summary
        One line for ``synthbench list``.
    tasks
        Which of ``"instances"`` and ``"semantic"`` it can do.
    requires
        The distributions it needs beyond the core's own, as ``pip`` knows them: ``"stardist"``, ``"cellpose>=3.1,<4"``.
        When one is missing, or outside its range, the plugin is listed as disabled. Their versions are part of every
        key of its artifacts.
    environment
        The same, where they don't fit into one environment with what other plugins need. The hint is then the command
        that creates an environment for them, ``synthbench env create cellpose-4 'cellpose>=4'``.
    install
        What installs them, for the message: ``"pip install 'synthbench[stardist]'"``.

    Raises
    ------
    ValueError
        If the name, the target, the summary, a task or a requirement is malformed.
    """

    kind: ClassVar[str] = ""

    name: str
    target: str
    summary: str = ""
    tasks: frozenset[str] = TASK_NAMES
    requires: tuple[str, ...] = ()
    install: str = ""
    environment: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """Name of the import package that the class is in."""
        return self.target.partition(":")[0].partition(".")[0]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"plugin name {self.name!r}: use lower case letters, digits and single hyphens")
        if not isinstance(self.target, str) or not _TARGET.fullmatch(self.target):
            raise ValueError(f"{self.name}: target {self.target!r} is not of the form 'package.module:Class'")
        if not isinstance(self.summary, str) or "\n" in self.summary:
            raise ValueError(f"{self.name}: summary {self.summary!r} must be one line")
        object.__setattr__(self, "tasks", frozenset([self.tasks] if isinstance(self.tasks, str) else self.tasks))
        for name in ("requires", "environment"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        if not self.tasks or not self.tasks <= TASK_NAMES:
            raise ValueError(f"{self.name}: tasks {sorted(self.tasks)} must be some of {sorted(TASK_NAMES)}")
        for name in ("requires", "environment"):
            for requirement in getattr(self, name):
                if not _is_requirement(requirement):
                    raise ValueError(
                        f"{self.name}: {name} {requirement!r}, which is not a requirement such as 'scipy>=1.13'"
                    )


def _is_requirement(text: object) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return isinstance(text, str) and bool(Requirement(text))
    except InvalidRequirement:
        return False


@dataclass(frozen=True)
class GeneratorSpec(Spec):
    """A generator: learns from training samples, then draws new annotated samples."""

    kind: ClassVar[str] = "generator"


@dataclass(frozen=True)
class SegmenterSpec(Spec):
    """A segmenter: learns from samples, then maps an image to a label map."""

    kind: ClassVar[str] = "segmenter"


@dataclass(frozen=True)
class EncoderSpec(Spec):
    """An encoder: maps images to feature vectors."""

    kind: ClassVar[str] = "encoder"


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """A dataset; `tasks` names its one task.

    Parameters
    ----------
    derived_from
        Names of the published datasets that its images come from, so that weights which have seen them are known.
    """

    kind: ClassVar[str] = "dataset"

    derived_from: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.tasks) != 1:
            raise ValueError(f"{self.name}: a dataset has exactly one task, not {sorted(self.tasks)}")
        given = self.derived_from
        object.__setattr__(self, "derived_from", (given,) if isinstance(given, str) else tuple(given))


@dataclass(frozen=True)
class EngineSpec(Spec):
    """An engine: carries out the tasks of a study. Its `tasks` mean nothing: it runs all of them."""

    kind: ClassVar[str] = "engine"


@dataclass(frozen=True)
class LoggerSpec(Spec):
    """A logger: takes losses and pictures of trainings. Its `tasks` mean nothing."""

    kind: ClassVar[str] = "logger"


KINDS: dict[str, type[Spec]] = {
    spec.kind: spec for spec in (GeneratorSpec, SegmenterSpec, EncoderSpec, DatasetSpec, EngineSpec, LoggerSpec)
}
