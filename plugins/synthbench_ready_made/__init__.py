"""Ready-made images: a folder of images with masks, made by any tool, as an arm like that of any other generator."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "ready-made",
        "synthbench_ready_made.generator:ReadyMade",
        summary="a folder of images with masks that another tool has made",
    )
