"""CycleGAN: masks and images that don't belong together, and a cycle between them."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "cyclegan",
        "synthbench_cyclegan.generator:CycleGan",
        summary="two residual networks in a cycle, from unpaired masks and images; also learns from unlabelled images",
    )
