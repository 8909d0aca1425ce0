"""SPADE: a network from mask to image whose normalisation layers see the mask."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "spade",
        "synthbench_spade.generator:Spade",
        summary="network whose normalisation layers see the mask at every resolution, against two discriminators",
    )
