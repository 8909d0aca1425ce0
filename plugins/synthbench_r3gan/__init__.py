"""R3GAN: image and mask are drawn at once, by a network trained with a relativistic loss and two gradient penalties."""

from collections.abc import Iterable

from synthbench import GeneratorSpec, hookimpl


@hookimpl
def synthbench_generators() -> Iterable[GeneratorSpec]:
    yield GeneratorSpec(
        "r3gan",
        "synthbench_r3gan.generator:R3Gan",
        summary="R3GAN that draws image and mask at once, by class where there are classes",
    )
