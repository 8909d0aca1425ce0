"""Phantoms: procedural micrographs, as datasets and as a generator."""

from __future__ import annotations

from collections.abc import Iterator

from synthbench import DatasetSpec, GeneratorSpec, hookimpl

_INSTANCES = frozenset({"instances"})
_SEMANTIC = frozenset({"semantic"})


@hookimpl
def synthbench_datasets() -> Iterator[DatasetSpec]:
    home = "synthbench_phantoms.datasets"
    yield DatasetSpec(
        "phantom-nuclei", f"{home}:PhantomNuclei", "procedural: fluorescent nuclei, sparse and crowded", _INSTANCES
    )
    yield DatasetSpec(
        "phantom-phase", f"{home}:PhantomPhase", "procedural: phase contrast cells with halos", _INSTANCES
    )
    yield DatasetSpec("phantom-filaments", f"{home}:PhantomFilaments", "procedural: thin crossing filaments", _SEMANTIC)
    yield DatasetSpec("phantom-grains", f"{home}:PhantomGrains", "procedural: grains of two phases, pores", _SEMANTIC)


@hookimpl
def synthbench_generators() -> Iterator[GeneratorSpec]:
    yield GeneratorSpec(
        "phantom", "synthbench_phantoms.generator:Phantom", "procedural images with the statistics of the training set"
    )
